"""Near-duplicates: photos of the catalogue that show the same, found through the index.

A thread compares every vector with its nearest neighbours once and keeps the close pairs. When
the catalogue changes only the vectors that came are compared; a pair whose photo went is forgotten.
Any threshold above the floor is then answered from the pairs at hand, while the thread works, too.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from core.store.entries import Entry, EntryTable
    from core.store.snapshot import Snapshot

log = logging.getLogger(__name__)

FLOOR: Final = 0.9
"""Pairs below this similarity are not kept."""

_NEIGHBOURS: Final = 12  # of each vector; a larger group is still found, link by link
_CHUNK: Final = 64  # vectors compared at once, after which searches have their turn
_MOST_SHOWN: Final = 50  # photos of one group in an answer


@dataclass(frozen=True)
class Group:
    """Photos that look the same, each linked to another by at least the threshold."""

    entries: list[Entry]  # by product, then path; the first `_MOST_SHOWN`
    size: int  # of the whole group, in photos
    products: int
    score: float  # of the weakest link; 1 where the files are equal

    @property
    def same_content(self) -> bool:
        """Whether the photos have one vector: the same file under several names."""
        return len({entry.vector_id for entry in self.entries}) == 1


@dataclass(frozen=True)
class Duplicates:
    """The groups of one moment."""

    groups: list[Group]  # the most alike first
    compared: int  # vectors compared with the others so far
    vectors: int  # vectors there are

    @property
    def complete(self) -> bool:
        """Whether every vector has been compared."""
        return self.compared >= self.vectors


class DuplicateFinder:
    """Looks for near-duplicates in the background, from the first time it is asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None  # the newest one that was asked about
        self._ids: NDArray[np.int64] = np.empty(0, np.int64)  # its vectors, sorted
        self._pending: NDArray[np.int64] = np.empty(0, np.int64)  # of these, not compared yet
        self._pairs: dict[tuple[int, int], float] = {}  # vector ids, the smaller first
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def find(self, snapshot: Snapshot, threshold: float, *, across_products: bool) -> Duplicates:
        """Group what is known so far, and see that the rest is being compared."""
        with self._lock:
            self._follow(snapshot)
            vectors, compared = len(self._ids), len(self._ids) - len(self._pending)
            links = [(*pair, score) for pair, score in self._pairs.items() if score >= threshold]
        groups = list(_groups(snapshot.entries, links))
        if across_products:
            groups = [group for group in groups if group.products > 1]
        groups.sort(key=lambda group: (-group.score, -group.size, group.entries[0].path))
        return Duplicates(groups, compared, vectors)

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _follow(self, snapshot: Snapshot) -> None:
        """Take up a newer snapshot; start the thread where it has something to do."""
        if self._snapshot is None or snapshot.generation != self._snapshot.generation:
            self._take_up(snapshot)
        working = self._thread is not None and self._thread.is_alive()
        if len(self._pending) and not working and not self._stopping.is_set():
            self._thread = threading.Thread(target=self._work, name="duplicates", daemon=True)
            self._thread.start()

    def _take_up(self, snapshot: Snapshot) -> None:
        """Keep what still holds: pairs and comparisons of vectors that are still there."""
        done = np.setdiff1d(self._ids, self._pending, assume_unique=True)
        if _space(snapshot) != _space(self._snapshot):
            done = np.empty(0, np.int64)  # another model: other vectors under other ids
        self._snapshot = snapshot
        self._ids = np.unique(snapshot.entries.vector_ids)
        self._pending = np.setdiff1d(self._ids, done, assume_unique=True)
        held = set(np.intersect1d(done, self._ids, assume_unique=True).tolist())
        # A pair is known from the side that was compared first; the other may be pending.
        present = set(self._ids.tolist()) if held else held
        self._pairs = {
            pair: score
            for pair, score in self._pairs.items()
            if present.issuperset(pair) and not held.isdisjoint(pair)
        }

    def _work(self) -> None:
        try:
            while not self._stopping.is_set() and self._work_once():
                pass
        except Exception:
            log.exception("The search for near-duplicates broke off; asking again resumes it.")

    def _work_once(self) -> bool:
        """Compare some vectors; false once there are none left."""
        with self._lock:
            snapshot, ids = self._snapshot, self._pending[:_CHUNK]
        if snapshot is None or not len(ids):
            return False
        started = time.monotonic()
        found = _close_pairs(snapshot, ids)
        with self._lock:
            if self._snapshot is snapshot:  # else these are compared with what there is by now
                self._pairs.update(found)
                self._pending = self._pending[len(ids) :]
        # Half of the time is left to searches.
        self._stopping.wait(time.monotonic() - started)
        return True


def _space(snapshot: Snapshot | None) -> int | None:
    return snapshot.space.id if snapshot is not None and snapshot.space is not None else None


def _close_pairs(snapshot: Snapshot, ids: NDArray[np.int64]) -> dict[tuple[int, int], float]:
    """The pairs of some vectors and their near neighbours."""
    if snapshot.index is None or snapshot.vectors is None:
        return {}
    vectors = snapshot.vectors.read(ids)
    whole = np.isfinite(vectors).all(axis=1)
    ids, vectors = ids[whole], vectors[whole]
    if not len(ids):
        return {}
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores, found = snapshot.index.search(vectors, _NEIGHBOURS + 1)
    rows, columns = np.nonzero((scores >= FLOOR) & (found >= 0) & (found != ids[:, None]))
    return {
        (min(one, other), max(one, other)): min(1.0, score)
        for one, other, score in zip(
            ids[rows].tolist(),
            found[rows, columns].tolist(),
            scores[rows, columns].tolist(),
            strict=True,
        )
    }


def _groups(table: EntryTable, links: Iterable[tuple[int, int, float]]) -> Iterator[Group]:
    """Join linked vectors; a vector that stands for several photos is a group by itself."""
    leaders: dict[int, int] = {}

    def leader_of(vector: int) -> int:
        while leaders.setdefault(vector, vector) != vector:
            leaders[vector] = leaders[leaders[vector]]
            vector = leaders[vector]
        return vector

    weakest: dict[int, float] = {}
    for one, other, score in links:
        first, second = leader_of(one), leader_of(other)
        leaders[second] = first
        weakest[first] = min(score, weakest.get(first, 1.0), weakest.get(second, 1.0))
    ids, counts = np.unique(table.vector_ids, return_counts=True)
    for vector in ids[counts > 1].tolist():
        leader_of(vector)
    members: dict[int, list[int]] = defaultdict(list)
    for vector in list(leaders):
        members[leader_of(vector)].append(vector)
    for leader, vectors in members.items():
        group = _group(table, vectors, weakest.get(leader, 1.0))
        if group is not None:
            yield group


def _group(table: EntryTable, vectors: list[int], score: float) -> Group | None:
    """The photos of some vectors; None where they are moments of one video."""
    first: dict[int, int] = {}  # item -> its first place
    for vector in sorted(vectors):
        for place in table.places_of(vector):
            first.setdefault(int(table.item_ids[place]), place)
    if len(first) < 2:
        return None
    places = sorted(first.values(), key=lambda at: (table.product_of(at), table.path_of(at)))
    products = len({table.product_of(place) for place in places})
    return Group([table[place] for place in places[:_MOST_SHOWN]], len(places), products, score)
