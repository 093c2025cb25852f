"""How the image folder and the catalog differ, from names and stats alone."""

from __future__ import annotations

import os
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from core.folder.changes import Change, Suspect, Unchanged
from core.folder.stretches import Untouched, compare_stretches
from core.records import KnownFile, RunState
from core.source.local import LocalFolder
from core.source.opening import open_source
from core.store.catalog import Catalog
from core.store.database import CATALOG_FILE
from core.vision.decode import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.settings import Settings
    from core.source.contract import ImageSource, Listing


_STANDS_S: Final = 60.0


@dataclass(frozen=True)
class FolderStatus:
    """What a run would find to do."""

    total: int  # picture files in the folder
    processed: int  # of these, dealt with already
    pending: int  # of these, to be read by the next run
    removed: int  # known files that are gone from the folder
    segments: bool  # whether any vectors are stored
    catalog: bool  # whether a catalog exists
    last_update: datetime | None  # local time of the last successful run's end


class FolderWatch:
    """Tells how folder and catalog differ.

    A folder is walked each time. Listing a bucket takes long and is paid for, so what was found
    there stands for a while, or until a run has ended.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._found: FolderStatus | None = None
        self._found_at = 0.0  # seconds of the monotonic clock
        self._found_after: int | None = None  # the last run then

    def read(self) -> FolderStatus:
        """Compare folder and catalog; opens no picture, writes nothing.

        Raises:
            SourceError: the photos cannot be listed.
            SettingsError: no library at hand speaks the protocol of LOOKALIKE_IMAGE_DIR.
        """
        source = open_source(self._settings)
        if isinstance(source, LocalFolder):
            return _read(self._settings, source)
        with self._lock:  # whoever comes meanwhile gets what the first one finds
            after = _last_ended_run(self._settings)
            old = time.monotonic() - self._found_at > _STANDS_S
            if self._found is None or old or after != self._found_after:
                self._found = _read(self._settings, source)
                self._found_at, self._found_after = time.monotonic(), after
            return self._found


def _last_ended_run(settings: Settings) -> int | None:
    with closing(Catalog(settings.store_dir)) as catalog:
        runs, _ = catalog.runs.latest(5)
        return next((run.id for run in runs if run.state.finished), None)


def _read(settings: Settings, source: ImageSource) -> FolderStatus:
    catalog = Catalog(settings.store_dir)  # a connection of its own
    try:
        space = catalog.live_space()
        walk = source.walk()
        counts = _count(catalog, space.id if space else None, walk)
        if not walk.complete:
            counts["removed"] = 0  # a folder that cannot be listed says nothing of its files
        return FolderStatus(
            total=counts["processed"] + counts["pending"],
            segments=bool(catalog.segments()),
            catalog=(settings.store_dir / CATALOG_FILE).exists(),
            last_update=_last_update(catalog),
            **counts,
        )
    finally:
        catalog.close()


def _count(catalog: Catalog, space_id: int | None, walk: Listing) -> dict[str, int]:
    counts = {"processed": 0, "pending": 0, "removed": 0}

    def lookup(after: bytes, up_to: bytes | None) -> Iterator[KnownFile]:
        # A file that was young when it was read is hashed again by the next run, to be safe; it
        # counts as dealt with all the same.
        files = catalog.known_files(space_id, after, up_to)
        return (file._replace(suspect=False) for file in files)

    with catalog.known_rows(space_id) as rows:
        counts["processed"] -= catalog.count_passed_over()  # which are among the untouched
        for change in compare_stretches(rows.result(), walk.stretches(), lookup):
            if isinstance(change, Untouched):
                counts["processed"] += change.files
                continue
            if change.known is not None and _passed_over(change.known):
                counts["processed"] += 1  # not untouched, so not to be taken off
            kind = _kind(change)
            if kind is not None:
                counts[kind] += 1
    return counts


def _kind(change: Change) -> str | None:
    """What a change counts as; None for files that are no pictures."""
    if isinstance(change, Unchanged):
        return None if _passed_over(change.known) else "processed"
    if isinstance(change, Suspect):
        known = change.known
        if known is not None and not _passed_over(known):
            return "pending"
        suffix = os.path.splitext(change.seen.path)[1].lower()  # noqa: PTH122  # a million times
        return "pending" if suffix in IMAGE_SUFFIXES else None
    return None if _passed_over(change.known) else "removed"


def _passed_over(known: KnownFile) -> bool:
    return known.item_id is None


def _last_update(catalog: Catalog) -> datetime | None:
    runs, _ = catalog.runs.latest(1, state=RunState.SUCCEEDED)
    if not runs or runs[0].finished_at is None:
        return None
    return datetime.fromtimestamp(runs[0].finished_at).astimezone()
