"""What a run makes of photos that come, change, move and go."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from core.records import ItemState
from tests.shop import picture_bytes

if TYPE_CHECKING:
    from core.records import Run
    from tests.shop import Shop


def counts(run: Run) -> dict[str, int]:
    """The counters that are not zero, less those every run has."""
    counters = run.counters
    names = ("new", "modified", "moved", "revived", "removed", "failed", "embedded")
    return {name: getattr(counters, name) for name in names if getattr(counters, name)}


def settle() -> None:
    """Let the files grow older than the age at which they are hashed again to be safe."""
    time.sleep(0.03)


def test_new_photos_are_embedded_and_found(shop: Shop) -> None:
    shop.photos(5)
    run = shop.ingest()
    assert counts(run) == {"new": 5, "embedded": 5}
    assert run.counters.scanned == run.counters.planned == run.counters.settled == 5
    assert run.counters.new_images == 5
    assert run.total_items == 5
    assert "5" in (run.message or "")
    assert shop.found((shop.images / "0003.png").read_bytes()) == {"0003.png"}
    shop.assert_in_step()


def test_a_run_with_nothing_changed_hashes_and_publishes_nothing(shop: Shop) -> None:
    shop.photos(3)
    shop.write("notes.txt", "not a picture")
    settle()
    shop.ingest()
    before = shop.snapshot().generation
    run = shop.ingest()
    assert counts(run) == {}
    assert run.counters.scanned == 4
    assert run.counters.planned == run.counters.hashed == 0
    assert shop.snapshot().generation == before


def test_an_edited_photo_is_found_by_its_new_content_only(shop: Shop) -> None:
    shop.photos(3)
    shop.ingest()
    shop.photo("0001.png", seed=77)
    run = shop.ingest()
    assert counts(run) == {"modified": 1, "embedded": 1}
    assert run.counters.new_images == 1
    assert shop.found(picture_bytes(77)) == {"0001.png"}
    shop.assert_in_step()


def test_a_renamed_photo_costs_no_embedding_and_keeps_its_item(shop: Shop) -> None:
    shop.photos(3)
    shop.ingest()
    before = shop.items()["0001.png"]
    (shop.images / "0001.png").rename(shop.images / "other.png")
    run = shop.ingest()
    assert counts(run) == {"moved": 1}
    assert run.counters.new_images == 0
    assert shop.items()["other.png"].id == before.id
    assert "0001.png" not in shop.items()
    shop.assert_in_step()


def test_a_rename_in_case_only_is_a_move(shop: Shop) -> None:
    shop.photo("Bag.png")
    shop.ingest()
    (shop.images / "Bag.png").rename(shop.images / "bag.png")
    assert counts(shop.ingest()) == {"moved": 1}
    shop.assert_in_step()


def test_a_deleted_photo_is_no_longer_found_and_comes_back_without_embedding(shop: Shop) -> None:
    shop.photos(3)
    shop.ingest()
    data = (shop.images / "0001.png").read_bytes()
    (shop.images / "0001.png").unlink()
    assert counts(shop.ingest()) == {"removed": 1}
    assert shop.found(data) == set()
    assert shop.states()["0001.png"] == "missing"
    assert counts(shop.ingest()) == {}
    (shop.images / "0001.png").write_bytes(data)
    run = shop.ingest()
    assert counts(run) == {"revived": 1}
    assert run.counters.new_images == 1
    assert shop.found(data) == {"0001.png"}
    shop.assert_in_step()


def test_a_photo_that_comes_back_with_other_content_is_embedded(shop: Shop) -> None:
    file = shop.photo("a.png", seed=1)
    shop.ingest()
    file.unlink()
    shop.ingest()
    shop.photo("a.png", seed=2)
    assert counts(shop.ingest()) == {"modified": 1, "embedded": 1}
    shop.assert_in_step()


def test_ten_copies_are_ten_items_and_one_vector(shop: Shop) -> None:
    for number in range(10):
        shop.photo(f"copy{number}.png", seed=5)
    run = shop.ingest()
    assert counts(run) == {"new": 10, "embedded": 1}
    assert len(shop.found(picture_bytes(5))) == 10
    snapshot = shop.snapshot()
    assert len(set(snapshot.entries.vector_ids.tolist())) == 1
    shop.assert_in_step()


def test_a_later_copy_costs_no_embedding(shop: Shop) -> None:
    shop.photo("a.png", seed=5)
    shop.ingest()
    shop.photo("b.png", seed=5)
    assert counts(shop.ingest()) == {"new": 1}
    shop.assert_in_step()


def test_one_of_two_copies_edited_leaves_the_other_findable(shop: Shop) -> None:
    shop.photo("a.png", seed=5)
    shop.photo("b.png", seed=5)
    shop.ingest()
    shop.photo("b.png", seed=6)
    assert counts(shop.ingest()) == {"modified": 1, "embedded": 1}
    assert shop.found(picture_bytes(5)) == {"a.png"}
    shop.assert_in_step()


def test_two_photos_that_swap_names_cost_no_embedding(shop: Shop) -> None:
    shop.photo("a.png", seed=1)
    shop.photo("b.png", seed=2)
    shop.ingest()
    (shop.images / "a.png").rename(shop.images / "c")
    (shop.images / "b.png").rename(shop.images / "a.png")
    (shop.images / "c").rename(shop.images / "b.png")
    assert counts(shop.ingest()) == {"modified": 2}
    assert shop.found(picture_bytes(1)) == {"b.png"}
    assert shop.found(picture_bytes(2)) == {"a.png"}
    shop.assert_in_step()


def test_a_photo_renamed_over_another_edits_that_one(shop: Shop) -> None:
    shop.photo("a.png", seed=1)
    shop.photo("b.png", seed=2)
    shop.ingest()
    (shop.images / "a.png").rename(shop.images / "b.png")
    assert counts(shop.ingest()) == {"modified": 1, "removed": 1}
    assert shop.found(picture_bytes(1)) == {"b.png"}
    assert shop.found(picture_bytes(2)) == set()
    shop.assert_in_step()


def test_a_photo_may_move_to_a_name_that_was_deleted_before(shop: Shop) -> None:
    shop.photo("a.png", seed=1)
    shop.photo("b.png", seed=2)
    shop.ingest()
    (shop.images / "b.png").unlink()
    shop.ingest()
    (shop.images / "a.png").rename(shop.images / "b.png")
    assert counts(shop.ingest()) == {"moved": 1}
    assert shop.found(picture_bytes(1)) == {"b.png"}
    shop.assert_in_step()


def test_a_reader_that_skips_generations_sees_no_ghost_of_a_replaced_tombstone(
    shop: Shop,
) -> None:
    shop.photo("a.png", seed=1)
    shop.photo("b.png", seed=2)
    shop.ingest()
    early = shop.snapshot()
    (shop.images / "b.png").unlink()
    shop.ingest()
    (shop.images / "a.png").rename(shop.images / "b.png")
    shop.ingest()
    late = shop.snapshot(early)
    paths = [late.entries[place].path for place in range(len(late.entries))]
    assert paths == ["b.png"]


def test_a_touched_photo_is_hashed_but_not_embedded(shop: Shop) -> None:
    file = shop.photo("a.png")
    settle()
    shop.ingest()
    os.utime(file, (1, 1))
    settle()
    run = shop.ingest()
    assert counts(run) == {}
    assert run.counters.hashed == 1
    assert shop.ingest().counters.hashed == 0


def test_an_edit_that_puts_the_old_date_back_is_seen(shop: Shop) -> None:
    file = shop.photo("a.png", seed=1)
    settle()
    shop.ingest()
    found = file.stat()
    data = bytearray(picture_bytes(2))
    file.write_bytes(bytes(data) + b"\0" * (found.st_size - len(data)))
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert file.stat().st_mtime_ns == found.st_mtime_ns
    assert counts(shop.ingest()) == {"modified": 1, "embedded": 1}


def _pretend_unchanged(shop: Shop, path: str) -> None:
    found = (shop.images / path).stat()
    with shop.catalog() as catalog, catalog.database.writing() as connection:
        connection.execute(
            "UPDATE items SET size = ?, mtime_ns = ?, ctime_ns = ?, suspect = 0 WHERE path = ?",
            (found.st_size, found.st_mtime_ns, found.st_ctime_ns, os.fsencode(path)),
        )


def test_verify_sees_an_edit_that_left_no_trace_in_stat(shop: Shop) -> None:
    shop.photo("a.png", seed=1)
    settle()
    shop.ingest()
    shop.photo("a.png", seed=2)
    _pretend_unchanged(shop, "a.png")
    assert counts(shop.ingest()) == {}
    run = shop.ingest(verify=True)
    assert counts(run) == {"modified": 1, "embedded": 1}
    shop.assert_in_step()


def test_a_forced_run_embeds_everything_again_and_counts_nothing_as_new(shop: Shop) -> None:
    shop.photos(4)
    shop.photo("copy.png", seed=1)
    shop.photo("copy2.png", seed=1)
    shop.ingest()
    old = shop.snapshot()
    run = shop.ingest(force_full=True)
    assert counts(run) == {"embedded": 5}
    assert run.counters.new_images == 0
    fresh = shop.snapshot()
    assert not set(old.entries.vector_ids.tolist()) & set(fresh.entries.vector_ids.tolist())
    assert len(shop.snapshot(old).entries) == 6
    shop.assert_in_step()


def test_a_forced_run_leaves_no_file_that_holds_only_replaced_vectors(shop: Shop) -> None:
    shop.photos(3)
    shop.ingest()
    for _ in range(3):
        shop.ingest(force_full=True)
    assert len(list((shop.store / "segments").iterdir())) == 1
    shop.assert_in_step()


def test_a_forced_run_embeds_a_moved_photo_too(shop: Shop) -> None:
    shop.photos(2)
    shop.ingest()
    (shop.images / "0000.png").rename(shop.images / "z.png")
    assert counts(shop.ingest(force_full=True)) == {"moved": 1, "embedded": 2}
    shop.assert_in_step()


def test_a_mixed_day_is_counted_exactly(shop: Shop) -> None:
    shop.photos(40)
    shop.ingest()
    shop.photos(5, "new/")
    for number in (0, 1):
        shop.photo(f"{number:04d}.png", seed=900 + number)
    for number in (2, 3, 4):
        (shop.images / f"{number:04d}.png").rename(shop.images / f"renamed{number}.png")
    for number in (5, 6, 7, 8):
        (shop.images / f"{number:04d}.png").unlink()
    run = shop.ingest()
    assert counts(run) == {"new": 5, "modified": 2, "moved": 3, "removed": 4, "embedded": 7}
    assert run.counters.new_images == 7
    assert run.total_items == 41
    shop.assert_in_step()


def test_a_moved_and_edited_photo_is_a_new_one_and_a_removed_one(shop: Shop) -> None:
    shop.photo("a.png", seed=1)
    shop.ingest()
    (shop.images / "a.png").unlink()
    shop.photo("b.png", seed=2)
    assert counts(shop.ingest()) == {"new": 1, "removed": 1, "embedded": 1}
    shop.assert_in_step()


def test_a_file_that_was_passed_over_and_becomes_a_picture_is_an_ordinary_item(shop: Shop) -> None:
    file = shop.write("a.dat", "no picture yet")
    settle()
    assert counts(shop.ingest()) == {}
    file.write_bytes(picture_bytes(1))
    settle()
    assert counts(shop.ingest()) == {"new": 1, "embedded": 1}
    assert counts(shop.ingest()) == {}
    assert counts(shop.ingest(verify=True)) == {}
    shop.assert_in_step()


def test_an_item_may_move_to_a_name_that_was_passed_over(shop: Shop) -> None:
    shop.write("b.dat", "no picture")
    shop.photo("a.png", seed=1)
    shop.ingest()
    (shop.images / "a.png").rename(shop.images / "b.dat")
    assert counts(shop.ingest()) == {"moved": 1}
    assert counts(shop.ingest()) == {}
    shop.assert_in_step()


def test_files_that_promise_no_picture_are_no_items(shop: Shop) -> None:
    shop.write("notes.txt", "hello")
    shop.write("._a.png", "a resource fork")
    run = shop.ingest()
    assert shop.items() == {}
    assert counts(run) == {}
    (shop.images / "notes.txt").unlink()
    shop.ingest()
    with shop.catalog() as catalog:
        assert [known.path for known in catalog.known_files(None)] == ["._a.png"]


def test_a_picture_without_a_suffix_is_an_item(shop: Shop) -> None:
    shop.write("plain", picture_bytes(1))
    assert counts(shop.ingest()) == {"new": 1, "embedded": 1}


@pytest.mark.parametrize(
    "name",
    [
        "new\nline.png",
        "-rf.png",
        " leading and trailing ",
        "\u00e9.png",
        "e\u0301.png",
        "a" * 251 + ".png",
        os.fsdecode(b"\xff\xfe.png"),
        "..png",
        "quote\"s'.png",
        "日本.png",
        "100%.png",
    ],
)
def test_odd_names_are_kept_exactly(shop: Shop, name: str) -> None:
    shop.write(name, picture_bytes(1))
    shop.write(f"deep/{name}", picture_bytes(2))
    shop.ingest()
    assert shop.found(picture_bytes(1)) == {name}
    assert shop.found(picture_bytes(2)) == {f"deep/{name}"}
    assert counts(shop.ingest(verify=True)) == {}
    (shop.images / name).unlink()
    assert counts(shop.ingest()) == {"removed": 1}


def test_names_that_differ_in_unicode_form_only_are_two_items(shop: Shop) -> None:
    shop.write("\u00e9.png", picture_bytes(1))
    shop.write("e\u0301.png", picture_bytes(2))
    assert counts(shop.ingest()) == {"new": 2, "embedded": 2}
    shop.assert_in_step()


def test_items_that_share_a_stem_know_of_each_other(shop: Shop) -> None:
    shop.photo("a.png", seed=1)
    shop.ingest()

    def ambiguous() -> dict[str, bool]:
        table = shop.snapshot().entries
        return {table[place].path: table[place].ambiguous for place in range(len(table))}

    assert ambiguous() == {"a.png": False}
    shop.photo("a.jpg", seed=2, kind="JPEG")
    shop.ingest()
    assert ambiguous() == {"a.png": True, "a.jpg": True}
    (shop.images / "a.jpg").rename(shop.images / "b.jpg")
    shop.ingest()
    assert ambiguous() == {"a.png": False, "b.jpg": False}
    (shop.images / "b.jpg").rename(shop.images / "a.jpg")
    shop.ingest()
    (shop.images / "a.png").unlink()
    shop.ingest()
    assert ambiguous() == {"a.jpg": False}
    assert shop.states()["a.png"] == ItemState.MISSING
