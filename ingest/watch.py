"""Runs that follow the photos: a folder by its own events, object storage by listing it."""

from __future__ import annotations

import hashlib
import logging
import os
from typing import TYPE_CHECKING

from watchfiles import watch

from core.errors import BusyError, SourceError
from core.records import RunOptions
from core.source.local import LocalFolder
from core.source.opening import open_source
from ingest.model import RunModel
from ingest.runner import run_now

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from core.records import Run
    from core.settings import Settings
    from core.source.objects import ObjectStore

logger = logging.getLogger(__name__)

_BUSY_RETRY_S = 1.0


def watch_folder(
    settings: Settings, stop: threading.Event, debounce_s: float, interval_s: float = 60.0
) -> Iterator[Run]:
    """Run once, then after every burst of changes, until `stop` is set; yield each run.

    Object storage is listed every `interval_s`, and a run follows if the listing has changed.

    Raises:
        SourceError: the folder is not there.
        SettingsError: no library at hand speaks the protocol of LOOKALIKE_IMAGE_DIR.
    """
    source = open_source(settings)
    if isinstance(source, LocalFolder):
        changes = _folder_changes(source, stop, debounce_s)
    else:
        changes = _listed_changes(source, stop, interval_s)
    due = True
    model = RunModel(settings)  # loaded once for all the runs
    for changed in changes:
        due = due or changed
        if due and not stop.is_set():
            run = _run_when_free(settings, stop, model)
            due = run is None
            if run is not None:
                yield run


def _folder_changes(
    folder: LocalFolder, stop: threading.Event, debounce_s: float
) -> Iterator[bool]:
    if not folder.root.is_dir():
        raise SourceError(
            f"The image folder {folder.name} is not there. It is set by LOOKALIKE_IMAGE_DIR."
        )
    events = watch(
        folder.root,
        watch_filter=None,  # content decides what is a picture, so every file may matter
        debounce=int(debounce_s * 1000),
        step=min(200, int(debounce_s * 1000)),
        stop_event=stop,
        raise_interrupt=False,
        # An empty answer now and then starts the first run, and ends the wait when told to stop.
        yield_on_timeout=True,
        rust_timeout=250,
    )
    for changes in events:
        yield bool(changes)


def _listed_changes(store: ObjectStore, stop: threading.Event, interval_s: float) -> Iterator[bool]:
    # Looked at before each run, so that what changes during a run makes for another.
    last: bytes | None = None
    while not stop.is_set():
        found: bytes | None
        try:
            found = _fingerprint(store)
        except SourceError as error:
            logger.warning("Listing failed; trying again.", extra={"why": str(error)})
            found = last
        yield found != last
        last = found
        stop.wait(interval_s)


def _fingerprint(store: ObjectStore) -> bytes:
    """What changes whenever an object comes, goes or changes.

    Raises:
        SourceError: not everything can be listed.
    """
    digest = hashlib.blake2b()
    listing = store.walk()
    for seen in listing:
        digest.update(b"%s\0%d %d %d\n" % (os.fsencode(seen.path), *seen.stat))
    digest.update(repr(sorted(listing.metadata.items())).encode())
    if not listing.complete:
        raise SourceError("; ".join(listing.unlisted[:3]))
    return digest.digest()


def _run_when_free(settings: Settings, stop: threading.Event, model: RunModel) -> Run | None:
    try:
        return run_now(settings, RunOptions(), "watch", stop, model=model)
    except BusyError:
        logger.info("Another ingester is at work; trying again.")
        stop.wait(_BUSY_RETRY_S)
        return None
