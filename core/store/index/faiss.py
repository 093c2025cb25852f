"""The FAISS adapter: exact while a catalogue is small, a graph of 8-bit codes when it is large.

FAISS crashes when an index is changed during a search, so nothing here ever changes one. A
`FaissIndex` is a base that was built once, plus the few vectors added and ids removed since, kept
beside it; `changed` shares the base.

The base searches float16 vectors exactly up to a set size. Beyond it, an HNSW graph over 8-bit
codes (Malkov and Yashunin 2016) proposes candidates, which are scored again from the stored
vectors, so that a score means the same at every size.

On disk a base is FAISS's own format, an ``IndexIDMap`` over the structure. FAISS loads many
damaged files without a word, so a file is read only after its SHA-256 was checked.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import faiss
import numpy as np

from core.errors import DamagedIndexError
from core.store.files import sha256_of, write_file_durably
from core.store.index.contract import VectorIndex, VectorReader
from core.store.index.ranking import best, member, nothing, rows_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_LINKS: Final = 32  # neighbours of a node of the graph
_BUILD_BREADTH: Final = 80
_BREADTHS: Final = (96, 128, 192, 256, 384, 512, 768, 1024)  # nodes that a search may visit
_CANDIDATES_PER_RESULT: Final = 4  # scored again from the stored vectors
_SCAN_SHARE: Final = 0.05  # filters that allow less are scanned exactly: a graph would miss them
_SCAN_ROWS: Final = 16_384  # vectors read at once by an exhaustive scan
_RECALL_QUERIES: Final = 400
_RECALL_AIM: Final = 0.985  # a little more than is promised, for it is measured on a sample
_RECALL_K: Final = 10


class _Base:
    """What was built once and is shared by every index that followed from it."""

    def __init__(self, mapped: faiss.IndexIDMap) -> None:
        self.mapped = mapped  # owns the structure
        self.structure = faiss.downcast_index(mapped.index)
        self.ids: NDArray[np.int64] = faiss.vector_to_array(mapped.id_map)  # sorted


@dataclass(frozen=True, eq=False)
class _Change:
    """What became of a base since."""

    gone: NDArray[np.int64]  # rows of the base, sorted
    left: faiss.IDSelector | None  # the rows that are not gone; None: all
    ids: NDArray[np.int64]  # of the vectors added, sorted
    vectors: NDArray[np.float32]  # [len(ids), d]


class FaissIndex(VectorIndex):
    """An immutable base and the change since, searched as one."""

    def __init__(
        self,
        base: _Base,
        reader: VectorReader,
        recall: float | None = None,
        change: _Change | None = None,
    ) -> None:
        self.dimension = base.mapped.d
        self.recall = recall
        self._whole = base
        self._base = base.structure
        self._base_ids = base.ids
        self._reader = reader
        none = np.empty(0, np.int64)
        self._change = change or _Change(none, None, none, np.empty((0, self.dimension), "f4"))

    @property
    def exact(self) -> bool:
        """Whether the base compares a query with every vector."""
        return not isinstance(self._base, faiss.IndexHNSW)

    @property
    def kind(self) -> str:  # type: ignore[override]  # derived, never assigned
        """The structure of the base."""
        return "exact" if self.exact else f"HNSW{_LINKS},SQ8"

    def __len__(self) -> int:
        return len(self._base_ids) - len(self._change.gone) + len(self._change.ids)

    def search(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """See `VectorIndex.search`."""
        # FAISS shares the queries of a batch between threads; for one query, waking the others
        # costs more than the search. The number is of the calling thread alone.
        faiss.omp_set_num_threads(1 if len(queries) == 1 else os.cpu_count() or 1)
        found = [self._search_base(queries, k, allowed), self._search_extra(queries, k, allowed)]
        scores = np.concatenate([part[0] for part in found], axis=1)
        ids = np.concatenate([part[1] for part in found], axis=1)
        return best(scores, ids, k)

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
        parts = [
            self._reader.read(ids[start : start + _SCAN_ROWS]) @ query
            for start in range(0, len(ids), _SCAN_ROWS)
        ]
        scores = np.nan_to_num(np.concatenate([np.empty(0, np.float32), *parts]), nan=-np.inf)
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
        gone, left = rows_of(self._base_ids, out), before.left
        if len(gone):
            gone = np.union1d(before.gone, gone)
            usable = np.ones(len(self._base_ids), np.bool_)
            usable[gone] = False
            left = _selector(usable)
        else:
            gone = before.gone
        kept = ~member(before.ids, out)
        ids = np.concatenate([before.ids[kept], added])
        order = np.argsort(ids, kind="stable")
        rows = np.concatenate([before.vectors[kept], vectors.astype(np.float32)])[order]
        return FaissIndex(
            self._whole, self._reader, self.recall, _Change(gone, left, ids[order], rows)
        )

    def with_reader(self, reader: VectorReader) -> FaissIndex:
        """Give the same index over another view of the stored vectors."""
        return FaissIndex(self._whole, reader, self.recall, self._change)

    def ids(self) -> NDArray[np.int64]:
        """Every id that can be found, sorted."""
        base = np.delete(self._base_ids, self._change.gone)
        return np.insert(base, np.searchsorted(base, self._change.ids), self._change.ids)

    def save(self, path: Path) -> bytes:
        """Make the base durable at `path` and give its SHA-256."""
        write_file_durably(
            path, lambda temporary: faiss.write_index(self._whole.mapped, str(temporary))
        )
        return sha256_of(path)

    def _search_base(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        count, selector = len(self._base_ids) - len(self._change.gone), self._change.left
        if allowed is not None:
            rows = np.setdiff1d(
                rows_of(self._base_ids, allowed), self._change.gone, assume_unique=True
            )
            count = len(rows)
            if not self.exact and count < _SCAN_SHARE * len(self._base_ids):
                return _score(queries, self._base_ids[rows], self._reader, k)
            usable = np.zeros(len(self._base_ids), np.bool_)
            usable[rows] = True
            selector = _selector(usable)
        if count == 0:
            return nothing(len(queries))
        if self.exact:
            parameters = faiss.SearchParameters(sel=selector) if selector else None
            scores, found = self._base.search(queries, min(k, count), params=parameters)
            return scores, np.where(found < 0, -1, self._base_ids[found])
        return self._search_graph(queries, k, selector)

    def _search_graph(
        self, queries: NDArray[np.float32], k: int, selector: faiss.IDSelector | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        wanted = min(len(self._base_ids), _CANDIDATES_PER_RESULT * k)
        breadth = max(self._base.hnsw.efSearch, _BREADTHS[0], wanted)
        parameters = faiss.SearchParametersHNSW(sel=selector, efSearch=breadth)
        _, rows = self._base.search(queries, wanted, params=parameters)
        scores = np.full(rows.shape, -np.inf, np.float32)
        ids = np.full(rows.shape, -1, np.int64)
        for i, query_rows in enumerate(rows):
            candidates = self._base_ids[query_rows[query_rows >= 0]]
            ids[i, : len(candidates)] = candidates
            scores[i, : len(candidates)] = self._reader.read(candidates) @ queries[i]
        return best(np.nan_to_num(scores, nan=-np.inf, neginf=-np.inf), ids, k)

    def _search_extra(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        ids, vectors = self._change.ids, self._change.vectors
        if allowed is not None:
            kept = member(ids, allowed)
            ids, vectors = ids[kept], vectors[kept]
        if not len(ids):
            return nothing(len(queries))
        scores = queries @ vectors.T
        return best(scores, np.broadcast_to(ids, scores.shape), k)


def build_index(
    ids: NDArray[np.int64], vectors: NDArray[np.float32], reader: VectorReader, exact_up_to: int
) -> FaissIndex:
    """Build a base over `ids` (sorted) and their `[n, d]` vectors.

    Up to `exact_up_to` vectors it is exact; above, its recall is measured and kept.
    """
    dimension = vectors.shape[1]
    if len(ids) <= exact_up_to:
        base = faiss.IndexScalarQuantizer(
            dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        return FaissIndex(_fill(base, ids, vectors), reader)
    base = faiss.IndexHNSWSQ(
        dimension, faiss.ScalarQuantizer.QT_8bit, _LINKS, faiss.METRIC_INNER_PRODUCT
    )
    base.hnsw.efConstruction = _BUILD_BREADTH
    base.train(vectors)
    index = FaissIndex(_fill(base, ids, vectors), reader)
    index.recall = _widen(index, base, ids, vectors)
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
    return FaissIndex(_Base(faiss.read_index(str(path))), reader, recall)


def _fill(base: faiss.Index, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> _Base:
    mapped = faiss.IndexIDMap(base)
    mapped.add_with_ids(vectors, ids)
    return _Base(mapped)


def _widen(
    index: FaissIndex, base: faiss.IndexHNSWSQ, ids: NDArray[np.int64], vectors: NDArray[np.float32]
) -> float:
    """Let searches visit as many nodes as the aim takes, and give the recall that comes of it.

    Recall is the share of the true ten nearest that is found, over sampled catalogue vectors; a
    vector does not count as its own neighbour. FAISS saves the breadth with the graph.
    """
    dice = np.random.default_rng(0)
    rows = dice.choice(len(ids), min(_RECALL_QUERIES, len(ids)), replace=False)
    near = faiss.knn(vectors[rows], vectors, _RECALL_K + 1, metric=faiss.METRIC_INNER_PRODUCT)[1]
    recall = 0.0
    for breadth in _BREADTHS:
        base.hnsw.efSearch = breadth
        _, found = index.search(vectors[rows], _RECALL_K + 1)
        hits = sum(
            len(np.intersect1d(ids[true], got)) - 1 for true, got in zip(near, found, strict=True)
        )
        recall = hits / max(1, near.size - len(near))
        if recall >= _RECALL_AIM:
            break
    return float(recall)


def _score(
    queries: NDArray[np.float32], ids: NDArray[np.int64], reader: VectorReader, k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    scores = np.nan_to_num(queries @ reader.read(ids).T, nan=-np.inf)
    return best(scores, np.broadcast_to(ids, scores.shape), k)


def _selector(rows: NDArray[np.bool_]) -> faiss.IDSelector:
    return faiss.IDSelectorBitmap(np.packbits(rows, bitorder="little"))
