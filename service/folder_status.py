"""How the image folder and the catalog differ, from names and stats alone."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from core.folder.changes import Change, Suspect, Unchanged, compare
from core.folder.walk import Walk
from core.records import KnownFile, RunState
from core.store.catalog import Catalog
from core.store.database import CATALOG_FILE
from core.vision.decode import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from core.settings import Settings


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


def read_status(settings: Settings) -> FolderStatus:
    """Compare folder and catalog, on a connection of its own; opens no picture, writes nothing.

    Raises:
        SourceError: the image folder cannot be listed.
    """
    catalog = Catalog(settings.store_dir)
    try:
        space = catalog.live_space()
        walk = Walk(settings.image_dir)
        with closing(catalog.known_files(space.id if space else None)) as files:
            counts = _count(files, walk)
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


def _count(files: Iterable[KnownFile], walk: Walk) -> dict[str, int]:
    # A file that was young when it was read is hashed again by the next run, to be safe; it counts
    # as dealt with all the same.
    known = (file._replace(suspect=False) for file in files)
    counts = {"processed": 0, "pending": 0, "removed": 0}
    for change in compare(known, walk):
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
