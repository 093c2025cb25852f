"""FAISS and Milvus side by side over the same store: search, filters, publishing, memory.

Milvus is Milvus Lite as a server process on loopback, for that is what runs anywhere; a server or
a cluster is another engine under the same protocol. The reference is a flat scan of every vector.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import faiss
import numpy as np
import psutil

from benchmarks.figures import Figure, Options, Table, seconds, show_ms
from benchmarks.synthetic_store import build_store, fresh_folder, publish
from benchmarks.vectors import VectorSource
from core.settings import Settings
from core.store.catalog import Catalog
from core.store.index.milvus.collection import MilvusCollection
from core.store.index.milvus.snapshot import MilvusSnapshot
from core.store.snapshot import read_snapshot
from ingest.carry.carrier import Carrier
from ingest.carry.compare import compare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from core.store.snapshot import Snapshot
    from core.store.view import CatalogueView, Filters

_K = 10
_NEW = 10
_FILTERS: dict[str, Filters | None] = {
    "search": None,
    "filter that passes 1 in 8": {"colour": ["red"]},
    "filter that passes 1 in 500": {"brand": ["brand 7"]},
}


def measure(options: Options) -> Table:
    """Fill, search and publish at each size, with both engines."""
    source = VectorSource.around(options.embeddings)
    seeds = "real embeddings" if source.real else "drawn groups"
    table = Table(
        "FAISS and Milvus Lite",
        note=f"Vectors of {source.seeds.shape[1]} dimensions drawn around {seeds}; p50 of one "
        "client after another; Milvus: HNSW, in a process of its own on loopback.",
    )
    for items in options.items:
        table.figures += _measure_size(options.folder / f"milvus-{items}", items, source, options)
    return table


def _measure_size(folder: Path, items: int, source: VectorSource, options: Options) -> list[Figure]:
    store = fresh_folder(folder / "store")
    exact_up_to = Settings.model_fields["exact_index_items"].default
    build_store(store, source, items, exact_up_to)
    queries = source.draw(40 if options.quick else 100, seed=10_000).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    with lite_server(folder / "lite") as (uri, process):
        settings = Settings.load(
            store_dir=store, index="milvus", milvus_uri=uri, milvus_timeout_s=60
        )
        with closing(Catalog(store)) as catalog, closing(Carrier(settings, catalog)) as carrier:
            before = _resident(psutil.Process())
            local = read_snapshot(catalog)
            held = _resident(psutil.Process()) - before
            empty = _resident(process)
            filled_s = seconds(carrier.carry)
            alias = MilvusCollection(carrier.connection, settings.milvus_alias)
            remote = MilvusSnapshot.of(alias, alias.facts())
            figures = [
                _memory(items, held, _resident(process) - empty),
                Figure(
                    f"filling Milvus, {items:,} items",
                    f"{filled_s:.1f} s, {items / filled_s:,.0f} items/s",
                ),
                *_searches(local, remote, queries, items),
                _publishing(carrier, source, items),
                _comparison(carrier, items),
            ]
    shutil.rmtree(folder)
    return figures


def _memory(items: int, faiss_bytes: int, milvus_bytes: int) -> Figure:
    per_million = 1_000_000 / items / 2**30
    return Figure(
        f"memory, {items:,} items: Milvus' process",
        f"{milvus_bytes / 2**20:,.0f} MiB, {milvus_bytes * per_million:.2f} GiB per million",
        f"a service with FAISS: {faiss_bytes / 2**20:,.0f} MiB, "
        f"{faiss_bytes * per_million:.2f} GiB per million",
    )


def _searches(
    local: Snapshot, remote: CatalogueView, queries: NDArray[np.float32], items: int
) -> list[Figure]:
    figures = []
    for what, filters in _FILTERS.items():
        truth = _exact(local, queries, filters)
        times, recalls = [], []
        for view in (local, remote):
            hits, taken = [], []
            for query, near in zip(queries, truth, strict=True):
                started = time.perf_counter()
                found = view.search(query, _K, filters)
                taken.append(time.perf_counter() - started)
                hits.append(len(near & {match.entry.path for match in found}) / max(1, len(near)))
            times.append(float(np.median(taken)))
            recalls.append(float(np.mean(hits)))
        figures.append(
            Figure(
                f"{what}, {items:,} items: Milvus",
                f"{show_ms(times[1])}; recall@{_K} {recalls[1]:.3f}",
                f"FAISS: {show_ms(times[0])}; recall@{_K} {recalls[0]:.3f}",
                times[0] / times[1],
                guarded=False,
            )
        )
    return figures


def _exact(
    local: Snapshot, queries: NDArray[np.float32], filters: Filters | None
) -> list[set[str]]:
    """The paths of the true nearest of each query, found by comparing with every vector."""
    assert local.vectors is not None  # noqa: S101  # the store was just filled
    entries = local.entries
    ids = entries.vectors_matching(filters)[1] if filters else np.unique(entries.vector_ids)
    flat = faiss.IndexFlatIP(queries.shape[1])
    flat.add(local.vectors.read(ids))
    near = flat.search(queries, min(_K, len(ids)))[1]
    return [
        {entries.path_of(place) for one in row for place in entries.places_of(int(ids[one]))}
        for row in near
    ]


def _publishing(carrier: Carrier, source: VectorSource, items: int) -> Figure:
    space = carrier.catalog.live_space()
    assert space is not None  # noqa: S101  # the store was just filled
    local = read_snapshot(carrier.catalog)
    publish(carrier.catalog, space, source.draw(_NEW, seed=20_000), items)
    carried_s = seconds(carrier.carry)
    refreshed_s = seconds(lambda: read_snapshot(carrier.catalog, local))
    return Figure(
        f"taking up {_NEW} new items, {items:,} items: Milvus",
        show_ms(carried_s),
        f"FAISS: {show_ms(refreshed_s)}, in each service",
        refreshed_s / carried_s,
        guarded=False,
    )


def _comparison(carrier: Carrier, items: int) -> Figure:
    started = time.perf_counter()
    found = compare(carrier)
    taken = time.perf_counter() - started
    return Figure(
        f"comparing every row, {items:,} items",
        f"{taken:.1f} s, {found.differences} differences; recall@10 {found.recall or 1:.3f}",
    )


def _resident(process: psutil.Process) -> int:
    return int(process.memory_info().rss)


@contextmanager
def lite_server(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Milvus Lite on a free port of this machine: its address and its process."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [
        *(sys.executable, "-m", "milvus_lite.cmdline", "server"),
        *("--data-dir", str(folder), "--host", "127.0.0.1", "--port", str(port)),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:  # noqa: S603  # our own
        try:
            while True:
                with socket.socket() as knock:
                    if knock.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
        finally:
            process.kill()
