"""What a reader holds of the store: one generation, whole and unchanging.

A request takes the snapshot once and uses it from start to end. `read_snapshot` makes the next
one beside it from what changed since, so that nothing waits and nothing is locked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from core.errors import DamagedIndexError
from core.store.entries import Entry, EntryChange, EntryTable
from core.store.index.faiss import FaissIndex, build_index, load_index
from core.store.index.record import IndexRecord, index_path, latest_index
from core.store.vectors import StoredVectors

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from core.records import Space
    from core.store.catalog import Catalog

_ATTEMPTS: Final = 5

Filters = dict[str, Sequence[str]]
"""Attribute key -> values: any of a key's values, and so for every key."""


@dataclass(frozen=True)
class Found:
    """One entry and how near it is."""

    entry: Entry
    score: float  # cosine, -1 to 1


@dataclass(frozen=True)
class Snapshot:
    """One generation of a store, ready to be searched from any thread."""

    generation: int
    space: Space | None = None  # None: nothing has been ingested yet
    entries: EntryTable = field(default_factory=EntryTable)
    vectors: StoredVectors | None = None
    index: FaissIndex | None = None
    index_id: int | None = None  # the index record that was followed
    index_problem: str | None = None  # why its file could not be used

    @property
    def problems(self) -> tuple[str, ...]:
        """What is damaged, each a sentence naming the file."""
        damaged = self.vectors.problems if self.vectors else ()
        return (*damaged, self.index_problem) if self.index_problem else damaged

    def search(
        self, query: NDArray[np.float32], k: int, filters: Filters | None = None
    ) -> list[Found]:
        """Find the k nearest entries of a `[d]` unit vector, best first, equal scores by path.

        With `filters` an entry must have one of the values of every key; however few do, the k
        best of them are found.
        """
        if self.index is None or not len(self.entries):
            return []
        passing, allowed = self.entries.vectors_matching(filters) if filters else (None, None)
        # A vector stands for one item or more, so k vectors are always enough for k items.
        scores, ids = self.index.search(query[None, :], k, allowed)
        places = self._places(scores[0], ids[0], passing)
        found = [Found(self.entries[place], score) for place, score in places]
        found.sort(key=lambda match: (-match.score, match.entry.path))
        return found[:k]

    def search_products(
        self, query: NDArray[np.float32], k: int, filters: Filters | None = None
    ) -> list[Found]:
        """Like `search`, one entry for each product: its best. Gives the k nearest products."""
        wanted = k
        while True:
            wanted *= 4
            found = self.search(query, wanted, filters)
            best = {match.entry.product_id: match for match in reversed(found)}
            if len(best) >= k or len(found) < wanted:
                kept = {id(match) for match in best.values()}
                return [match for match in found if id(match) in kept][:k]

    def facets(
        self, query: NDArray[np.float32], threshold: float, filters: Filters | None = None
    ) -> dict[str, list[tuple[str, int]]]:
        """Count the attribute values of every entry at or above the threshold, after filters."""
        if self.index is None or not len(self.entries):
            return {}
        passing, allowed = self.entries.vectors_matching(filters) if filters else (None, None)
        scores, ids = self.index.within(query, threshold, allowed)
        places = [place for place, _ in self._places(scores, ids, passing)]
        return self.entries.columns.facets(np.array(places, np.int64))

    def _places(
        self,
        scores: NDArray[np.float32],
        ids: NDArray[np.int64],
        passing: NDArray[np.bool_] | None,
    ) -> Iterator[tuple[int, float]]:
        """The entries that found vectors stand for, and their scores."""
        for score, vector_id in zip(scores, ids, strict=True):
            if vector_id < 0:
                return
            for place in self.entries.places_of(int(vector_id)):
                if passing is None or passing[place]:
                    yield place, float(np.clip(score, -1.0, 1.0))


def read_snapshot(catalog: Catalog, previous: Snapshot | None = None) -> Snapshot:
    """Read the newest generation, from the difference to `previous` where the space is the same."""
    for _ in range(_ATTEMPTS):
        with catalog.database.reading() as connection:
            snapshot = _read(catalog, connection, previous)
        # A merge may unlink a segment between the catalog's row and its opening; then there is a
        # newer generation, and what looked like damage is none.
        if not snapshot.problems or catalog.generation() == snapshot.generation:
            break
    return snapshot


def _read(catalog: Catalog, connection: sqlite3.Connection, previous: Snapshot | None) -> Snapshot:
    generation = catalog.generation()
    space = catalog.live_space()
    if space is None:
        return Snapshot(generation)
    if previous is None or previous.space is None or previous.space.id != space.id:
        previous = Snapshot(-1, space, vectors=StoredVectors(space, catalog.store_dir))
    assert previous.vectors is not None  # noqa: S101  # a snapshot with a space has them
    vectors = previous.vectors.refreshed(
        connection, catalog.segments(space.id), previous.generation
    )
    change = previous.entries.refreshed(connection, space.id, previous.generation)
    index, index_id, problem = _follow_index(
        previous, latest_index(connection, space.id), vectors, change, catalog.store_dir
    )
    return Snapshot(generation, space, change.table, vectors, index, index_id, problem)


def _follow_index(
    previous: Snapshot,
    record: IndexRecord | None,
    vectors: StoredVectors,
    change: EntryChange,
    store_dir: Path,
) -> tuple[FaissIndex, int | None, str | None]:
    """Carry the previous index over, or take up a newer saved one."""
    record_id = record.id if record else None
    if previous.index is not None and record_id == previous.index_id:
        index = previous.index.with_reader(vectors)
        added, removed = change.added, change.removed
        return _changed(index, vectors, added, removed), record_id, previous.index_problem
    wanted = np.unique(change.table.vector_ids)
    problem = None
    if record is not None:
        try:
            path = index_path(store_dir, record.file)
            index = load_index(path, record.sha256, vectors, record.recall)
        except DamagedIndexError as error:
            problem = str(error)
        else:
            held = index.ids()
            added, removed = np.setdiff1d(wanted, held), np.setdiff1d(held, wanted)
            return _changed(index, vectors, added, removed), record_id, None
    # Exact whatever the size: building a graph would keep the service from answering for longer.
    found = vectors.read(wanted)
    whole = np.isfinite(found).all(axis=1)
    return (
        build_index(wanted[whole], found[whole], vectors, exact_up_to=len(wanted)),
        record_id,
        problem,
    )


def _changed(
    index: FaissIndex,
    vectors: StoredVectors,
    added: NDArray[np.int64],
    removed: NDArray[np.int64],
) -> FaissIndex:
    if not len(added) and not len(removed):
        return index
    found = vectors.read(added)
    whole = np.isfinite(found).all(axis=1)  # rows of a damaged segment wait to be made again
    return index.changed(added[whole], found[whole], removed)
