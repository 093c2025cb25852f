"""FAISS's structures beside each other, on the same drawn vectors.

Each is built and asked, one query at a time, on one thread. It proposes candidates, which are
scored again from the stored float16 vectors, as the adapter does it. It is widened until 98 % of
the true ten nearest are found; where that takes more than 40 candidates, more are tried. Then it
and the flat index are asked in turns. Memory is the size of the structure's file, which leaves the
stored vectors out.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import faiss
import numpy as np

from benchmarks.figures import Figure, Options, Table, seconds, show_ms
from benchmarks.vectors import VectorSource

if TYPE_CHECKING:
    from numpy.typing import NDArray

_K: Final = 10
_AIM: Final = 0.98
_CANDIDATES: Final = (40, 100, 200, 400)
_BREADTHS: Final = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024)  # nodes of a graph
_PROBES: Final = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)  # lists
_BUILD_BREADTH: Final = 80
_TRAINED_ON: Final = 39  # vectors for each list, the least that FAISS asks for
_QUERY_BITS: Final = 8  # RaBitQ's queries; whole ones take it several times as long
_KEPT: Final = "HNSW32,SQ8"
_STRUCTURES: Final = (
    _KEPT,
    "HNSW32,RaBitQ4",
    "HNSW32,FlatPanorama8",
    "IVF{lists},SQ8",
    "IVF{lists},PQ{half}x4fs",
    "RR,IVF{lists},RaBitQ",
    "RR,IVF{lists},RaBitQfs",
    "RR,IVF{lists},RaBitQfs4",
    "IVF{lists},FlatPanorama8_64",
)
_L2_ALONE: Final = ("HNSW32,RaBitQ", "HNSW32,FlatPanorama")  # which orders unit vectors alike


@dataclass
class _Task:
    """What every structure is asked."""

    stored: NDArray[np.float16]
    vectors: NDArray[np.float32]
    queries: NDArray[np.float32]
    truth: NDArray[np.int64]  # [q, _K]
    flat: faiss.IndexFlatIP

    def find(self, index: faiss.Index, candidates: int, query: NDArray[np.float32]) -> set[int]:
        """The rows of the ten best of the candidates."""
        rows = index.search(query[None], candidates)[1][0]
        rows = rows[rows >= 0]
        scores = self.stored[rows].astype(np.float32) @ query
        return set(rows[np.argsort(-scores)[:_K]].tolist())

    def recall(self, index: faiss.Index, candidates: int) -> float:
        """The share of the true ten nearest that is found."""
        hits = [
            len(self.find(index, candidates, query).intersection(true))
            for query, true in zip(self.queries, self.truth.tolist(), strict=True)
        ]
        return float(np.mean(hits)) / _K


def measure(options: Options) -> Table:
    """Build and search every structure."""
    source = VectorSource.around(options.embeddings)
    faiss.omp_set_num_threads(1)
    task = _task(source, max(options.items), 40 if options.quick else 200)
    table = Table("FAISS's structures")
    for name in _STRUCTURES:
        print(f"structures: {name}", file=sys.stderr, flush=True)
        table.figures.append(_measure_one(name, task))
    seeds = "real embeddings" if source.real else "drawn groups"
    table.note = (
        f"Vectors of {task.vectors.shape[1]} dimensions drawn around {seeds}. After the recall: "
        "nodes or lists visited, and candidates scored again. Building is in "
        "seconds of one core; the file is the structure's alone."
    )
    return table


def _task(source: VectorSource, items: int, count: int) -> _Task:
    stored = source.draw(items, 1)
    vectors = stored.astype(np.float32)
    queries = source.draw(count, seed=10_000).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    flat = faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)
    return _Task(stored, vectors, queries, flat.search(queries, _K)[1], flat)


def _measure_one(name: str, task: _Task) -> Figure:
    count, dimension = task.vectors.shape
    lists = 2 ** round(math.log2(4 * math.sqrt(count)))
    filled = name.format(lists=lists, half=dimension // 2).replace("RR", f"RR{dimension}")
    metric = faiss.METRIC_L2 if name.startswith(_L2_ALONE) else faiss.METRIC_INNER_PRODUCT
    index = faiss.index_factory(dimension, filled, metric)
    graph = isinstance(index, faiss.IndexHNSW)
    if graph:
        index.hnsw.efConstruction = _BUILD_BREADTH
    started = time.process_time()
    _fill(index, task.vectors, None if graph else _TRAINED_ON * lists)
    build = time.process_time() - started
    size = faiss.serialize_index(index).nbytes
    width, candidates, recall = _widen(index, task)
    works = (
        lambda query: task.flat.search(query[None], _K),
        lambda query: task.find(index, candidates, query),
    )
    times = np.array([[seconds(partial(work, query)) for work in works] for query in task.queries])
    plain, ours = np.median(times, axis=0).tolist()
    return Figure(
        f"{filled}{' (kept)' if name == _KEPT else ''}, {count:,} vectors",
        f"{show_ms(ours)}; recall@{_K} {recall:.3f} ({width}, {candidates}); "
        f"built in {build:.0f} s; {size / 1e6:.0f} MB",
        f"flat: {show_ms(plain)}",
        plain / ours,
        guarded=False,  # it settles a choice; the store's own table is what is watched
    )


def _fill(index: faiss.Index, vectors: NDArray[np.float32], sample: int | None) -> None:
    step = 1 if sample is None else max(1, len(vectors) // sample)
    index.train(vectors[::step])
    index.add(vectors)


def _widen(index: faiss.Index, task: _Task) -> tuple[int, int, float]:
    """The least width and number of candidates that reach the aim, or the most, and the recall."""
    lists = None if isinstance(index, faiss.IndexHNSW) else faiss.extract_index_ivf(index)
    if isinstance(lists, faiss.IndexIVFRaBitQ | faiss.IndexIVFRaBitQFastScan):
        lists.qb = _QUERY_BITS
    for candidates in _CANDIDATES:
        before = 0.0
        for width in _BREADTHS if lists is None else _PROBES:
            if lists is None:
                index.hnsw.efSearch = width
            else:
                lists.nprobe = width
            recall = task.recall(index, candidates)
            # Where a greater width finds nothing more, more candidates may.
            if recall >= _AIM or recall <= before:
                break
            before = recall
        if recall >= _AIM:
            break
    return width, candidates, recall
