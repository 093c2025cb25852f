"""What a reader holds of the store: one generation, whole and unchanging.

A request takes the snapshot once and uses it from start to end. `read_snapshot` makes the next
one beside it from what changed since, so that nothing waits and nothing is locked.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from core.errors import DamagedCatalogError, DamagedIndexError
from core.memory import give_back_freed
from core.store.database import CATALOG_FILE, damaged_catalog
from core.store.entries import Entry, EntryTable
from core.store.index.faiss import FaissIndex, build_index, load_index
from core.store.index.record import IndexRecord, index_path, latest_index
from core.store.packed import distinct
from core.store.vectors import StoredVectors
from core.store.view import CatalogueView, Filters, Found, IndexFacts

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Hashable
    from pathlib import Path

    from numpy.typing import NDArray

    from core.records import Space
    from core.store.catalog import Catalog

_ATTEMPTS: Final = 5


@dataclass(frozen=True)
class Snapshot(CatalogueView):
    """One generation of a store, ready to be searched from any thread."""

    generation: int
    space: Space | None = None  # None: nothing has been ingested yet
    entries: EntryTable = field(default_factory=EntryTable)
    vectors: StoredVectors | None = None
    index: FaissIndex | None = None
    index_id: int | None = None  # the index record that was followed
    index_problem: str | None = None  # why its file could not be used
    store_id: str = ""  # another one where another store took this one's place

    @property
    def problems(self) -> tuple[str, ...]:
        """What is damaged, each a sentence naming the file."""
        damaged = self.vectors.problems if self.vectors else ()
        return (*damaged, self.index_problem) if self.index_problem else damaged

    @property
    def item_count(self) -> int:
        """See `CatalogueView.item_count`."""
        return self.entries.item_count

    @property
    def attribute_keys(self) -> list[str]:
        """See `CatalogueView.attribute_keys`."""
        return self.entries.columns.keys

    @property
    def index_facts(self) -> IndexFacts | None:
        """See `CatalogueView.index_facts`."""
        index = self.index
        return None if index is None else IndexFacts(index.kind, len(index), index.recall)

    def search(
        self,
        query: NDArray[np.float32],
        k: int,
        filters: Filters | None = None,
        excluded: Collection[int] = (),
    ) -> list[Found]:
        """See `CatalogueView.search`."""
        scope = self._scope(filters, excluded)
        if self.entries.has_videos:
            return self._best_of_each(query, k, scope, lambda entry: entry.item_id)
        return self._nearest(query, k, scope)

    def search_products(
        self,
        query: NDArray[np.float32],
        k: int,
        filters: Filters | None = None,
        excluded: Collection[int] = (),
    ) -> list[Found]:
        """See `CatalogueView.search_products`."""
        scope = self._scope(filters, excluded)
        return self._best_of_each(query, k, scope, lambda entry: entry.product_id)

    def facets(
        self,
        query: NDArray[np.float32],
        threshold: float,
        filters: Filters | None = None,
        excluded: Collection[int] = (),
        *,
        by_product: bool = False,
    ) -> dict[str, list[tuple[str, int]]]:
        """See `CatalogueView.facets`; every match is counted."""
        if self.index is None or not len(self.entries):
            return {}
        scope = self._scope(filters, excluded)
        scores, ids = self.index.within(query, threshold, scope.allowed)
        places, scores = self._places(scores, ids, scope)
        if by_product:
            places = self._best_places(places, scores, self.entries.product_of)
        elif self.entries.has_videos:
            places = self._best_places(places, scores, lambda place: self.entries.item_ids[place])
        return self.entries.columns.facets(places)

    def search_having(self, query: NDArray[np.float32], k: int, key: str) -> list[Found]:
        """See `CatalogueView.search_having`."""
        values = self.entries.columns.values(key)
        return self.search(query, k, {key: values}) if values else []

    def samples(self, count: int) -> list[Entry]:
        """See `CatalogueView.samples`."""
        step = max(1, len(self.entries) // count)
        return [self.entries[place] for place in range(0, len(self.entries), step)]

    def _scope(self, filters: Filters | None, excluded: Collection[int]) -> _Scope:
        passing, allowed = self.entries.vectors_matching(filters) if filters else (None, None)
        if not excluded:
            return _Scope(passing, allowed, None, 0)
        out, spare = np.array(list(excluded), np.int64), len(excluded)
        if self.entries.has_videos:  # an item may have several entries
            spare = int(np.isin(self.entries.item_ids, out).sum())
        return _Scope(passing, allowed, out, spare)

    def _nearest(self, query: NDArray[np.float32], k: int, scope: _Scope) -> list[Found]:
        """The k nearest entries."""
        if self.index is None or not len(self.entries):
            return []
        # A vector stands for one entry or more, so k vectors are enough for k entries.
        all_scores, ids = self.index.search(query[None, :], k + scope.spare, scope.allowed)
        places, scores = self._places(all_scores[0], ids[0], scope)
        found = list(map(Found, self.entries.at(places.tolist()), scores.tolist()))
        found.sort(key=lambda match: (-match.score, match.entry.path))
        return found[:k]

    def _best_of_each(
        self,
        query: NDArray[np.float32],
        k: int,
        scope: _Scope,
        key: Callable[[Entry], Hashable],
    ) -> list[Found]:
        """The k nearest entries of which no two have the same key."""
        wanted = k
        while True:
            wanted *= 4
            found = self._nearest(query, wanted, scope)
            best = {key(match.entry): match for match in reversed(found)}
            if len(best) >= k or len(found) < wanted:
                kept = {id(match) for match in best.values()}
                return [match for match in found if id(match) in kept][:k]

    def _places(
        self, scores: NDArray[np.float32], ids: NDArray[np.int64], scope: _Scope
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The entries that found vectors stand for, as places in the table, and their scores."""
        held = ids >= 0
        ids, scores = ids[held], np.clip(scores[held], -1.0, 1.0)
        first = np.searchsorted(self.entries.vector_ids, ids, "left")
        counts = np.searchsorted(self.entries.vector_ids, ids, "right") - first
        before = np.cumsum(counts) - counts
        places = np.repeat(first - before, counts) + np.arange(counts.sum())
        scores = np.repeat(scores, counts)
        kept = np.ones(len(places), np.bool_) if scope.passing is None else scope.passing[places]
        if scope.excluded is not None:
            kept &= ~np.isin(self.entries.item_ids[places], scope.excluded)
        return places[kept], scores[kept]

    def _best_places(
        self,
        places: NDArray[np.int64],
        scores: NDArray[np.float32],
        key: Callable[[int], Hashable],
    ) -> NDArray[np.int64]:
        """Of the entries with the same key the place of the one that `_best_of_each` gives."""
        best: dict[Hashable, tuple[float, str, int]] = {}
        for place, score in zip(places.tolist(), scores.tolist(), strict=True):
            held = best.get(key(place))
            if held is None or score >= -held[0]:
                rank = (-score, self.entries.path_of(place), place)
                best[key(place)] = rank if held is None else min(held, rank)
        return np.array([place for _, _, place in best.values()], np.int64)


