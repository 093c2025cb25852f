"""How a store's costs grow with the number of items, and what the curve says of 10,000,000.

Every size is read by a process of its own, so that its memory is that of one reader. The sizes are
taken in turns, so that noise meets all alike, and medians shown. A line is fitted to the logarithms
of size and cost: its slope is 0 where the size does not matter, 1 where twice the items cost twice
as much. Where two sizes or more have a graph for an index, those alone are fitted, for small
catalogues are searched exactly. What the line says of larger sizes is on paper only.

    python -m benchmarks.scale STORE QUERIES.npy       what one reader finds, as JSON
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final, TypedDict

import numpy as np

from benchmarks.figures import Figure, Options, Table, seconds
from benchmarks.side.search_vectors import own_memory
from benchmarks.synthetic_store import COMPLETE, bytes_below, kept_store, publish
from benchmarks.vectors import VectorSource
from core.settings import Settings
from core.store.catalog import Catalog
from core.store.snapshot import read_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

_ROOT: Final = Path(__file__).parents[1]
_PAPER: Final = 10_000_000
_K: Final = 10
_NEW: Final = 10
_ROUNDS: Final = 3


class Costs(TypedDict):
    """What a store of one size costs; seconds and bytes."""

    build: float
    disk: float
    memory: float  # that belongs to the reader alone
    restart: float
    search: float
    wide: float
    narrow: float
    publish: float


_ROWS: Final[tuple[tuple[str, str, float, str, str], ...]] = (
    ("build", "building the store and its index", 1.0, "s", ""),
    ("disk", "disk", 1e9, "GB", ""),
    ("memory", "memory of a reader", 1e9, "GB", "1.2 GB at 1,000,000"),
    ("restart", "restart", 1.0, "s", "10 s at 1,000,000"),
    ("search", "search, p50", 1e-3, "ms", "1 ms at 1,000,000"),
    ("wide", "filter that passes 1 in 8", 1e-3, "ms", ""),
    ("narrow", "filter that passes 1 in 500", 1e-3, "ms", ""),
    ("publish", f"publishing {_NEW} items", 1e-3, "ms", "1 s at 1,000,000"),
)


def measure(options: Options) -> Table:
    """Read, search and add to a store of each size."""
    source = VectorSource.around(options.embeddings)
    queries = options.folder / "scale-queries.npy"
    options.folder.mkdir(parents=True, exist_ok=True)
    drawn = source.draw(40 if options.quick else 200, seed=10_000).astype(np.float32)
    np.save(queries, drawn / np.linalg.norm(drawn, axis=1, keepdims=True))
    sizes = sorted(options.items)
    stores = [kept_store(options.folder, source, n) for n in sizes]
    rounds = [
        [_costs(store, n, source, queries) for store, n in zip(stores, sizes, strict=True)]
        for _ in range(1 if options.quick else _ROUNDS)
    ]
    seeds = "real embeddings" if source.real else "drawn groups"
    table = Table("Growth", note=f"Vectors of {drawn.shape[1]} dimensions drawn around {seeds}.")
    for key, what, unit, name, budget in _ROWS:
        values = [median(costs[key] for costs in of_size) for of_size in zip(*rounds, strict=True)]
        shown = "; ".join(
            f"{n:,}: {_show(v / unit)} {name}" for n, v in zip(sizes, values, strict=True)
        )
        table.figures.append(
            Figure(what, shown, _on_paper(sizes, values, unit, name), None, budget)
        )
    return table


def fitted(sizes: list[int], values: list[float]) -> tuple[float, float]:
    """The slope and the factor of `value = factor * size ** slope`, least squares over logarithms.

    Raises:
        ValueError: fewer than two sizes, or a value of nothing, which has no logarithm.
    """
    if len(sizes) < 2 or min(values) <= 0:
        raise ValueError("a slope takes two sizes, and values above 0")
    slope, factor = np.polyfit(np.log(sizes), np.log(values), 1)
    return float(slope), float(np.exp(factor))


def alike(sizes: list[int], exact_up_to: int) -> int:
    """How many of the sorted sizes to leave out, so that the others have the same kind of index."""
    small = sum(size <= exact_up_to for size in sizes)
    return small if len(sizes) - small >= 2 else 0


def _on_paper(sizes: list[int], values: list[float], unit: float, name: str) -> str:
    first = alike(sizes, Settings.model_fields["exact_index_items"].default)
    sizes, values = sizes[first:], values[first:]
    try:
        slope, factor = fitted(sizes, values)
    except ValueError:
        return ""
    expected = factor * _PAPER**slope / unit
    return f"slope {slope:.2f}; {_PAPER:,} on paper: {_show(expected)} {name}"


def _show(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _costs(store: Path, items: int, source: VectorSource, queries: Path) -> Costs:
    command = [sys.executable, "-m", "benchmarks.scale", str(store), str(queries)]
    done = subprocess.run(  # noqa: S603  # our own command
        command, cwd=_ROOT, env=os.environ, capture_output=True, text=True, check=True
    )
    found: Costs = json.loads(done.stdout)
    found["build"] = float((store / COMPLETE).read_text())
    found["disk"] = sum(bytes_below(store).values())
    found["publish"] = _publish(store, items, source)
    return found


def _publish(store: Path, items: int, source: VectorSource) -> float:
    """Seconds of publishing a few items, in a copy."""
    copy = store.with_name(store.name + "-copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(store, copy)
    try:
        with closing(Catalog(copy)) as catalog:
            space = catalog.live_space()
            assert space is not None  # noqa: S101  # the store was just filled
            new = source.draw(_NEW, seed=20_000)
            return seconds(lambda: publish(catalog, space, new, items))
    finally:
        shutil.rmtree(copy)


def _read(store: Path, queries: Path) -> dict[str, float]:
    """What a reader costs: its start, its memory, its searches."""
    with closing(Catalog(store)) as catalog:
        before = own_memory()
        started = time.perf_counter()
        snapshot = read_snapshot(catalog)
        restart = time.perf_counter() - started
    works: dict[str, Callable[[np.ndarray], object]] = {
        "search": lambda query: snapshot.search(query, _K),
        "wide": lambda query: snapshot.search(query, _K, {"colour": ["red"]}),
        "narrow": lambda query: snapshot.search(query, _K, {"brand": ["brand 7"]}),
    }
    times: dict[str, list[float]] = {name: [] for name in works}
    for query in np.load(queries):
        for name, work in works.items():
            times[name].append(seconds(partial(work, query)))
    found = {name: float(np.median(taken)) for name, taken in times.items()}
    return {**found, "restart": restart, "memory": own_memory() - before}


if __name__ == "__main__":
    print(json.dumps(_read(Path(sys.argv[1]), Path(sys.argv[2]))))
