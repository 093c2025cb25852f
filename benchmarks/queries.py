"""What a search costs beside the model's forward pass, for one client and for many at once.

The service answers over loopback from the sample catalogue and 100,000 vectors drawn around those
of its photos; where weights are random, and all their vectors alike, around real embeddings if
there are any (`--embeddings`). Clients ask, read the answer, and ask again. The references are the
forward pass alone in a process of its own, right before the clients ask and right after: of one
picture for the time of a lone client, of the batch size that does most pictures a second for the
rate of many. Passes seconds apart differ on a restless machine, so what a lone client's search
takes outside the very pass that it waited for is told by the service's own clocks, too. Clients,
service and nothing else share the machine's cores. What a request takes of them, in the service and
in its client, bounds the rate of many: that much would be answered if no core were ever idle.
"""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING

import httpx
import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.figures import Figure, Options, Table, medians
from benchmarks.ingest import native_precision, random_clip
from benchmarks.load import QUERY, Client, served
from benchmarks.synthetic_store import fill
from benchmarks.vectors import VectorSource
from core.settings import Settings
from core.store.catalog import Catalog
from core.store.snapshot import read_snapshot
from core.vision.decode import DecodeLimits, decode_image
from core.vision.models import ModelSource, load_embedder

if TYPE_CHECKING:
    from pathlib import Path

    import psutil

_BATCHES = (1, 4, 16, 32)
_REPEATS = 5
_WARM_UP_S = 2.0
_ITEMS = 100_000


def measure(options: Options) -> Table:
    """Ask with each model and number of clients."""
    table = Table("Queries")
    clients = (1, 16) if options.quick else (1, 4, 16, 64)
    seconds = 3.0 if options.quick else 12.0
    clip = random_clip(options.folder)
    precisions = dict.fromkeys((native_precision(), "fp32", "int8"))
    models = [("classic", None, "fp32"), *(("open_clip:ViT-B-32", clip, one) for one in precisions)]
    for spec, weights, precision in models:
        settings = Settings.load(model=spec, model_weights=weights, precision=precision)
        passes = ForwardPasses(settings)
        environment = {"LOOKALIKE_MODEL": spec, "LOOKALIKE_PRECISION": precision}
        if weights is not None:
            environment["LOOKALIKE_MODEL_WEIGHTS"] = str(weights)
        items = 5_000 if options.quick else _ITEMS
        around = None if weights is None else options.embeddings
        what = spec if weights is None else f"{spec} in {precision}"
        with served(partial(_enlarged, items=items, around=around), **environment) as service:
            for number in clients:
                asked = _measured(service, number, seconds, passes)
                figure = _alone if number == 1 else _together
                table.figures.append(figure(what, asked))
    return table


@dataclass(frozen=True)
class _Asked:
    """What became of the requests of some clients, and the passes alone right around them."""

    clients: int
    taken: list[float]  # seconds of each request
    rate: float  # answered in a second
    outside_s: float  # of a request, beside the pass that it waited for, in the mean
    processors_s: float  # that a request takes of the cores, in service and client
    passes: dict[int, float]  # seconds of a pass of so many pictures

    @property
    def value(self) -> str:
        """How soon requests were answered."""
        p50, p95, p99 = np.percentile(self.taken, (50, 95, 99)) * 1000
        return f"p50 {p50:.1f}, p95 {p95:.1f}, p99 {p99:.1f} ms; {self.rate:.1f}/s"


def _measured(
    service: tuple[str, psutil.Process], clients: int, seconds: float, passes: ForwardPasses
) -> _Asked:
    url, process = service
    asyncio.run(ask(Client(url), clients, _WARM_UP_S))
    before, clocks = passes.measure(), _forward_clocks(url)
    spent_s = _processors(process)
    taken, elapsed = asyncio.run(ask(Client(url), clients, seconds))
    spent_s = _processors(process) - spent_s
    outside_s = float(np.mean(taken)) - _mean_since(clocks, _forward_clocks(url))
    beside = np.mean([before, passes.measure()], axis=0)
    alone = dict(zip(_BATCHES, beside.tolist(), strict=True))
    return _Asked(clients, taken, len(taken) / elapsed, outside_s, spent_s / len(taken), alone)


