"""Nearest neighbours with one engine, beside FAISS's flat index in the same process.

    python search_vectors.py ENGINE VECTORS.npy QUERIES.npy FOLDER

Vectors are unit float16 `[n, d]`, row numbers their ids. Vector n has `n % 8` as its colour and
`n % 500` as its brand. The search is widened until it finds 98 % of the true ten nearest, then
engine and flat index are asked in turns, one query at a time. Prints one line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

K = 10
AIM = 0.98
ADDED = 10
FILTERS = {"colour": 8, "brand": 500}
WIDTHS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
THREADS = os.cpu_count() or 1


class Engine:
    """One engine; `width` is what its search is widened by."""

    widths = WIDTHS
    filters = True

    def build(self, vectors, folder):
        """Index `[n, d]` float32 vectors under their row numbers, kept in a folder."""
        raise NotImplementedError

    def search(self, query, width, key=None):
        """The ids of the ten nearest, of those whose `key` is 0 where one is given."""
        raise NotImplementedError

    def add(self, vectors, first):
        """Add vectors under ids from `first`."""
        raise NotImplementedError


class Lookalike(Engine):
    """The FAISS adapter through its contract; it chooses its width by itself."""

    widths = (0,)

    def build(self, vectors, folder):
        """See `Engine.build`."""
        from core.settings import Settings
        from core.store.index.faiss import build_index

        class Reader:
            """Stored vectors, as a segment's file holds them."""

            def __init__(self):
                np.save(folder / "vectors.npy", vectors.astype(np.float16))
                self.rows = np.load(folder / "vectors.npy", mmap_mode="r")

            def read(self, ids):
                """Give the rows of these ids."""
                return self.rows[ids].astype(np.float32)

        self.ids = np.arange(len(vectors), dtype=np.int64)
        exact_up_to = Settings.model_fields["exact_index_items"].default
        self.index = build_index(self.ids, vectors, Reader(), exact_up_to)
        self.index.save(folder / "index.faiss")
        self.allowed = {key: self.ids[self.ids % step == 0] for key, step in FILTERS.items()}

    def search(self, query, width, key=None):
        """See `Engine.search`."""
        del width
        return self.index.search(query[None], K, self.allowed[key] if key else None)[1][0]

    def add(self, vectors, first):
        """See `Engine.add`."""
        ids = np.arange(first, first + len(vectors), dtype=np.int64)
        self.index = self.index.changed(ids, vectors, np.empty(0, np.int64))


class Hnswlib(Engine):
    """hnswlib with its defaults."""

    def build(self, vectors, folder):
        """See `Engine.build`."""
        import hnswlib

        self.index = hnswlib.Index("ip", vectors.shape[1])
        self.index.init_index(len(vectors) + ADDED, M=16, ef_construction=200)
        self.index.add_items(vectors, np.arange(len(vectors)), num_threads=THREADS)
        self.index.save_index(str(folder / "index.bin"))
        self.index.set_num_threads(1)

    def search(self, query, width, key=None):
        """See `Engine.search`."""
        self.index.set_ef(width)
        step = FILTERS.get(key, 1)
        filtered = (lambda label: label % step == 0) if key else None
        try:
            return self.index.knn_query(query, K, filter=filtered)[0][0]
        except RuntimeError:  # what it raises where it finds fewer than asked for
            return np.empty(0, np.int64)

    def add(self, vectors, first):
        """See `Engine.add`."""
        self.index.add_items(vectors, np.arange(first, first + len(vectors)), num_threads=1)


class Usearch(Engine):
    """usearch with bf16 vectors; its Python interface filters nothing."""

    filters = False

    def build(self, vectors, folder):
        """See `Engine.build`."""
        from usearch.index import Index

        self.index = Index(ndim=vectors.shape[1], metric="ip", dtype="bf16")
        self.index.add(np.arange(len(vectors)), vectors, threads=THREADS)
        self.index.save(str(folder / "index.usearch"))

    def search(self, query, width, key=None):
        """See `Engine.search`."""
        del key
        self.index.expansion_search = width
        return self.index.search(query, K, threads=1).keys

    def add(self, vectors, first):
        """See `Engine.add`."""
        self.index.add(np.arange(first, first + len(vectors)), vectors, threads=1)


