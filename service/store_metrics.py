"""What the store tells of itself whenever Prometheus asks: index, items, runs, disk, GPU."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from core.store.runs import TOTALLED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.core import Metric

    from core.store.catalog import Catalog
    from service.collaborators import Collaborators

_PREFIX: Final = "lookalike_"


class StoreCollector(Collector):
    """Reads the state of the service and its store at each scrape."""

    def __init__(self, parts: Collaborators) -> None:
        self._parts = parts

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not read the store."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """See `Collector.collect`."""
        yield from self._service()
        yield from self._index()
        if self._parts.store is not None:
            yield from self._items(self._parts.store)
            yield from self._runs(self._parts.store)
        yield from self._disk()
        yield from _gpu()

    def _service(self) -> Iterable[Metric]:
        parts = self._parts
        view, problems = parts.keeper.view, parts.keeper.problems
        damage = parts.keeper.warnings
        yield _gauge("ready", "Whether searches are answered right.", view is not None, problems)
        yield _gauge("queue_depth", "Jobs that wait for the model.", parts.looker.waiting)
        yield _gauge(
            "store_problems", "Damaged files of the store.", len({*problems, *damage} - {None})
        )
        if parts.own_desk is not None:
            note = parts.own_desk.daemon()
            alive = note is not None and note.alive(time.time())
            yield _gauge("ingest_daemon_up", "Whether an ingest daemon is at work.", alive)
        model = InfoMetricFamily(_PREFIX + "model", "The model that answers searches.")
        if view is not None:
            model.add_metric((), {"spec": view.embedder.spec, "device": str(view.embedder.device)})
        yield model

    def _index(self) -> Iterable[Metric]:
        view = self._parts.keeper.view
        if view is None:
            return
        snapshot = view.snapshot
        index = snapshot.index_facts
        measured = index is None or not index.kind.startswith("Milvus")
        recall = index.recall if index else None
        recall = 1.0 if recall is None and measured else recall
        yield _gauge("generation", "Generation being searched.", snapshot.generation)
        yield _gauge("index_vectors", "Vectors being searched.", index.vectors if index else 0)
        if recall is not None:
            yield _gauge("index_recall", "Recall@10 against exact search; 1: exact.", recall)
        yield _gauge("searchable_items", "Photos being searched.", snapshot.item_count)

    def _items(self, store: Catalog) -> Iterable[Metric]:
        family = GaugeMetricFamily(_PREFIX + "items", "Photos by state.", labels=("state",))
        for state, count in store.count_items().items():
            family.add_metric((state.value,), count)
        yield family

    def _runs(self, store: Catalog) -> Iterable[Metric]:
        totals = store.runs.totals()
        runs = CounterMetricFamily(_PREFIX + "runs", "Ingest runs by state.", labels=("state",))
        for state, count in totals.states.items():
            runs.add_metric((state.value,), count)
        yield runs
        files = CounterMetricFamily(
            _PREFIX + "ingest_files", "Files of all runs, by what was done.", labels=("what",)
        )
        for what in TOTALLED:
            files.add_metric((what,), totals.counters[what])
        yield files
        yield CounterMetricFamily(
            _PREFIX + "ingest_read_bytes", "Bytes read by all runs.", totals.bytes_read
        )
        yield _gauge(
            "last_successful_run_timestamp_seconds",
            "When the last successful run ended; 0: never.",
            totals.last_success_at or 0,
        )
        yield _gauge(
            "last_run_duration_seconds", "Duration of the last ended run.", totals.last_duration_s
        )

    def _disk(self) -> Iterable[Metric]:
        free = GaugeMetricFamily(
            _PREFIX + "disk_free_bytes", "Free bytes where a folder lies.", labels=("folder",)
        )
        settings = self._parts.settings
        for name, folder in (("store", settings.store_dir), ("images", settings.image_dir)):
            if isinstance(folder, Path) and folder.exists():
                free.add_metric((name,), psutil.disk_usage(str(folder)).free)
        yield free
        resident = psutil.Process().memory_info().rss
        yield _gauge("process_resident_bytes", "Resident memory of the service.", resident)


def _gauge(name: str, help_text: str, value: float, problems: tuple[str, ...] = ()) -> Metric:
    """A gauge without labels; with `problems` a truth becomes 0."""
    return GaugeMetricFamily(_PREFIX + name, help_text, 0 if problems else float(value))


def _gpu() -> Iterable[Metric]:
    torch = sys.modules.get("torch")  # a service without a network model never loads it
    if torch is None or not torch.cuda.is_available():
        return
    family = GaugeMetricFamily(
        _PREFIX + "gpu_memory_bytes", "Memory of a GPU.", labels=("gpu", "kind")
    )
    for device in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(device)
        allocated = torch.cuda.memory_allocated(device)
        for kind, value in (("total", total), ("used", total - free), ("service", allocated)):
            family.add_metric((str(device), kind), value)
    yield family