def _processors(service: psutil.Process) -> float:
    """Seconds that the service, its processes and the clients have had of the cores."""
    times = [one.cpu_times() for one in (service, *service.children(recursive=True))]
    return time.process_time() + sum(one.user + one.system for one in times)


def _enlarged(store: Path, items: int, around: Path | None) -> None:
    """Do `_enlarge` in a process of its own: threads left behind here would slow the passes."""
    with ProcessPoolExecutor(1, get_context("spawn")) as elsewhere:
        elsewhere.submit(_enlarge, store, items, around).result()


def _enlarge(store: Path, items: int, around: Path | None) -> None:
    """Add items that lie among real embeddings or, without them, among those of the store."""
    catalog = Catalog(store)
    try:
        snapshot = read_snapshot(catalog)
        assert snapshot.space is not None  # noqa: S101  # something was ingested
        assert snapshot.vectors is not None  # noqa: S101
        if around is not None:
            source = VectorSource.around(around)
        else:
            rows = snapshot.vectors.read(snapshot.entries.vector_ids).astype(np.float32)
            source = VectorSource.around_rows(rows)
        fill(catalog, snapshot.space, source, items, Settings().exact_index_items)
    finally:
        catalog.close()


class ForwardPasses:
    """The model alone, at the batch sizes that queries come in."""

    def __init__(self, settings: Settings) -> None:
        self._embedder = load_embedder(ModelSource.from_settings(settings))
        image = decode_image(QUERY.read_bytes(), DecodeLimits.for_catalogue(settings))
        self._pixels = self._embedder.prepare(image)
        self._embed(1)

    def measure(self) -> list[float]:
        """Seconds of a pass of each of `_BATCHES`."""
        return medians(_REPEATS, *(partial(self._embed, size) for size in _BATCHES))

    def _embed(self, size: int) -> None:
        self._embedder.embed(np.repeat(self._pixels[None], size, axis=0))


async def ask(client: Client, clients: int, seconds: float) -> tuple[list[float], float]:
    """Seconds that each answered search took, and all of them together."""
    began = time.perf_counter()
    until = began + seconds
    taken = list[float]()

    async def one() -> None:
        while (started := time.perf_counter()) < until:
            status, _ = await client.search()
            if status != 200:
                raise SystemExit(f"a search was answered with {status}")
            taken.append(time.perf_counter() - started)

    await asyncio.gather(*(one() for _ in range(clients)))
    return taken, time.perf_counter() - began


def _forward_clocks(url: str) -> tuple[float, float]:
    """Seconds that the service's passes took so far, and how many there were."""
    text = httpx.get(f"{url}/metrics").text
    name = "lookalike_stage_duration_seconds"
    found = {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("stage") == "forward"
    }
    return found[f"{name}_sum"], found[f"{name}_count"]


def _mean_since(before: tuple[float, float], after: tuple[float, float]) -> float:
    return (after[0] - before[0]) / (after[1] - before[1])


def _alone(what: str, asked: _Asked) -> Figure:
    p50, alone = 1000 * float(np.median(asked.taken)), 1000 * asked.passes[1]
    return Figure(
        f"{what}, 1 client",
        asked.value,
        f"forward pass {alone:.1f} ms; {p50 - alone:.1f} ms beside it, "
        f"{1000 * asked.outside_s:.1f} ms outside its own (mean)",
        alone / p50,
        "at most 5 ms beside it",
        guarded=False,  # clients and service share the cores, which makes it restless
    )


def _together(what: str, asked: _Asked) -> Figure:
    best = max(size / taken_s for size, taken_s in asked.passes.items())
    bound = len(os.sched_getaffinity(0)) / asked.processors_s / best
    return Figure(
        f"{what}, {asked.clients} clients",
        asked.value,
        f"forward passes of the best batch {best:.1f}/s; a request takes "
        f"{1000 * asked.processors_s:.1f} ms of the cores: at most {bound:.2f}",
        asked.rate / best,
        "at least 0.85 with 16 clients" if asked.clients == 16 else "",
        guarded=False,
    )
