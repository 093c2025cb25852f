"""The store as it grows: restart, publishing ten items, and searching.

Stores are made of drawn vectors by the code that publishes real ones, and kept in the folder for
the next run. The reference of a search is FAISS's flat index, which compares a query with every
vector, on one thread, and leaves nothing of ours in the processor's caches; of a restart, reading
and hashing the same files. Each restart is a process of its own, so that its memory is that of one
reader.
"""

from __future__ import annotations

import shutil
from contextlib import closing
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

import faiss
import numpy as np

from benchmarks.figures import Figure, Options, Table, seconds, show_ms
from benchmarks.reader import read_alone
from benchmarks.synthetic_store import bytes_below, kept_store, publish
from benchmarks.vectors import VectorSource
from core.store.catalog import Catalog
from core.store.files import sha256_of
from core.store.snapshot import read_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from core.store.snapshot import Filters, Snapshot

    _Work = Callable[[NDArray[np.float32]], object]

_K = 10
_NEW = 10
_TURN = 20  # queries asked in a row


def measure(options: Options) -> Table:
    """Fill, restart, publish and search stores of each size."""
    source = VectorSource.around(options.embeddings)
    seeds = "real embeddings" if source.real else "drawn groups"
    table = Table(
        "The store",
        note=f"Vectors of {source.seeds.shape[1]} dimensions drawn around {seeds}.",
    )
    for items in options.items:
        folder = kept_store(options.folder, source, items)
        table.figures += _measure_size(folder, items, source, options)
    return table


def _measure_size(folder: Path, items: int, source: VectorSource, options: Options) -> list[Figure]:
    queries = source.draw(40 if options.quick else 200, seed=10_000).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    asked = options.folder / "store-queries.npy"
    np.save(asked, queries)
    figures = [_restart(folder, items, asked)]
    with closing(Catalog(folder)) as catalog:
        snapshot = read_snapshot(catalog)
    figures += _search(snapshot, queries, items)
    copy = folder.with_name(folder.name + "-copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    figures += _publish(copy, items, source)
    shutil.rmtree(copy)
    return figures


def _restart(folder: Path, items: int, queries: Path) -> Figure:
    def hash_files() -> None:
        for path in folder.rglob("*"):
            if path.is_file():
                sha256_of(path)

    # In turns, so that noise meets both alike.
    turns = [(read_alone(folder, queries), seconds(hash_files)) for _ in range(3)]
    ours, files = median(one.start for one, _ in turns), median(one for _, one in turns)
    rest, peak = (max(getattr(one, what) for one, _ in turns) for what in ("rest", "peak"))
    return Figure(
        f"restart, {items:,} items",
        f"{ours:.2f} s; {rest / 1e9:.2f} GB of memory, at most {peak / 1e9:.2f} GB on the way",
        f"hashing its files: {files:.2f} s",
        ours / files,
        "10 s, 1.2 GB at 1,000,000",
        more_is_better=False,
    )


def _search(snapshot: Snapshot, queries: NDArray[np.float32], items: int) -> list[Figure]:
    assert snapshot.index is not None  # noqa: S101  # the store was just filled
    assert snapshot.vectors is not None  # noqa: S101
    ids = snapshot.index.ids()
    vectors = snapshot.vectors.read(ids)
    flat = faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)
    truth = flat.search(queries, _K)[1]
    _, found = snapshot.index.search(queries, _K)
    recall = np.mean(
        [len(np.intersect1d(ids[t], f)) / _K for t, f in zip(truth, found, strict=True)]
    )
    filters: tuple[Filters, ...] = {"colour": ["red"]}, {"brand": ["brand 7"]}
    works: list[_Work] = [
        lambda query: flat.search(query[None], _K),
        lambda query: snapshot.search(query, _K),
        lambda query: snapshot.search(query, _K, filters[0]),
        lambda query: snapshot.search(query, _K, filters[1]),
    ]
    faiss.omp_set_num_threads(1)
    plain, ours, wide, narrow = _in_a_row(works, queries)
    cold = median(_after(works[0], works[1], query) for query in queries[:_TURN])
    beside = f"flat: {show_ms(plain)}"
    what = snapshot.index.kind
    return [
        Figure(
            f"search, {items:,} items ({what}), p50",
            f"{show_ms(ours)}; recall@{_K} {recall:.3f}",
            beside,
            plain / ours,
            "1 ms, recall 0.98 at 1,000,000",
        ),
        Figure(
            f"the same right after a scan of every vector, {items:,} items",
            show_ms(cold),
            beside,
            plain / cold,
        ),
        Figure(f"filter that passes 1 in 8, {items:,} items", show_ms(wide), beside, plain / wide),
        Figure(
            f"filter that passes 1 in 500, {items:,} items",
            show_ms(narrow),
            beside,
            plain / narrow,
        ),
    ]


def _in_a_row(works: list[_Work], queries: NDArray[np.float32]) -> list[float]:
    """Median seconds of each kind of work, some of one kind and then some of the next."""
    taken: list[list[float]] = [[] for _ in works]
    for start in range(0, len(queries), _TURN):
        for work, times in zip(works, taken, strict=True):
            times += [seconds(partial(work, query)) for query in queries[start : start + _TURN]]
    return [median(times) for times in taken]


def _after(other: _Work, work: _Work, query: NDArray[np.float32]) -> float:
    other(query)
    return seconds(partial(work, query))


def _publish(folder: Path, items: int, source: VectorSource) -> list[Figure]:
    with closing(Catalog(folder)) as catalog, closing(Catalog(folder)) as reader:
        snapshot = read_snapshot(reader)
        space = catalog.live_space()
        assert space is not None  # noqa: S101  # the store was just filled
        log = folder / "catalog.db-wal"
        before, log_before = bytes_below(folder), log.stat().st_size if log.exists() else 0
        new = source.draw(_NEW, seed=20_000)
        taken = seconds(lambda: publish(catalog, space, new, items))
        after = bytes_below(folder)
        written = sum(size - before.get(path, 0) for path, size in after.items())
        written = max(written, log.stat().st_size - log_before)
        refreshed = seconds(lambda: read_snapshot(reader, snapshot))
    return [
        Figure(
            f"publishing {_NEW} items, {items:,} items",
            f"{show_ms(taken)}, {written / 1000:.0f} kB written",
            budget="1 s at 1,000,000",
        ),
        Figure(f"taking them up, {items:,} items", show_ms(refreshed)),
    ]