class Chromadb(Engine):
    """A chromadb collection on disk."""

    _rows = 5000

    def build(self, vectors, folder):
        """See `Engine.build`."""
        import chromadb

        self.width = None
        self.collection = chromadb.PersistentClient(str(folder)).create_collection(
            "vectors", configuration={"hnsw": {"space": "ip"}}, embedding_function=None
        )
        for start in range(0, len(vectors), self._rows):
            self.add(vectors[start : start + self._rows], start)

    def search(self, query, width, key=None):
        """See `Engine.search`."""
        if width != self.width:
            self.collection.modify(configuration={"hnsw": {"ef_search": width}})
            self.width = width
        where = {key: 0} if key else None
        found = self.collection.query(
            query_embeddings=[query], n_results=K, where=where, include=[]
        )
        return np.array([int(one) for one in found["ids"][0]])

    def add(self, vectors, first):
        """See `Engine.add`."""
        numbers = range(first, first + len(vectors))
        self.collection.add(
            ids=[str(n) for n in numbers],
            embeddings=vectors,
            metadatas=[{key: n % step for key, step in FILTERS.items()} for n in numbers],
        )


class Lancedb(Engine):
    """A lancedb table with an HNSW index of 8-bit codes, and bitmaps over the attributes."""

    widths = ((1, 1), (2, 1), (4, 1), (8, 2), (16, 4), (32, 4), (64, 8), (128, 16))

    def build(self, vectors, folder):
        """See `Engine.build`."""
        import lancedb

        self.table = lancedb.connect(str(folder)).create_table("vectors", self._rows(vectors, 0))
        self.table.create_index(metric="dot", index_type="IVF_HNSW_SQ")
        for key in FILTERS:
            self.table.create_scalar_index(key, index_type="BITMAP")

    def search(self, query, width, key=None):
        """See `Engine.search`; a width is cells looked into and how many times ten are rescored."""
        cells, refine = width
        asked = self.table.search(query).distance_type("dot").nprobes(cells).refine_factor(refine)
        if key:
            asked = asked.where(f"{key} = 0", prefilter=True)
        return asked.limit(K).select(["id", "_distance"]).to_arrow()["id"].to_numpy()

    def add(self, vectors, first):
        """See `Engine.add`."""
        self.table.add(self._rows(vectors, first))

    @staticmethod
    def _rows(vectors, first):
        import pyarrow as pa

        numbers = np.arange(first, first + len(vectors))
        flat = pa.array(np.ascontiguousarray(vectors, np.float32).ravel())
        columns = {"id": pa.array(numbers)}
        columns["vector"] = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
        columns |= {key: pa.array(numbers % step) for key, step in FILTERS.items()}
        return pa.table(columns)


ENGINES = {
    "lookalike": Lookalike,
    "hnswlib": Hnswlib,
    "usearch": Usearch,
    "chromadb": Chromadb,
    "lancedb": Lancedb,
}


def recall(true, found) -> float:
    """The share of the true ids `[q, k]` that was found, `found` a list of arrays of ids."""
    hits = sum(len(np.intersect1d(a, b)) for a, b in zip(true, found))
    return hits / max(1, np.size(true))


def widened(engine, queries, true):
    """The narrowest width that reaches the aim, or the widest, and its recall."""
    reached = 0.0
    for width in engine.widths:
        reached = recall(true, [engine.search(query, width) for query in queries])
        if reached >= AIM:
            break
    return width, reached


def own_memory() -> int:
    """Bytes that belong to this process alone and to no file."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Anonymous"))


def timed(work) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure(engine, vectors, queries, folder):
    """Everything there is to say of an engine: see `main`."""
    import faiss

    whole = vectors.astype(np.float32)
    before = own_memory()
    build = timed(lambda: engine.build(whole, folder))
    found = {"build_s": build, "memory": max(0, own_memory() - before)}
    found["disk"] = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    flat = faiss.IndexFlatIP(whole.shape[1])
    flat.add(whole)
    true = flat.search(queries, K)[1]
    faiss.omp_set_num_threads(1)
    width, found["recall"] = widened(engine, queries, true)
    found["width"] = str(width)
    works = {"flat": lambda query: flat.search(query[None], K)}
    works["search"] = lambda query: engine.search(query, width)
    if engine.filters:
        for key in FILTERS:
            works[key] = lambda query, key=key: engine.search(query, width, key)
            found[f"{key}_recall"] = _filtered_recall(engine, whole, queries, width, key)
    times = [
        {name: timed(lambda w=work, q=query: w(q)) for name, work in works.items()}
        for query in queries
    ]
    for name in works:
        found[f"{name}_s"] = float(np.median([one[name] for one in times]))
    found["add_s"] = timed(lambda: engine.add(queries[:ADDED], len(whole)))
    return found


def _filtered_recall(engine, whole, queries, width, key) -> float:
    few = queries[:20]
    allowed = np.arange(0, len(whole), FILTERS[key])
    best = np.argsort(-(few @ whole[allowed].T), axis=1)[:, :K]
    return recall(allowed[best], [engine.search(query, width, key) for query in few])


def main() -> None:
    """Measure the engine that was named."""
    name, vectors, queries, folder = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        found = measure(
            ENGINES[name](),
            np.load(vectors, mmap_mode="r"),
            np.load(queries).astype(np.float32),
            Path(folder),
        )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
