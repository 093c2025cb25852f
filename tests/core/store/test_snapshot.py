"""What a reader holds: one generation, whole, however it was come by."""

from __future__ import annotations

import os
import random
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest

from core.store.catalog import Catalog
from core.store.commit import Commit, Label, MovedFile
from core.store.segments import segment_path
from core.store.snapshot import Snapshot, read_snapshot
from tests.shop import assert_same_entries, entries_of
from tests.store import failed, identity, md5, publish, stat, vector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.records import Space


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with closing(Catalog(tmp_path)) as opened:
        yield opened


def _found(snapshot: Snapshot, content: str, space: str = "one") -> list[str]:
    matches = snapshot.search(vector(content, space), 100)
    return [match.entry.path for match in matches if match.score > 0.999]


def test_a_store_never_filled_gives_an_empty_snapshot(catalog: Catalog) -> None:
    snapshot = read_snapshot(catalog)
    assert (snapshot.generation, snapshot.space, len(snapshot.entries)) == (0, None, 0)
    assert snapshot.search(vector("A"), 5) == []
    assert snapshot.problems == ()
    assert snapshot.facets(vector("A"), 0.0) == {}


def test_copies_are_all_found_in_the_order_of_their_paths(catalog: Catalog) -> None:
    space = catalog.ensure_space(identity())
    publish(catalog, space, {"c": "A", "a": "A", "b": "A", "other": "B"})
    snapshot = read_snapshot(catalog)
    assert _found(snapshot, "A") == ["a", "b", "c"]
    assert [match.entry.path for match in snapshot.search(vector("A", "one"), 2)] == ["a", "b"]
    assert len(snapshot.search(vector("A", "one"), 100)) == 4


def test_scores_are_cosines(catalog: Catalog) -> None:
    space = catalog.ensure_space(identity())
    publish(catalog, space, {"a": "A", "b": "B"})
    (first, second) = read_snapshot(catalog).search(vector("A", "one"), 2)
    assert first.score == pytest.approx(1.0, abs=1e-3)
    assert first.score <= 1.0
    expected = float(vector("A", "one") @ vector("B", "one"))
    assert second.score == pytest.approx(expected, abs=1e-3)


def test_filters_and_products_narrow_what_is_found(catalog: Catalog) -> None:
    space = catalog.ensure_space(identity())
    publish(catalog, space, {f"p{n}": f"C{n % 6}" for n in range(12)})
    labels = [
        Label(f"p{n}", f"product{n % 3}", f'{{"colour": "{"red" if n % 2 else "blue"}"}}')
        for n in range(12)
    ]
    catalog.publish(space, Commit(labels=labels))
    snapshot = read_snapshot(catalog)
    query = vector("C1", "one")
    red = snapshot.search(query, 12, {"colour": ["red"]})
    assert len(red) == 6
    assert all(match.entry.attributes == {"colour": "red"} for match in red)
    assert len(snapshot.search(query, 12, {"colour": ["red", "blue"]})) == 12
    assert snapshot.search(query, 12, {"size": ["9"]}) == []
    products = snapshot.search_products(query, 10)
    assert len({match.entry.product_id for match in products}) == len(products) == 3
    assert snapshot.facets(query, -1.0) == {"colour": [("blue", 6), ("red", 6)]}


def test_left_out_items_and_copies_are_searched_around(catalog: Catalog) -> None:
    space = catalog.ensure_space(identity())
    publish(catalog, space, {"a": "A", "b": "A", "c": "A", **{f"p{n}": f"C{n}" for n in range(9)}})
    labels = [Label("b", "b", '{"colour": "red"}'), Label("p3", "p3", '{"colour": "red"}')]
    catalog.publish(space, Commit(labels=labels))
    snapshot = read_snapshot(catalog)
    ids = {
        snapshot.entries[place].path: snapshot.entries[place].item_id
        for place in range(len(snapshot.entries))
    }
    query = vector("A", "one")
    every = [match.entry.path for match in snapshot.search(query, 12)]
    for out in (["a"], ["a", "c"], ["a", "b", "c"], every[:6], every):
        found = snapshot.search(query, 4, excluded=[ids[path] for path in out])
        assert [m.entry.path for m in found] == [path for path in every if path not in out][:4]
    red = {"colour": ["red"]}
    assert [m.entry.path for m in snapshot.search(query, 4, red)] == ["b", "p3"]
    assert [m.entry.path for m in snapshot.search(query, 4, red, [ids["b"]])] == ["p3"]


