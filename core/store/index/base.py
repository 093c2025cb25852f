"""The FAISS structure under an index: built once, searched by many threads, never changed.

A graph holds every vector as 8-bit codes, a number of `vdiff / 255` each. Rounded to the middle of
its step, no number is off by more than half of one; so no score of a unit query is off by more than
half the length of `vdiff / 255`, which is what lets codes choose for an exact search.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import faiss
import numpy as np

from core.store.index.ranking import rows_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DENSE: Final = 4  # ids may span so many times their number for a table of all in between
_LEVELS: Final = 255
_ROUNDING: Final = 1e-4  # of a score: float32 sums, and queries that are not quite of unit length
_ROWS_AT_ONCE: Final = 512  # codes that fit the processor's cache as floats
_LANES: Final = 16  # FAISS compares codes several times as fast if their length is a multiple


def padded(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """`[n, d]` vectors as a structure holds them: with zeros at the end, where FAISS likes them."""
    return _lengthened(vectors, vectors.shape[1] + -vectors.shape[1] % _LANES)


def _lengthened(vectors: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    spare = length - vectors.shape[-1]
    if not spare:
        return vectors
    longer = np.zeros((len(vectors), length), vectors.dtype)
    longer[:, : vectors.shape[1]] = vectors
    return longer


class Base:
    """One structure, and the ids of its rows."""

    def __init__(self, mapped: faiss.IndexIDMap) -> None:
        self.mapped = mapped  # owns the structure
        self.structure = faiss.downcast_index(mapped.index)
        self.ids: NDArray[np.int64] = faiss.vector_to_array(mapped.id_map)  # sorted
        self.exact = not isinstance(self.structure, faiss.IndexHNSW)
        # Nodes of a graph that a search visits which no filter narrows; FAISS saves it.
        self.breadth = 0 if self.exact else int(self.structure.hnsw.efSearch)

    def __len__(self) -> int:
        return len(self.ids)

    def widen_to(self, breadth: int) -> None:
        """Have searches visit so many nodes, before anything else sees the base."""
        self.breadth = self.structure.hnsw.efSearch = breadth

    def rows_of(self, ids: NDArray[np.int64]) -> NDArray[np.signedinteger]:
        """Which rows hold those of the sorted `ids` that are here, in order."""
        if self._row_of_each is None:
            return rows_of(self.ids, ids)
        first, after = np.searchsorted(ids, (self.ids[0], self.ids[-1] + 1)).tolist()
        rows: NDArray[np.int32] = self._row_of_each[ids[first:after] - self.ids[0]]
        held = rows >= 0
        if not held.all():
            rows = rows[held]
        return rows

    def selector(self, rows: NDArray[np.integer]) -> faiss.IDSelector:
        """What keeps a search to some rows."""
        usable = np.zeros(len(self.ids), np.bool_)
        usable[rows] = True
        return faiss.IDSelectorBitmap(np.packbits(usable, bitorder="little"))

    def search_all(
        self, queries: NDArray[np.float32], count: int, selector: faiss.IDSelector | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The scores and rows that an exact structure finds, best first."""
        queries = _lengthened(queries, self.mapped.d)
        parameters = faiss.SearchParameters(sel=selector) if selector else None
        scores, rows = self.structure.search(queries, count, params=parameters)
        return scores, rows

    def search_graph(
        self,
        queries: NDArray[np.float32],
        count: int,
        breadth: int,
        selector: faiss.IDSelector | None,
    ) -> NDArray[np.int64]:
        """About the `count` nearest rows of each query, best first, padded with -1."""
        queries = _lengthened(queries, self.mapped.d)
        parameters = None  # costs a search of little width a tenth of its time
        if selector is not None or breadth != self.breadth:
            parameters = faiss.SearchParametersHNSW(sel=selector, efSearch=breadth)
        rows: NDArray[np.int64] = self.structure.search(queries, count, params=parameters)[1]
        return rows

    def coded_scores(
        self, query: NDArray[np.float32], rows: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """The scores of a graph's rows by their codes, each at most `coded_error` off."""
        codes, (least, step) = self._codes, self._steps
        query = _lengthened(query[None], self.mapped.d)[0]
        scores = np.empty(len(rows), np.float32)
        scaled, middle = query * step, float(query @ (least + step / 2))
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part = codes[rows[start : start + _ROWS_AT_ONCE]].astype(np.float32)
            np.dot(part, scaled, out=scores[start : start + _ROWS_AT_ONCE])
        scores += middle
        return scores

    @cached_property
    def coded_error(self) -> float:
        """How far a score by codes may be from the score of the vector."""
        return float(np.linalg.norm(self._steps[1]) / 2) + _ROUNDING

    @cached_property
    def _row_of_each(self) -> NDArray[np.int32] | None:
        """The row of every id from the first to the last, -1 for one that is not here."""
        if not len(self.ids) or self.ids[-1] - self.ids[0] >= _DENSE * len(self.ids):
            return None
        table = np.full(int(self.ids[-1] - self.ids[0]) + 1, -1, np.int32)
        table[self.ids - self.ids[0]] = np.arange(len(self.ids), dtype=np.int32)
        return table

    @cached_property
    def _codes(self) -> NDArray[np.uint8]:
        """The graph's codes `[n, d]`, where FAISS holds them."""
        storage = faiss.downcast_index(self.structure.storage)
        size = len(self.ids) * storage.code_size
        codes: NDArray[np.uint8] = faiss.rev_swig_ptr(storage.codes.data(), size)
        return codes.reshape(len(self.ids), storage.code_size)

    @cached_property
    def _steps(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The least value of each number of a vector, and the step of its codes."""
        storage = faiss.downcast_index(self.structure.storage)
        trained: NDArray[np.float32] = faiss.vector_to_array(storage.sq.trained)
        least, span = np.split(trained, 2)
        return least, span / np.float32(_LEVELS)
