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

from typing import TYPE_CHECKING, Final

import faiss
import numpy as np

from core.errors import DamagedIndexError
from core.store.files import sha256_of, write_file_durably
from core.store.index.contract import VectorIndex, VectorReader

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_LINKS: Final = 32  # neighbours of a node of the graph
_BUILD_BREADTH: Final = 80
_LEAST_BREADTH: Final = 96  # nodes a search visits at least
_CANDIDATES_PER_RESULT: Final = 4  # scored again from the stored vectors
_SCAN_SHARE: Final = 0.05  # filters that allow less are scanned exactly: a graph would miss them
_SCAN_ROWS: Final = 16_384  # vectors read at once by an exhaustive scan
_RECALL_QUERIES: Final = 200
_RECALL_K: Final = 10


class FaissIndex(VectorIndex):
    """An immutable base and the change since, searched as one."""

    def __init__(
        self, mapped: faiss.IndexIDMap, reader: VectorReader, recall: float | None = None
    ) -> None:
        self.dimension = mapped.d
        self.recall = recall
        self._mapped = mapped  # owns the base
        self._base = faiss.downcast_index(mapped.index)
        self._base_ids: NDArray[np.int64] = faiss.vector_to_array(mapped.id_map)
        self._reader = reader
        self._gone: NDArray[np.bool_] = np.zeros(len(self._base_ids), dtype=bool)
        self._extra_ids: NDArray[np.int64] = np.empty(0, np.int64)
        self._extra: NDArray[np.float32] = np.empty((0, mapped.d), np.float32)

    @property
    def exact(self) -> bool:
        """Whether the base compares a query with every vector."""
        return not isinstance(self._base, faiss.IndexHNSW)

    @property
    def kind(self) -> str:  # type: ignore[override]  # derived, never assigned
        """The structure of the base."""
        return "exact" if self.exact else f"HNSW{_LINKS},SQ8"

    def __len__(self) -> int:
        return len(self._base_ids) - int(self._gone.sum()) + len(self._extra_ids)

    def search(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """See `VectorIndex.search`."""
        found = [self._search_base(queries, k, allowed), self._search_extra(queries, k, allowed)]
        scores = np.concatenate([part[0] for part in found], axis=1)
        ids = np.concatenate([part[1] for part in found], axis=1)
        return _best(scores, ids, k)

    def within(
        self,
        query: NDArray[np.float32],
        threshold: float,
        allowed: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """See `VectorIndex.within`."""
        ids = self.ids()
        if allowed is not None:
            ids = ids[_member(ids, allowed)]
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
        other = FaissIndex(self._mapped, self._reader, self.recall)
        out = np.union1d(removed, added)
        other._gone = self._gone | _member(self._base_ids, out)
        kept = ~_member(self._extra_ids, out)
        ids = np.concatenate([self._extra_ids[kept], added])
        order = np.argsort(ids, kind="stable")
        other._extra_ids = ids[order]
        other._extra = np.concatenate([self._extra[kept], vectors.astype(np.float32)])[order]
        return other

    def with_reader(self, reader: VectorReader) -> FaissIndex:
        """Give the same index over another view of the stored vectors."""
        other = FaissIndex(self._mapped, reader, self.recall)
        other._gone, other._extra_ids, other._extra = self._gone, self._extra_ids, self._extra
        return other

    def ids(self) -> NDArray[np.int64]:
        """Every id that can be found, sorted."""
        return np.union1d(self._base_ids[~self._gone], self._extra_ids)

    def save(self, path: Path) -> bytes:
        """Make the base durable at `path` and give its SHA-256."""
        write_file_durably(path, lambda temporary: faiss.write_index(self._mapped, str(temporary)))
        return sha256_of(path)

    def _search_base(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        usable = ~self._gone
        if allowed is not None:
            usable &= _member(self._base_ids, allowed)
        count = int(usable.sum())
        if count == 0:
            return _nothing(len(queries))
        if not self.exact and count < _SCAN_SHARE * len(self._base_ids):
            return _score(queries, self._base_ids[usable], self._reader, k)
        selector = None
        if count < len(usable):
            selector = faiss.IDSelectorBitmap(np.packbits(usable, bitorder="little"))
        if self.exact:
            parameters = faiss.SearchParameters(sel=selector) if selector else None
            scores, rows = self._base.search(queries, min(k, count), params=parameters)
            return scores, np.where(rows < 0, -1, self._base_ids[rows])
        return self._search_graph(queries, k, selector)

    def _search_graph(
        self, queries: NDArray[np.float32], k: int, selector: faiss.IDSelector | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        wanted = min(len(self._base_ids), _CANDIDATES_PER_RESULT * k)
        parameters = faiss.SearchParametersHNSW(sel=selector, efSearch=max(_LEAST_BREADTH, wanted))
        _, rows = self._base.search(queries, wanted, params=parameters)
        scores = np.full(rows.shape, -np.inf, np.float32)
        ids = np.full(rows.shape, -1, np.int64)
        for i, query_rows in enumerate(rows):
            candidates = self._base_ids[query_rows[query_rows >= 0]]
            ids[i, : len(candidates)] = candidates
            scores[i, : len(candidates)] = self._reader.read(candidates) @ queries[i]
        return _best(np.nan_to_num(scores, nan=-np.inf, neginf=-np.inf), ids, k)

    def _search_extra(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        ids, vectors = self._extra_ids, self._extra
        if allowed is not None:
            kept = _member(ids, allowed)
            ids, vectors = ids[kept], vectors[kept]
        if not len(ids):
            return _nothing(len(queries))
        scores = queries @ vectors.T
        return _best(scores, np.broadcast_to(ids, scores.shape), k)


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
    mapped = _fill(base, ids, vectors)
    recall = _measure_recall(FaissIndex(mapped, reader), ids, vectors)
    return FaissIndex(mapped, reader, recall)


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
    return FaissIndex(faiss.read_index(str(path)), reader, recall)


def _fill(
    base: faiss.Index, ids: NDArray[np.int64], vectors: NDArray[np.float32]
) -> faiss.IndexIDMap:
    mapped = faiss.IndexIDMap(base)
    mapped.add_with_ids(vectors, ids)
    return mapped


def _measure_recall(
    index: FaissIndex, ids: NDArray[np.int64], vectors: NDArray[np.float32]
) -> float:
    """Share of the true ten nearest that the index finds, over sampled catalogue vectors."""
    generator = np.random.default_rng(0)
    rows = generator.choice(len(ids), min(_RECALL_QUERIES, len(ids)), replace=False)
    queries = vectors[rows]
    exact = faiss.knn(queries, vectors, _RECALL_K, metric=faiss.METRIC_INNER_PRODUCT)[1]
    _, found = index.search(queries, _RECALL_K)
    hits = sum(len(np.intersect1d(ids[true], got)) for true, got in zip(exact, found, strict=True))
    return float(hits / exact.size)


def _score(
    queries: NDArray[np.float32], ids: NDArray[np.int64], reader: VectorReader, k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    scores = np.nan_to_num(queries @ reader.read(ids).T, nan=-np.inf)
    return _best(scores, np.broadcast_to(ids, scores.shape), k)


def _best(
    scores: NDArray[np.float32], ids: NDArray[np.int64], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The k best columns of each row, equal scores by ascending id, padded with -1."""
    ids = np.where(np.isneginf(scores), -1, ids)
    order = np.lexsort((ids, -scores), axis=1)[:, :k]
    scores, ids = np.take_along_axis(scores, order, 1), np.take_along_axis(ids, order, 1)
    short = k - scores.shape[1]
    if short > 0:
        scores = np.pad(scores, ((0, 0), (0, short)), constant_values=-np.inf)
        ids = np.pad(ids, ((0, 0), (0, short)), constant_values=-1)
    return scores.astype(np.float32), ids.astype(np.int64)


def _nothing(queries: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    return np.empty((queries, 0), np.float32), np.empty((queries, 0), np.int64)


def _member(ids: NDArray[np.int64], among: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of `ids` are in the sorted `among`."""
    if not len(among):
        return np.zeros(len(ids), dtype=bool)
    places = np.minimum(np.searchsorted(among, ids), len(among) - 1)
    return np.equal(among[places], ids)
