"""A collection behind the index contract, with what changed since kept beside it.

As with FAISS, an index never changes: it is what the collection held when it was opened, less the
keys removed and plus the vectors added since, which are searched exactly. A key that is in both is
taken from the change, so it does no harm if the collection catches up meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from core.store.index.contract import VectorIndex
from core.store.index.milvus.collection import MOST_HITS, MilvusCollection
from core.store.index.milvus.connection import STRONG
from core.store.index.milvus.filters import among, not_among
from core.store.index.milvus.layout import VECTOR
from core.store.index.ranking import best, member, nothing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_LOWEST, _HIGHEST = -(2**62), 2**62  # far beyond any key
_KEYS_AT_ONCE: Final = 4_096


class MilvusIndex(VectorIndex):
    """An index over a collection."""

    def __init__(self, collection: MilvusCollection) -> None:
        """Open a collection as it is.

        Raises:
            IndexUnavailableError: it cannot be asked, or is not there.
        """
        facts = collection.facts() or {}
        structure = facts.get("index", "")
        self.dimension = int(facts.get("dimension", 0))
        self.kind = "exact" if structure == "FLAT" else f"Milvus {structure}"
        self.recall = facts.get("recall")
        self._collection = collection
        self._count = collection.count()
        self._gone = np.empty(0, np.int64)  # keys of the collection that are not to be found
        self._ids = np.empty(0, np.int64)  # of the vectors added, sorted
        self._vectors = np.empty((0, self.dimension), np.float32)

    def __len__(self) -> int:
        return self._count - len(self._gone) + len(self._ids)

    def search(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """See `VectorIndex.search`; of the collection at most `MOST_HITS` are found."""
        found = [
            self._search_collection(queries, k, allowed),
            self._search_change(queries, k, allowed),
        ]
        scores = np.concatenate([part[0] for part in found], axis=1)
        ids = np.concatenate([part[1] for part in found], axis=1)
        return best(scores, ids, k)

    def within(
        self,
        query: NDArray[np.float32],
        threshold: float,
        allowed: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """See `VectorIndex.within`; every vector is fetched and compared here."""
        keys, scores = [self._ids], [self._vectors @ query]
        for ids, vectors in self._stored(allowed):
            left = ~member(ids, np.union1d(self._gone, self._ids))
            keys.append(ids[left])
            scores.append(vectors[left] @ query)
        all_keys, all_scores = np.concatenate(keys), np.concatenate(scores).astype(np.float32)
        near = all_scores >= threshold
        if allowed is not None:
            near &= member(all_keys, allowed)
        order = np.flatnonzero(near)
        order = order[np.lexsort((all_keys[order], -all_scores[order]))]
        return all_scores[order], all_keys[order]

    def changed(
        self,
        added: NDArray[np.int64],
        vectors: NDArray[np.float32],
        removed: NDArray[np.int64],
    ) -> MilvusIndex:
        """See `VectorIndex.changed`; the collection stays as it is."""
        out = np.union1d(removed, added)
        other = object.__new__(MilvusIndex)
        other.dimension, other.kind, other.recall = self.dimension, self.kind, self.recall
        other._collection, other._count = self._collection, self._count
        other._gone = np.union1d(self._gone, self._held(np.setdiff1d(out, self._gone)))
        kept = ~member(self._ids, out)
        ids = np.concatenate([self._ids[kept], added])
        order = np.argsort(ids, kind="stable")
        other._ids = ids[order]
        rows = np.concatenate([self._vectors[kept], vectors.astype(np.float32)])
        other._vectors = rows[order]
        return other

    def _held(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which keys the collection has."""
        found = [np.empty(0, np.int64)]
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            asked = among("pk", keys[start : start + _KEYS_AT_ONCE].tolist())
            rows = self._collection.query(asked, (), consistency=STRONG)
            found.append(np.array([row["pk"] for row in rows], np.int64))
        return np.sort(np.concatenate(found))

    def _search_collection(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        if allowed is not None:
            allowed = allowed[~member(allowed, self._gone)]
            if not len(allowed):
                return nothing(len(queries))
            expression = among("pk", allowed.tolist())
        else:
            expression = not_among("pk", self._gone.tolist())
        hits = self._collection.search(queries, k, expression)
        width = max(map(len, hits), default=0)
        scores = np.full((len(queries), width), -np.inf, np.float32)
        ids = np.full((len(queries), width), -1, np.int64)
        for place, row in enumerate(hits):
            scores[place, : len(row)] = [hit.score for hit in row]
            ids[place, : len(row)] = [hit.key for hit in row]
        return scores, ids

    def _search_change(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        ids, vectors = self._ids, self._vectors
        if allowed is not None:
            kept = member(ids, allowed)
            ids, vectors = ids[kept], vectors[kept]
        if not len(ids):
            return nothing(len(queries))
        scores = queries @ vectors.T
        return best(scores, np.broadcast_to(ids, scores.shape), min(k, MOST_HITS))

    def _stored(
        self, allowed: NDArray[np.int64] | None
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Keys and vectors of the collection, some thousand at a time; all, or those allowed."""
        if allowed is not None and not len(allowed):
            return
        low = _LOWEST if allowed is None else int(allowed[0])
        high = _HIGHEST if allowed is None else int(allowed[-1]) + 1
        keys, vectors = list[int](), list[object]()
        for row in self._collection.rows(low, high, (VECTOR,)):
            keys.append(row["pk"])
            vectors.append(row[VECTOR])
            if len(keys) == _KEYS_AT_ONCE:
                yield np.array(keys, np.int64), np.array(vectors, np.float32)
                keys, vectors = [], []
        if keys:
            yield np.array(keys, np.int64), np.array(vectors, np.float32)
