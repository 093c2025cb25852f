"""The FAISS adapter: exact while a catalogue is small, a graph of 8-bit codes when it is large.

FAISS crashes when an index is changed during a search, so nothing here ever changes one. A
`FaissIndex` is a base that was built once, plus the few vectors added and ids removed since, kept
beside it; `changed` shares the base.

The base searches float16 vectors exactly up to a set size. Beyond it, an HNSW graph over 8-bit
codes (Malkov and Yashunin 2016) proposes candidates, which are scored again from the stored
vectors, so that a score means the same at every size. Where a filter leaves the graph little to
find, the codes of what it allows are compared instead, which misses nothing.

On disk a base is FAISS's own format, an ``IndexIDMap`` over the structure. FAISS loads many
damaged files without a word, so a file is read only after its SHA-256 was checked.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import faiss
import numpy as np

from core.errors import DamagedIndexError
from core.store.files import sha256_of, write_file_durably
from core.store.index.base import Base, padded
from core.store.index.contract import VectorIndex, VectorReader
from core.store.index.ranking import best, best_of, member, nothing

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_LINKS: Final = 32  # neighbours of a node of the graph
_BUILD_BREADTH: Final = 80
_BREADTHS: Final = (64, 96, 128, 192, 256, 384, 512, 768, 1024)  # nodes that a search may visit
_SPARE: Final = 6  # candidates at least, beside the k, that are scored again from stored vectors
_SCAN_SHARE: Final = 0.05  # filters that allow less miss nothing, whatever that costs
_NODE_COST: Final = 10  # codes compared in the time that visiting a node of the graph takes
_PADDED_AT_ONCE: Final = 65_536  # vectors, for a copy of them all may not fit into memory
_READ_ROWS: Final = 16_384  # stored vectors read at once
_RECALL_QUERIES: Final = 400
_RECALL_AIM: Final = 0.985  # a little more than is promised, for it is measured on a sample
_RECALL_K: Final = 10

_Ranked = tuple["NDArray[np.float32]", "NDArray[np.int64]"]
"""Scores and ids, best first."""


@dataclass(frozen=True, eq=False)
class _Change:
    """What became of a base since."""

    gone: NDArray[np.signedinteger]  # rows of the base, sorted
    left: faiss.IDSelector | None  # the rows that are not gone; None: all
    ids: NDArray[np.int64]  # of the vectors added, sorted
    vectors: NDArray[np.float32]  # [len(ids), d]


class FaissIndex(VectorIndex):
    """An immutable base and the change since, searched as one."""

    def __init__(
        self,
        base: Base,
        reader: VectorReader,
        recall: float | None = None,
        change: _Change | None = None,
    ) -> None:
        self.dimension = reader.read(np.empty(0, np.int64)).shape[1]
        self.recall = recall
        self.base = base
        self._reader = reader
        none = np.empty(0, np.int64)
        self._change = change or _Change(none, None, none, np.empty((0, self.dimension), "f4"))

    @property
    def exact(self) -> bool:
        """Whether the base compares a query with every vector."""
        return self.base.exact

    @property
    def kind(self) -> str:  # type: ignore[override]  # derived, never assigned
        """The structure of the base."""
        return "exact" if self.exact else f"HNSW{_LINKS},SQ8"

    def __len__(self) -> int:
        return len(self.base) - len(self._change.gone) + len(self._change.ids)

    def search(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """See `VectorIndex.search`."""
        # FAISS shares the queries of a batch between threads; for one query, waking the others
        # costs more than the search. The number is of the calling thread alone.
        faiss.omp_set_num_threads(1 if len(queries) == 1 else os.cpu_count() or 1)
        scores, ids = self._search_base(queries, k, allowed)
        extra_ids, extra = self._change.ids, self._change.vectors
        if allowed is not None and len(extra_ids):
            kept = member(extra_ids, allowed)
            extra_ids, extra = extra_ids[kept], extra[kept]
        if not len(extra_ids):
            return scores, ids
        extra_scores = queries @ extra.T
        ids = np.concatenate([ids, np.broadcast_to(extra_ids, extra_scores.shape)], axis=1)
        return best(np.concatenate([scores, extra_scores], axis=1), ids, k)

    def within(
        self,
        query: NDArray[np.float32],
        threshold: float,
        allowed: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """See `VectorIndex.within`."""
        ids = self.ids()
        if allowed is not None:
            ids = ids[member(ids, allowed)]
        scores = np.nan_to_num(self._scored(query, ids), nan=-np.inf)
        near = np.flatnonzero(scores >= threshold)
        order = near[np.lexsort((ids[near], -scores[near]))]
        return scores[order].astype(np.float32), ids[order]

    def changed(
        self,
        added: NDArray[np.int64],
        vectors: NDArray[np.float32],
        removed: NDArray[np.int64],
    ) -> FaissIndex:
        """See `VectorIndex.changed`."""
        before, out = self._change, np.union1d(removed, added)
        gone, left = self.base.rows_of(out), before.left
        if len(gone):
            gone = np.union1d(before.gone, gone)
            left = self.base.selector(np.delete(np.arange(len(self.base)), gone))
        else:
            gone = before.gone
        kept = ~member(before.ids, out)
        ids = np.concatenate([before.ids[kept], added])
        order = np.argsort(ids, kind="stable")
        rows = np.concatenate([before.vectors[kept], vectors.astype(np.float32)])[order]
        return FaissIndex(
            self.base, self._reader, self.recall, _Change(gone, left, ids[order], rows)
        )

    def with_reader(self, reader: VectorReader) -> FaissIndex:
        """Give the same index over another view of the stored vectors."""
        return FaissIndex(self.base, reader, self.recall, self._change)

    def ids(self) -> NDArray[np.int64]:
        """Every id that can be found, sorted."""
        base = np.delete(self.base.ids, self._change.gone)
        return np.insert(base, np.searchsorted(base, self._change.ids), self._change.ids)

    def save(self, path: Path) -> bytes:
        """Make the base durable at `path` and give its SHA-256."""
        write_file_durably(
            path, lambda temporary: faiss.write_index(self.base.mapped, str(temporary))
        )
        return sha256_of(path)

    def _search_base(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None
    ) -> _Ranked:
        rows = None if allowed is None else self.base.rows_of(allowed)
        if rows is not None and len(self._change.gone):
            rows = rows[~member(rows, self._change.gone)]
        count = len(self.base) - len(self._change.gone) if rows is None else len(rows)
        if count == 0:
            return best(*nothing(len(queries)), k)
        if not self.exact:
            return self._search_codes(queries, k, rows, count, k + max(_SPARE, k // 2))
        selector = self._change.left if rows is None else self.base.selector(rows)
        scores, found = self.base.search_all(queries, min(k, count), selector)
        return best(scores, np.where(found < 0, -1, self.base.ids[found]), k)

    def _search_codes(
        self,
        queries: NDArray[np.float32],
        k: int,
        rows: NDArray[np.integer] | None,
        count: int,
        wanted: int,
    ) -> _Ranked:
        """Search `rows` (None: all that are left), `count` in all, through `wanted` candidates."""
        # The rarer what may be found, the more nodes are visited to meet enough of it.
        breadth = max(self.base.breadth, math.ceil(wanted * len(self.base) / count))
        if count < _SCAN_SHARE * len(self.base) or breadth * _NODE_COST >= count:
            found = [self._scan(query, k, rows) for query in queries]
        else:
            selector = self._change.left if rows is None else self.base.selector(rows)
            near = self.base.search_graph(queries, wanted, breadth, selector)
            found = [self._ranked(*one, k) for one in zip(queries, near, strict=True)]
            for place, (_, ids) in enumerate(found):
                if ids[-1] < 0:  # what may be found lies far away, or is lost
                    again = queries[place : place + 1]
                    scores, wider = self._search_codes(again, k, rows, count, 4 * wanted)
                    found[place] = scores[0], wider[0]
        if len(found) == 1:
            return found[0][0][None], found[0][1][None]
        return np.stack([one[0] for one in found]), np.stack([one[1] for one in found])

    def _scan(
        self, query: NDArray[np.float32], k: int, rows: NDArray[np.integer] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The k best of `rows` (None: all that are left), none missed."""
        if rows is None:
            rows = np.delete(np.arange(len(self.base)), self._change.gone)
        if len(rows) <= k:
            return self._ranked(query, rows, k)
        coded = self.base.coded_scores(query, rows)
        # The k-th best may be overrated by the error, and what beats it underrated by as much.
        least = np.partition(coded, -k)[-k] - 2 * self.base.coded_error
        scores, ids = self._ranked(query, rows[coded >= least], k)
        return (scores, ids) if ids[-1] >= 0 else self._ranked(query, rows, k)

    def _ranked(self, query: NDArray[np.float32], rows: NDArray[np.integer], k: int) -> _Ranked:
        """The k best of some rows (-1: none) by their stored vectors; a lost one is left out."""
        ids = self.base.ids[rows if rows[-1:] != -1 else rows[rows >= 0]]
        return best_of(self._scored(query, ids), ids, k)

    def _scored(self, query: NDArray[np.float32], ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The scores of stored vectors; not a number for one that is lost."""
        scores = np.empty(len(ids), np.float32)
        for start in range(0, len(ids), _READ_ROWS):
            part = slice(start, start + _READ_ROWS)
            # Row by row: in a matrix product equal rows may differ in their last bit.
            np.vecdot(self._reader.read(ids[part]), query, out=scores[part])
        return scores


def build_index(
    ids: NDArray[np.int64], vectors: NDArray[np.float32], reader: VectorReader, exact_up_to: int
) -> FaissIndex:
    """Build a base over `ids` (sorted) and their `[n, d]` vectors.

    Up to `exact_up_to` vectors it is exact; above, its recall is measured and kept.
    """
    dimension = padded(vectors[:0]).shape[1]
    if len(ids) <= exact_up_to:
        base = faiss.IndexScalarQuantizer(
            dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        return FaissIndex(_fill(base, ids, vectors), reader)
    base = faiss.IndexHNSWSQ(
        dimension, faiss.ScalarQuantizer.QT_8bit, _LINKS, faiss.METRIC_INNER_PRODUCT
    )
    base.hnsw.efConstruction = _BUILD_BREADTH
    # All that it learns from vectors is the least and the greatest of each number.
    base.train(padded(np.stack([vectors.min(axis=0), vectors.max(axis=0)])))
    index = FaissIndex(_fill(base, ids, vectors), reader)
    index.recall = _widen(index, ids, vectors)
    return index


def load_index(path: Path, sha256: bytes, reader: VectorReader, recall: float | None) -> FaissIndex:
    """Read a base back once its checksum has been found right.

    Raises:
        DamagedIndexError: the file is missing or not what was written.
    """
    try:
        found = sha256_of(path)
    except OSError as error:
        raise DamagedIndexError(f"Index {path} cannot be read: {error}.") from error
    if found != sha256:
        raise DamagedIndexError(
            f"Index {path} is not what was written: its SHA-256 differs from the catalog's. "
            "The next ingest run builds it anew."
        )
    return FaissIndex(Base(faiss.read_index(str(path))), reader, recall)


def _fill(base: faiss.Index, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> Base:
    mapped = faiss.IndexIDMap(base)
    parts = 1 if vectors.shape[1] == base.d else 1 + len(ids) // _PADDED_AT_ONCE
    for some, those in zip(np.array_split(vectors, parts), np.array_split(ids, parts), strict=True):
        mapped.add_with_ids(padded(some), those)
    return Base(mapped)


def _widen(index: FaissIndex, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> float:
    """Let searches visit as many nodes as the aim takes, and give the recall that comes of it.

    Recall is the share of the true ten nearest that is found, over sampled catalogue vectors; a
    vector does not count as its own neighbour. FAISS saves the breadth with the graph.
    """
    dice = np.random.default_rng(0)
    rows = dice.choice(len(ids), min(_RECALL_QUERIES, len(ids)), replace=False)
    near = faiss.knn(vectors[rows], vectors, _RECALL_K + 1, metric=faiss.METRIC_INNER_PRODUCT)[1]
    recall = 0.0
    for breadth in _BREADTHS:
        index.base.widen_to(breadth)
        _, found = index.search(vectors[rows], _RECALL_K + 1)
        hits = sum(
            len(np.intersect1d(ids[true], got)) - 1 for true, got in zip(near, found, strict=True)
        )
        recall = hits / max(1, near.size - len(near))
        if recall >= _RECALL_AIM:
            break
    return float(recall)
