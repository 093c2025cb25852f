"""Makes a damaged store whole, embedding again exactly what was lost.

A catalog that is damaged is set aside and made anew: the segments still hold the vectors under
their MD5, so the run that follows hashes every photo and embeds only those no whole segment has.
What a new catalog cannot know is the history: runs, and items whose file is gone.
"""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

from core.errors import DamagedCatalogError, DamagedSegmentError
from core.records import RunOptions
from core.store.catalog import Catalog
from core.store.commit import Commit, NewSegment
from core.store.database import CATALOG_FILE
from core.store.segments import FOLDER, read_segment, read_stray_segment, write_segment
from ingest import maintain
from ingest.lock import IngestLock
from ingest.model import RunModel
from ingest.run import IngestRun
from ingest.verify import check_catalog, misplaced_vectors

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path

    from core.records import Run, RunCounters, Space
    from core.settings import Settings


def repair_store(
    settings: Settings,
    stop: threading.Event,
    show: Callable[[RunCounters], None] | None = None,
) -> tuple[Run, list[str]]:
    """Repair, then bring the store in step; give the run and what was mended, a sentence each.

    Raises:
        BusyError: another ingester holds the store.
        ModelError: the model is unknown or cannot be loaded.
    """
    with IngestLock(settings.store_dir):
        mended = _set_damaged_catalog_aside(settings.store_dir)
        with closing(Catalog(settings.store_dir)) as catalog:
            model = RunModel(settings)
            space = catalog.ensure_space(model.identity(catalog))
            if not catalog.segments():
                # A new catalog, or an empty one beside segments that some other catalog named.
                kept = _adopt_segments(catalog, space)
                mended.append(f"{kept:,} vectors were taken over from the segments.")
            mended += maintain.mark_damaged(catalog, thorough=True)
            mended += _forget_misplaced(catalog)
            catalog.runs.interrupt_orphans()
            run = catalog.runs.start(RunOptions(), "repair")
            return IngestRun(settings, catalog, run, model, stop, show).execute(), mended


def _set_damaged_catalog_aside(store_dir: Path) -> list[str]:
    """Rename a damaged catalog, so that a new one takes its place."""
    path = store_dir / CATALOG_FILE
    try:
        with closing(Catalog(store_dir)) as catalog:
            problems = check_catalog(catalog)
    except DamagedCatalogError as error:
        problems = [str(error)]
    if not problems:
        return []
    aside = f"{CATALOG_FILE}.damaged-{int(time.time())}"
    for suffix in ("", "-wal", "-shm"):
        part = store_dir / (CATALOG_FILE + suffix)
        if part.exists():
            part.rename(store_dir / (aside + suffix))
    return [*problems, f"{path} was set aside as {aside} and made anew."]


def _adopt_segments(catalog: Catalog, space: Space) -> int:
    """Take the vectors of every whole segment of the space over into a new catalog."""
    kept = 0
    for path in sorted((catalog.store_dir / FOLDER).glob("*.h5")):
        rows = read_stray_segment(path, space.fingerprint)
        if rows is None:
            continue
        # Written anew under the new catalog's numbers; the old file is an orphan from here on.
        number = max(catalog.next_segment_id(), _number_after(catalog.store_dir))
        record = write_segment(catalog.store_dir, number, space.id, space.fingerprint, rows)
        catalog.publish(space, Commit(NewSegment(record, rows)))
        kept += len(rows)
    return kept


def _number_after(store_dir: Path) -> int:
    """A segment number that no file has."""
    numbers = (path.stem for path in (store_dir / FOLDER).glob("*.h5"))
    return 1 + max((int(number) for number in numbers if number.isdecimal()), default=0)


def _forget_misplaced(catalog: Catalog) -> list[str]:
    """Drop the vectors that are not where the catalog says, so that they are made again."""
    lost = list[int]()
    for record in catalog.segments():
        if not record.damaged:
            try:
                rows = read_segment(catalog.store_dir, record)
            except DamagedSegmentError:
                continue  # damaged since it was marked; the next repair finds it
            lost += misplaced_vectors(catalog, record, rows)
    with catalog.database.writing() as connection:
        connection.executemany("DELETE FROM vectors WHERE id = ?", ((number,) for number in lost))
    return [f"{len(lost)} vectors were not where the catalog said."] if lost else []