def _lost_rows(snapshot: Snapshot) -> int:
    assert snapshot.vectors is not None
    rows = snapshot.vectors.read(np.unique(snapshot.entries.vector_ids))
    return int(np.isnan(rows).any(axis=1).sum())


class _Keeper:
    """Changes a store at random and remembers what it must hold."""

    def __init__(self, catalog: Catalog, seed: int) -> None:
        self.catalog = catalog
        self.dice = random.Random(seed)  # the same each time
        self.space: Space = catalog.ensure_space(identity())
        self.shown: dict[str, str] = {}  # path -> content that is searched

    def step(self) -> None:
        chosen = (self.publish, self.publish, self.miss, self.fail, self.move, self.label)
        self.dice.choice(chosen)()

    def publish(self) -> None:
        files = {
            f"p{self.dice.randrange(12)}.{self.dice.choice('jp')}": f"C{self.dice.randrange(15)}"
            for _ in range(self.dice.randrange(1, 5))
        }
        publish(self.catalog, self.space, files)
        self.shown.update(files)

    def miss(self) -> None:
        if self.shown:
            path = self.dice.choice(sorted(self.shown))
            item = self.catalog.find_item(path)
            assert item is not None
            self.catalog.publish(self.space, Commit(missing=[item.id]))
            del self.shown[path]

    def fail(self) -> None:
        known = self.catalog.item_paths()
        missing = set(known) - set(self.shown)
        path = self.dice.choice([*sorted(set(known) - missing), "bad.png"])
        self.catalog.publish(self.space, Commit(failed=[failed(path, "broken")]))

    def move(self) -> None:
        if not self.shown:
            return
        path, target = self.dice.choice(sorted(self.shown)), f"m{self.dice.randrange(6)}.j"
        if target in self.shown:
            return
        item = self.catalog.find_item(path)
        assert item is not None
        self.catalog.publish(
            self.space, Commit(moved=[MovedFile(item.id, target, stat(), racy=False)])
        )
        self.shown[target] = self.shown.pop(path)

    def label(self) -> None:
        for path in self.shown:
            label = Label(path, f"product{self.dice.randrange(3)}", '{"a": "b"}')
            self.catalog.publish(self.space, Commit(labels=[label]))


@pytest.mark.parametrize("seed", range(6))
def test_a_refreshed_snapshot_equals_one_made_from_scratch(catalog: Catalog, seed: int) -> None:
    keeper = _Keeper(catalog, seed)
    held = read_snapshot(catalog)
    old: list[tuple[Snapshot, list[object]]] = []
    for _ in range(30):
        for _ in range(keeper.dice.randrange(1, 5)):
            keeper.step()
        held = read_snapshot(catalog, held)
        assert_same_entries(held, read_snapshot(catalog))
        entries = [held.entries[place] for place in range(len(held.entries))]
        assert {entry.path for entry in entries} == set(keeper.shown)
        for path, content in keeper.shown.items():
            assert path in _found(held, content)
        if keeper.dice.random() < 0.2:
            old.append((held, entries_of(held)))
    for snapshot, entries in old:
        assert entries_of(snapshot) == entries
        assert _lost_rows(snapshot) == 0


def test_a_snapshot_is_untouched_by_later_publishes(catalog: Catalog) -> None:
    space = catalog.ensure_space(identity())
    publish(catalog, space, {"a": "A", "b": "B"})
    held = read_snapshot(catalog)
    publish(catalog, space, {"a": "changed", "c": "C"})
    later = read_snapshot(catalog, held)
    assert _found(held, "A") == ["a"]
    assert _found(held, "C") == []
    assert _found(later, "A") == []
    assert _found(later, "changed") == ["a"]
    assert _found(later, "C") == ["c"]


def test_another_space_starts_afresh(catalog: Catalog) -> None:
    one = catalog.ensure_space(identity("one"))
    publish(catalog, one, {"a": "A"})
    held = read_snapshot(catalog)
    two = catalog.ensure_space(identity("two"))
    publish(catalog, two, {"a": "A", "new": "N"})
    during = read_snapshot(catalog, held)
    assert _found(during, "A", "one") == ["a"]
    assert len(during.entries) == 1
    catalog.go_live(two)
    after = read_snapshot(catalog, during)
    assert _found(after, "A", "two") == ["a"]
    assert _found(after, "N", "two") == ["new"]
    assert_same_entries(after, read_snapshot(catalog))


