"""A run asked for at the command line: takes the lock, works in this process, reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.store.catalog import Catalog
from ingest.lock import IngestLock
from ingest.model import RunModel
from ingest.run import IngestRun

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from core.records import Run, RunCounters, RunOptions
    from core.settings import Settings


def run_now(
    settings: Settings,
    options: RunOptions,
    trigger: str,
    stop: threading.Event,
    show: Callable[[RunCounters], None] | None = None,
    model: RunModel | None = None,
) -> Run:
    """Do one run and give its closed row; a `model` from an earlier run need not load again.

    Raises:
        BusyError: another ingester holds the store.
        ModelError: the model is unknown or cannot be loaded; the store is untouched.
        StoreError: the store cannot be opened.
    """
    with IngestLock(settings.store_dir):
        catalog = Catalog(settings.store_dir)
        try:
            catalog.runs.interrupt_orphans()
            run = catalog.runs.start(options, trigger)
            model = model or RunModel(settings)
            return IngestRun(settings, catalog, run, model, stop, show).execute()
        finally:
            catalog.close()
