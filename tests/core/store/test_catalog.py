"""What the catalog knows of spaces, vectors and items."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from core.folder.changes import Unchanged, compare
from core.records import ItemState, SeenFile, SpaceState
from core.store.catalog import Catalog
from core.store.commit import Commit, Label, MovedFile, PassedOverFile
from tests.store import failed, identity, indexed, md5, publish, segment, stat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with closing(Catalog(tmp_path)) as opened:
        yield opened


def _paths(catalog: Catalog) -> dict[str, ItemState]:
    return {item.path: item.state for item in catalog.items(None, 1000)[0]}


def test_the_first_space_is_live_and_the_next_is_built(catalog: Catalog) -> None:
    assert catalog.live_space() is None
    one = catalog.ensure_space(identity("one"))
    two = catalog.ensure_space(identity("two"))
    assert (one.state, two.state) == (SpaceState.LIVE, SpaceState.BUILDING)
    assert catalog.live_space() == one
    assert catalog.space_of(two.fingerprint) == two
    assert catalog.space_of("unknown") is None
    assert catalog.ensure_space(identity("one")) == one
    assert (one.spec, one.weights, one.dimension) == ("one", "weights.pt", 8)


def test_a_space_takes_over_what_is_said_of_its_model_now(catalog: Catalog) -> None:
    catalog.ensure_space(identity())
    changed = replace(identity(), weights=None, default_threshold=0.9)
    space = catalog.ensure_space(changed)
    assert (space.weights, space.default_threshold, space.state) == (None, 0.9, SpaceState.LIVE)


def test_going_live_is_one_step_that_shows_what_was_built(catalog: Catalog) -> None:
    one = catalog.ensure_space(identity("one"))
    publish(catalog, one, {"a": "A", "b": "B", "c": "C"})
    two = catalog.ensure_space(identity("two"))
    publish(catalog, two, {"a": "A", "b": "edited"})
    catalog.publish(two, Commit(failed=[failed("c", "C2")]))
    assert catalog.live_space() == one
    before = catalog.generation()
    live = catalog.go_live(two)
    assert (live.id, live.state) == (two.id, SpaceState.LIVE)
    assert catalog.generation() == before + 1
    old = catalog.space_of(one.fingerprint)
    assert old is not None
    assert old.state is SpaceState.RETIRED
    items = {item.path: item for item in catalog.items(None, 10)[0]}
    assert items["c"].state is ItemState.FAILED
    assert not items["c"].stale


def test_a_retired_space_is_built_again_and_goes_live_with_what_it_had(catalog: Catalog) -> None:
    one = catalog.ensure_space(identity("one"))
    publish(catalog, one, {"a": "A"})
    two = catalog.ensure_space(identity("two"))
    publish(catalog, two, {"a": "A"})
    catalog.go_live(two)
    again = catalog.ensure_space(identity("one"))
    assert (again.id, again.state) == (one.id, SpaceState.BUILDING)
    assert [known.has_vector for known in catalog.known_files(again.id)] == [True]


def test_what_has_no_vector_in_the_new_space_is_looked_at_again(catalog: Catalog) -> None:
    one = catalog.ensure_space(identity("one"))
    publish(catalog, one, {"a": "A", "b": "B"})
    two = catalog.ensure_space(identity("two"))
    publish(catalog, two, {"a": "A"})
    catalog.go_live(two)
    has_vector = {known.path: known.has_vector for known in catalog.known_files(two.id)}
    assert has_vector == {"a": True, "b": False}


def test_a_vector_counts_for_the_live_space_only_if_it_stands_for_the_file(
    catalog: Catalog,
) -> None:
    """A model change that was given up leaves files whose content the old space may know."""
    one = catalog.ensure_space(identity("one"))
    publish(catalog, one, {"a": "A", "b": "B"})
    two = catalog.ensure_space(identity("two"))
    publish(catalog, two, {"copy": "A", "b": "A"})
    has_vector = {known.path: known.has_vector for known in catalog.known_files(one.id)}
    assert has_vector == {"a": True, "b": False, "copy": False}
    publish(catalog, one, {"copy": "A", "b": "A"})
    assert all(known.has_vector for known in catalog.known_files(one.id))


def test_at_most_one_space_is_live(catalog: Catalog) -> None:
    catalog.ensure_space(identity("one"))
    catalog.ensure_space(identity("two"))
    with pytest.raises(sqlite3.IntegrityError), catalog.database.writing() as connection:
        connection.execute("UPDATE spaces SET state = 'live'")


def test_known_files_come_in_the_order_of_their_bytes(catalog: Catalog) -> None:
    space = catalog.ensure_space(identity())
    names = ["b", "a/b", "a-b", "a.b", "\udcff", "\u00e9", "e\u0301", "\n", "Z", "\U0001f45f"]
    publish(catalog, space, {name: name.encode(errors="replace").hex() for name in names[:5]})
    passed = [PassedOverFile(name, stat(), racy=False) for name in names[5:]]
    catalog.publish(space, Commit(passed_over=passed))
    known = list(catalog.known_files(space.id))
    assert [file.path for file in known] == sorted(names, key=os.fsencode)
    assert {file.path for file in known if file.item_id is None} == set(names[5:])
    assert [file.path for file in catalog.known_files(None)] == [file.path for file in known]
    assert not any(file.has_vector for file in catalog.known_files(None))


def _check_rows(catalog: Catalog, space_id: int | None) -> dict[str, bool]:
    """Check the rows against the records; which files are unchanged if their stat is the same."""
    files = [file for file in catalog.known_files(space_id) if file.state is not ItemState.MISSING]
    same = [SeenFile(file.path, file.stat) for file in files]
    settled = [isinstance(change, Unchanged) for change in compare(files, same)]
    with catalog.known_rows(space_id) as rows:
        found = list(rows.result())
    assert found == [
        (os.fsencode(file.path), file.stat.size if fine else None, *file.stat[1:])
        for file, fine in zip(files, settled, strict=True)
    ]
    return {file.path: fine for file, fine in zip(files, settled, strict=True)}


def test_a_row_has_its_size_where_the_same_stat_is_enough(catalog: Catalog) -> None:
    space = catalog.ensure_space(identity())
    publish(catalog, space, {"a": "A", "b/\udcff": "B", "copy": "A", "gone": "G"})
    publish(catalog, space, {"late": "L"})
    gone = catalog.find_item("gone")
    assert gone is not None
    passed = [PassedOverFile("note", stat(), racy=False), PassedOverFile("n2", stat(), racy=True)]
    broken = [failed("bad", "broken"), failed("unread"), failed("copy", "broken too")]
    young = replace(indexed("young", "A"), racy=True)
    steps = Commit(missing=[gone.id], passed_over=passed, failed=broken, indexed=[young])
    catalog.publish(space, steps)
    fine = _check_rows(catalog, space.id)
    assert "gone" not in fine
    assert {path for path in fine if not fine[path]} == {"n2", "young"}
    catalog.request_retry(["bad"])
    with catalog.database.writing() as connection:
        connection.execute("UPDATE segments SET damaged = 1 WHERE id = 1")
    fine = _check_rows(catalog, space.id)
    assert {path for path in fine if fine[path]} == {"copy", "late", "note", "unread"}
    assert {path for path, is_fine in _check_rows(catalog, None).items() if is_fine} == {
        "copy",
        "note",
        "unread",
    }


def test_rows_of_a_space_that_is_built_or_was_live(catalog: Catalog) -> None:
    one = catalog.ensure_space(identity("one"))
    publish(catalog, one, {"a": "A", "b": "B"})
    two = catalog.ensure_space(identity("two"))
    publish(catalog, two, {"copy": "A", "b": "A"})
    assert _check_rows(catalog, one.id) == {"a": True, "b": False, "copy": False}
    assert _check_rows(catalog, two.id) == {"a": True, "b": True, "copy": True}
    catalog.go_live(two)
    assert all(_check_rows(catalog, two.id).values())
    assert _check_rows(catalog, one.id) == {"a": True, "b": True, "copy": True}


def test_a_moment_in_a_segment_that_is_whole_keeps_a_video_found(catalog: Catalog) -> None:
    space = catalog.ensure_space(identity())
    publish(catalog, space, {"film": "F"})
    new = segment(catalog, space, ["F"])
    new.rows.at_ms[:] = 500
    catalog.publish(space, Commit(segment=new))
    with catalog.database.writing() as connection:
        connection.execute("UPDATE segments SET damaged = 1 WHERE id = 1")
    assert _check_rows(catalog, space.id) == {"film": True}
    with catalog.database.writing() as connection:
        connection.execute("UPDATE segments SET damaged = 1")
    assert _check_rows(catalog, space.id) == {"film": False}


def test_known_files_can_be_read_between_two_paths(catalog: Catalog) -> None:
    space = catalog.ensure_space(identity())
    publish(catalog, space, {name: name for name in "abcde"})
    catalog.publish(space, Commit(passed_over=[PassedOverFile("bb", stat(), racy=False)]))

    def paths(after: bytes, up_to: bytes | None = None) -> list[str]:
        return [file.path for file in catalog.known_files(space.id, after, up_to)]

    assert paths(b"a", b"c") == ["b", "bb", "c"]
    assert paths(b"b") == ["bb", "c", "d", "e"]
    assert paths(b"e") == paths(b"c", b"b") == []


def test_vectors_of_a_damaged_segment_do_not_count(catalog: Catalog) -> None:
    space = catalog.ensure_space(identity())
    publish(catalog, space, {"a": "A"})
    publish(catalog, space, {"b": "B"})
    with catalog.database.writing() as connection:
        connection.execute("UPDATE segments SET damaged = 1 WHERE id = 1")
    assert catalog.embedded(space.id, [md5("A"), md5("B"), md5("C")]) == {md5("B")}
    has_vector = {known.path: known.has_vector for known in catalog.known_files(space.id)}
    assert has_vector == {"a": False, "b": True}


def test_many_contents_can_be_asked_for_at_once(catalog: Catalog) -> None:
    space = catalog.ensure_space(identity())
    contents = [str(number) for number in range(1200)]
    publish(catalog, space, {f"f{content}": content for content in contents})
    asked = [md5(content) for content in contents] + [md5("no")]
    assert catalog.embedded(space.id, asked) == set(asked[:-1])
    assert catalog.embedded(space.id + 1, asked) == set()


def test_segment_ids_are_never_used_twice(catalog: Catalog) -> None:
    space = catalog.ensure_space(identity())
    publish(catalog, space, {"a": "A"})
    with catalog.database.writing() as connection:
        connection.execute("DELETE FROM vectors")
        connection.execute("DELETE FROM segments")
    assert catalog.next_segment_id() == 2


def test_items_come_in_pages_by_state(catalog: Catalog) -> None:
    space = catalog.ensure_space(identity())
    publish(catalog, space, {f"p{number}": "A" for number in range(5)})
    catalog.publish(space, Commit(failed=[failed("bad", "B"), failed("unread")]))
    found, total = catalog.items(ItemState.INDEXED, 2, 1)
    assert ([item.path for item in found], total) == (["p1", "p2"], 5)
    found, total = catalog.items(ItemState.FAILED, 10)
    assert [(item.path, item.reason_code, item.reason) for item in found] == [
        ("bad", "not_an_image", "no picture"),
        ("unread", "not_an_image", "no picture"),
    ]
    assert catalog.items(None, 100)[1] == 7
    counts = catalog.count_items()
    assert counts == {ItemState.INDEXED: 5, ItemState.FAILED: 2, ItemState.MISSING: 0}


def test_an_item_is_found_by_its_exact_name(catalog: Catalog) -> None:
    space = catalog.ensure_space(identity())
    publish(catalog, space, {"a\udcff/\n.png": "A"})
    item = catalog.find_item("a\udcff/\n.png")
    assert item is not None
    assert item.path == "a\udcff/\n.png"
    assert item.md5 == md5("A")
    assert item.product_id == "\n"
    assert catalog.find_item("a") is None
    assert catalog.item_paths() == ["a\udcff/\n.png"]


def test_a_failed_edit_keeps_the_item_findable_and_stale(catalog: Catalog) -> None:
    space = catalog.ensure_space(identity())
    publish(catalog, space, {"a": "A"})
    catalog.publish(space, Commit(failed=[failed("a", "broken")]))
    item = catalog.find_item("a")
    assert item is not None
    assert (item.state, item.stale, item.md5) == (ItemState.FAILED, True, md5("broken"))
    publish(catalog, space, {"a": "mended"})
    item = catalog.find_item("a")
    assert item is not None
    assert (item.state, item.stale, item.reason, item.reason_code) == (
        ItemState.INDEXED,
        False,
        None,
        None,
    )


def test_a_retry_touches_failed_items_only(catalog: Catalog) -> None:
    space = catalog.ensure_space(identity())
    publish(catalog, space, {"fine": "A"})
    catalog.publish(space, Commit(failed=[failed("bad1", "1"), failed("bad2", "2")]))
    assert catalog.request_retry(["bad1", "fine", "unknown"]) == 1
    assert {f.path for f in catalog.known_files(space.id) if f.suspect} == {"bad1"}
    assert catalog.request_retry(None) == 2
    assert {f.path for f in catalog.known_files(space.id) if f.suspect} == {"bad1", "bad2"}


def test_a_step_that_breaks_publishes_nothing(catalog: Catalog) -> None:
    space = catalog.ensure_space(identity())
    publish(catalog, space, {"a": "A"})
    before = catalog.generation(), _paths(catalog), catalog.segments()
    broken = Commit(
        segment=segment(catalog, space, ["B"]),
        indexed=[indexed("b", "B")],
        missing=[12345],
    )
    with pytest.raises(TypeError):
        catalog.publish(space, broken)
    assert (catalog.generation(), _paths(catalog), catalog.segments()) == before


def test_an_empty_step_is_recognised() -> None:
    assert not Commit()
    assert Commit(forgotten=["a"])
    assert Commit(labels=[Label("a", "p", "{}")])


def test_labels_reach_the_items_they_name_and_count_once(catalog: Catalog) -> None:
    space = catalog.ensure_space(identity())
    publish(catalog, space, {"a": "A", "b": "B"})
    label = Label("a", "shoe", '{"colour": "red"}')
    generation = catalog.publish(space, Commit(labels=[label, Label("unknown", "x", "{}")]))
    item = catalog.find_item("a")
    assert item is not None
    assert (item.product_id, item.attributes) == ("shoe", {"colour": "red"})
    catalog.publish(space, Commit(labels=[label]))
    with catalog.database.reading() as connection:
        changed = connection.execute(
            "SELECT count(*) FROM items WHERE generation > ?", (generation,)
        ).fetchone()[0]
    assert changed == 0


def test_a_move_onto_a_tombstones_name_leaves_the_tombstone_under_the_old_one(
    catalog: Catalog,
) -> None:
    space = catalog.ensure_space(identity())
    publish(catalog, space, {"a": "A", "b": "B"})
    ids = {item.path: item.id for item in catalog.items(None, 10)[0]}
    catalog.publish(space, Commit(missing=[ids["b"]]))
    catalog.publish(space, Commit(moved=[MovedFile(ids["a"], "b", stat(), racy=False)]))
    found = {item.path: (item.id, item.state) for item in catalog.items(None, 10)[0]}
    assert found == {
        "a": (ids["b"], ItemState.MISSING),
        "b": (ids["a"], ItemState.INDEXED),
    }


def test_notes_are_kept(catalog: Catalog) -> None:
    assert catalog.get_note("a") is None
    catalog.set_note("a", "text")
    catalog.set_note("a", 1.5)
    assert catalog.get_note("a") == 1.5