@dataclass(frozen=True)
class _Scope:
    """Which entries a search may give."""

    passing: NDArray[np.bool_] | None  # `[len(entries)]` by the filters; None: all
    allowed: NDArray[np.int64] | None  # sorted vector ids the index may give; None: all
    excluded: NDArray[np.int64] | None  # item ids; None: none
    spare: int  # how many more vectors to ask for, because entries are left out afterwards


def read_snapshot(catalog: Catalog, previous: Snapshot | None = None) -> Snapshot:
    """Read the newest generation, from the difference to `previous` where the space is the same.

    Raises:
        DamagedCatalogError: the catalog cannot be read or holds what it cannot hold.
    """
    for _ in range(_ATTEMPTS):
        with catalog.database.reading() as connection:
            try:
                snapshot = _read(catalog, connection, previous)
            except (ValueError, TypeError, OverflowError) as error:
                # SQLite holds no checksums: a flipped bit may come out as an impossible value.
                path = catalog.store_dir / CATALOG_FILE
                raise DamagedCatalogError(damaged_catalog(path, error)) from error
        # A merge may unlink a segment between the catalog's row and its opening; then there is a
        # newer generation, and what looked like damage is none.
        if not snapshot.problems or catalog.generation() == snapshot.generation:
            break
    return snapshot


def _read(catalog: Catalog, connection: sqlite3.Connection, previous: Snapshot | None) -> Snapshot:
    generation = catalog.generation()
    space = catalog.live_space()
    store_id = catalog.store_id()
    if space is None:
        return Snapshot(generation, store_id=store_id)
    if previous is None or (previous.store_id, previous.space) != (store_id, space):
        previous = Snapshot(-1, space, vectors=StoredVectors(space, catalog.store_dir))
    assert previous.vectors is not None  # noqa: S101  # a snapshot with a space has them
    record = latest_index(connection, space.id)
    index_id = record.id if record else None
    carried = previous.index if previous.index_id == index_id else None
    with ThreadPoolExecutor(1) as thread:
        # The index file is read and checked while the rows are.
        saved = thread.submit(_load_saved, None if carried else record, space, catalog.store_dir)
        vectors = previous.vectors.refreshed(
            connection, catalog.segments(space.id), previous.generation
        )
        if previous.generation < 0:
            give_back_freed()  # before as much again is taken for the entries
        change = previous.entries.refreshed(connection, space.id, previous.generation)
        if previous.generation < 0:
            catalog.database.let_go()
            give_back_freed()
        found, problem = saved.result()
    if carried is not None:
        carried = carried.with_reader(vectors)
        index = _changed(carried, vectors, change.added, change.removed)
        problem = previous.index_problem
    else:
        index = _taken_up(found, vectors, distinct(change.table.vector_ids))
    return Snapshot(generation, space, change.table, vectors, index, index_id, problem, store_id)


def _load_saved(
    record: IndexRecord | None, space: Space, store_dir: Path
) -> tuple[FaissIndex | None, str | None]:
    """A saved index, which has no stored vectors yet, or why its file cannot be used."""
    if record is None:
        return None, None
    path, nothing = index_path(store_dir, record.file), StoredVectors(space, store_dir)
    try:
        return load_index(path, record.sha256, nothing, record.recall), None
    except DamagedIndexError as error:
        return None, str(error)


def _taken_up(
    saved: FaissIndex | None, vectors: StoredVectors, wanted: NDArray[np.int64]
) -> FaissIndex:
    """An index over the `wanted` ids, from the saved one where there is one."""
    if saved is not None:
        held = saved.ids()
        added = np.setdiff1d(wanted, held, assume_unique=True)
        removed = np.setdiff1d(held, wanted, assume_unique=True)
        return _changed(saved.with_reader(vectors), vectors, added, removed)
    # Exact whatever the size: building a graph would keep the service from answering for longer.
    found = vectors.read(wanted)
    whole = np.isfinite(found).all(axis=1)
    return build_index(wanted[whole], found[whole], vectors, exact_up_to=len(wanted))


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