def test_a_damaged_segment_is_named_and_the_rest_still_answers(catalog: Catalog) -> None:
    space = catalog.ensure_space(identity())
    publish(catalog, space, {"a": "A"})
    publish(catalog, space, {"b": "B"})
    path = segment_path(catalog.store_dir, 1)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    snapshot = read_snapshot(catalog)
    assert len(snapshot.problems) == 1
    assert str(path) in snapshot.problems[0]
    assert _found(snapshot, "A") == []
    assert _found(snapshot, "B") == ["b"]
    publish(catalog, space, {"c": "C"})
    later = read_snapshot(catalog, snapshot)
    assert _found(later, "C") == ["c"]
    assert len(later.problems) == 1


def test_a_missing_segment_is_named_and_the_rest_still_answers(catalog: Catalog) -> None:
    space = catalog.ensure_space(identity())
    publish(catalog, space, {"a": "A"})
    held = read_snapshot(catalog)
    publish(catalog, space, {"b": "B"})
    segment_path(catalog.store_dir, 2).unlink()
    later = read_snapshot(catalog, held)
    assert "cannot be read" in later.problems[0]
    assert _found(later, "A") == ["a"]
    assert _found(later, "B") == []


def test_a_reader_that_holds_a_segment_does_not_mind_its_loss(catalog: Catalog) -> None:
    space = catalog.ensure_space(identity())
    publish(catalog, space, {"a": "A"})
    held = read_snapshot(catalog)
    segment_path(catalog.store_dir, 1).unlink()
    publish(catalog, space, {"b": "B"})
    later = read_snapshot(catalog, held)
    assert later.problems == ()
    assert _found(later, "A") == ["a"]


def test_vectors_that_are_not_there_read_as_lost(catalog: Catalog) -> None:
    space = catalog.ensure_space(identity())
    publish(catalog, space, {"a": "A"})
    vectors = read_snapshot(catalog).vectors
    assert vectors is not None
    assert vectors.ids.tolist() == [1]
    read = vectors.read(np.array([1, 99, -1]))
    assert np.isfinite(read[0]).all()
    assert np.isnan(read[1:]).all()
    assert vectors.read(np.empty(0, np.int64)).shape == (0, 8)


def test_vectors_of_several_segments_are_read_in_any_order(catalog: Catalog) -> None:
    space = catalog.ensure_space(identity())
    for part in range(4):
        publish(catalog, space, {f"p{part}-{n}": f"C{part}-{n}" for n in range(5)})
    path = segment_path(catalog.store_dir, 2)
    path.write_bytes(path.read_bytes()[:-1])
    vectors = read_snapshot(catalog).vectors
    assert vectors is not None
    one_by_one = np.concatenate([vectors.read(np.array([number])) for number in range(1, 21)])
    assert np.isnan(one_by_one).all(axis=1).tolist() == [5 <= n < 10 for n in range(20)]
    dice = np.random.default_rng(0)
    for count in (1, 2, 20, 60):
        ids = dice.integers(1, 21, count)
        read = vectors.read(ids)
        assert np.array_equal(read, one_by_one[ids - 1], equal_nan=True)
    assert np.array_equal(vectors.read(vectors.ids), one_by_one, equal_nan=True)


def test_every_answer_is_of_one_generation_while_another_publishes(catalog: Catalog) -> None:
    """Each publish gives all photos one new content; a mixture would show two."""
    space = catalog.ensure_space(identity())
    names = [f"p{number}" for number in range(8)]
    publish(catalog, space, dict.fromkeys(names, "G0"))
    contents = {md5(f"G{number}"): number for number in range(60)}
    done = threading.Event()
    wrong = list[object]()

    def read() -> None:
        with closing(Catalog(catalog.store_dir)) as own:
            held = read_snapshot(own)
            while not done.is_set():
                held = read_snapshot(own, held)
                ids = set(held.entries.vector_ids.tolist())
                if len(ids) != 1 or len(held.entries) != 8 or held.problems:
                    wrong.append((held.generation, ids, held.problems))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(1, len(contents)):
        publish(catalog, space, dict.fromkeys(names, f"G{number}"))
    done.set()
    for reader in readers:
        reader.join()
    assert wrong == []


def test_undecodable_names_survive(catalog: Catalog) -> None:
    space = catalog.ensure_space(identity())
    name = os.fsdecode(b"\xff\xfe/\n.png")
    publish(catalog, space, {name: "A"})
    assert _found(read_snapshot(catalog), "A") == [name]
