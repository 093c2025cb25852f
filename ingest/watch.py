"""Runs that follow the folder's own events, a moment after it has come to rest."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from watchfiles import watch

from core.errors import BusyError, SourceError
from core.records import RunOptions
from ingest.model import RunModel
from ingest.runner import run_now

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from core.records import Run
    from core.settings import Settings

logger = logging.getLogger(__name__)

_BUSY_RETRY_S = 1.0


def watch_folder(settings: Settings, stop: threading.Event, debounce_s: float) -> Iterator[Run]:
    """Run once, then after every burst of changes, until `stop` is set; yield each run.

    Raises:
        SourceError: the folder is not there.
    """
    if not settings.image_dir.is_dir():
        raise SourceError(
            f"The image folder {settings.image_dir} is not there. It is set by LOOKALIKE_IMAGE_DIR."
        )
    events = watch(
        settings.image_dir,
        watch_filter=None,  # content decides what is a picture, so every file may matter
        debounce=int(debounce_s * 1000),
        step=min(200, int(debounce_s * 1000)),
        stop_event=stop,
        raise_interrupt=False,
        # An empty answer now and then starts the first run, and ends the wait when told to stop.
        yield_on_timeout=True,
        rust_timeout=250,
    )
    due = True
    model = RunModel(settings)  # loaded once for all the runs
    for changes in events:
        due = due or bool(changes)
        if due and not stop.is_set():
            run = _run_when_free(settings, stop, model)
            due = run is None
            if run is not None:
                yield run


def _run_when_free(settings: Settings, stop: threading.Event, model: RunModel) -> Run | None:
    try:
        return run_now(settings, RunOptions(), "watch", stop, model=model)
    except BusyError:
        logger.info("Another ingester is at work; trying again.")
        stop.wait(_BUSY_RETRY_S)
        return None
