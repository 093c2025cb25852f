"""From how many vectors on the graph is quicker than comparing a query with all of them.

Both structures are built over the same drawn vectors by the code that readers use; the default of
LOOKALIKE_EXACT_INDEX_ITEMS follows from the size at which their times cross.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.figures import Figure, Options, Table, seconds, show_ms
from benchmarks.vectors import VectorSource
from core.store.index.faiss import build_index

if TYPE_CHECKING:
    from numpy.typing import NDArray

_K = 10
_QUERIES = 300


class _InMemory:
    """Vectors by id, as a store's reader gives them."""

    def __init__(self, vectors: NDArray[np.float16]) -> None:
        self.vectors = vectors

    def read(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        return self.vectors[ids].astype(np.float32)


def measure(options: Options) -> Table:
    """Search exact and approximate indexes of growing size."""
    source = VectorSource.around(options.embeddings)
    sizes = (2_000, 5_000) if options.quick else (5_000, 10_000, 20_000, 40_000, 80_000)
    queries = source.draw(_QUERIES, seed=10_000).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    return Table("The crossover", [_compare(source, size, queries) for size in sizes])


def _compare(source: VectorSource, size: int, queries: NDArray[np.float32]) -> Figure:
    stored = source.draw(size, seed=1)
    reader, ids = _InMemory(stored), np.arange(size)
    vectors = reader.read(ids)
    indexes = [build_index(ids, vectors, reader, limit) for limit in (size, 0)]
    times = np.array(
        [[seconds(partial(one.search, query[None], _K)) for one in indexes] for query in queries]
    )
    exact, graph = np.median(times, axis=0).tolist()
    return Figure(
        f"{indexes[1].kind}, {size:,} vectors, p50",
        f"{show_ms(graph)}; recall@{_K} {indexes[1].recall:.3f}",
        f"exact: {show_ms(exact)}",
        exact / graph,
        guarded=False,  # it settles a default; the store's own table is what is watched
    )
