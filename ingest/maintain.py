"""Housekeeping around a run: orphans, damage, small segments, the saved index.

Everything here is safe to be killed at any step: files are durable before the catalog names them
and are unlinked only after it has stopped naming them. Readers keep their mappings of an unlinked
file until they let go of it.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

import numpy as np

from core.errors import DamagedSegmentError
from core.store import files
from core.store.index import record as index_record
from core.store.index.faiss import build_index
from core.store.publish import bump_generation
from core.store.segments import (
    FOLDER,
    SegmentRecord,
    SegmentRows,
    read_segment,
    segment_path,
    stat_signature,
    write_segment,
)
from core.store.snapshot import read_snapshot
from core.store.vectors import check_segment, looks_untouched

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from core.records import Space
    from core.store.catalog import Catalog

logger = logging.getLogger(__name__)

_MERGE_COUNT: Final = 8  # segments of one size class that are merged into one of the next
_MERGED_ROWS: Final = 65_536  # larger segments are left as they are
_REBUILD_SHARE: Final = 0.1  # of a saved index: once so much changed, it is saved anew
_REBUILD_LEAST: Final = 1_000
_LOOKED_AT_NOTE: Final = "index_looked_at"


def collect_orphans(catalog: Catalog) -> list[Path]:
    """Delete the files that no row names: what a kill left behind, or a reader has let go of."""
    with catalog.database.reading() as connection:
        named = {
            index_record.index_path(catalog.store_dir, row["file"])
            for row in connection.execute("SELECT file FROM indexes")
        }
    named |= {segment_path(catalog.store_dir, record.id) for record in catalog.segments()}
    found = [
        path
        for folder in (FOLDER, index_record.FOLDER)
        for path in sorted((catalog.store_dir / folder).glob("*"))
        if path.is_file() and path not in named
    ]
    for path in found:
        files.remove(path)
    return found


def mark_damaged(catalog: Catalog, *, thorough: bool = False) -> list[str]:
    """Find segments that something touched and that are not what was written.

    Their vectors count as absent from here on, so the run embeds their photos again. `thorough`
    reads the untouched ones too, for disks that lose bits by themselves.
    """
    problems = list[str]()
    for record in catalog.segments():
        if not thorough and looks_untouched(catalog.store_dir, record):
            continue
        try:
            check_segment(catalog.store_dir, record)
            damaged, stat = False, stat_signature(segment_path(catalog.store_dir, record.id))
        except (DamagedSegmentError, OSError) as error:
            damaged, stat = True, record.verified_stat
            problems.append(str(error))
        with catalog.database.writing() as connection:
            connection.execute(
                "UPDATE segments SET damaged = ?, verified_stat = ? WHERE id = ?",
                (damaged, stat, record.id),
            )
    return problems


def drop_damaged(catalog: Catalog) -> None:
    """Forget damaged segments, after a whole run has embedded again what could be."""
    damaged = [record for record in catalog.segments() if record.damaged]
    _retire(catalog, damaged)


def merge_segments(catalog: Catalog, space: Space) -> int:
    """Merge small segments, leaving out rows that no item uses; gives how many were merged.

    Each row is rewritten once per size class, so what a run writes stays in proportion to what
    changed.
    """
    _retire(catalog, _unused(catalog, space))
    merged = 0
    while group := _next_group(catalog.segments(space.id)):
        _merge(catalog, space, group)
        merged += len(group)
    return merged


def save_index(catalog: Catalog, space: Space, exact_up_to: int) -> bool:
    """Save an index over the space if the last one is missing, damaged or far behind.

    Looking is as dear as a reader's start, so nothing is read while nothing has changed.
    """
    if catalog.get_note(_LOOKED_AT_NOTE) == _index_state(catalog, space):
        return False
    saved = _save_index(catalog, space, exact_up_to)
    catalog.set_note(_LOOKED_AT_NOTE, _index_state(catalog, space))
    return saved


def _index_state(catalog: Catalog, space: Space) -> str:
    """What changes with the catalogue and with anything that touches the index file."""
    with catalog.database.reading() as connection:
        record = index_record.latest_index(connection, space.id)
        generation = catalog.generation()
    file = "none"
    if record is not None:
        try:
            file = stat_signature(index_record.index_path(catalog.store_dir, record.file))
        except OSError:
            file = "missing"
    return f"{space.id} {generation} {file}"


def _save_index(catalog: Catalog, space: Space, exact_up_to: int) -> bool:
    snapshot = read_snapshot(catalog)
    if snapshot.space is None or snapshot.vectors is None or snapshot.space.id != space.id:
        return False
    wanted = np.unique(snapshot.entries.vector_ids)
    with catalog.database.reading() as connection:
        record = index_record.latest_index(connection, space.id)
    if record is not None and snapshot.index_problem is None:
        fresh = int((wanted > record.last_vector_id).sum())
        gone = record.vectors - (len(wanted) - fresh)
        if fresh + gone <= max(_REBUILD_LEAST, _REBUILD_SHARE * record.vectors):
            return False
    if not len(wanted) and record is None:
        return False
    found = snapshot.vectors.read(wanted)
    whole = np.isfinite(found).all(axis=1)
    ids, found = wanted[whole], found[whole]
    index = build_index(ids, found, snapshot.vectors, exact_up_to)
    file = f"{catalog.generation() + 1:010d}.faiss"
    path = index_record.index_path(catalog.store_dir, file)
    path.parent.mkdir(parents=True, exist_ok=True)
    sha256 = index.save(path)
    with catalog.database.writing() as connection:
        old = _replace_index(
            connection,
            (space.id, file, sha256, index.kind, len(ids), int(ids.max(initial=0)), index.recall),
        )
    for name in old:
        files.remove(index_record.index_path(catalog.store_dir, name))
    return True


def _replace_index(connection: sqlite3.Connection, row: tuple[object, ...]) -> list[str]:
    bump_generation(connection)
    old = [
        r["file"]
        for r in connection.execute("SELECT file FROM indexes WHERE space_id = ?", row[:1])
    ]
    connection.execute("DELETE FROM indexes WHERE space_id = ?", row[:1])
    connection.execute(
        "INSERT INTO indexes (space_id, file, sha256, kind, vectors, last_vector_id, recall, "
        "created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (*row, time.time()),
    )
    return [name for name in old if name != row[1]]


def drop_retired(catalog: Catalog, keep: int = 1) -> None:
    """Delete retired spaces but the newest, which is kept so that going back costs nothing."""
    with catalog.database.reading() as connection:
        retired = [
            row["id"]
            for row in connection.execute(
                "SELECT id FROM spaces WHERE state = 'retired' ORDER BY retired_at DESC"
            )
        ]
    for space_id in retired[keep:]:
        _retire(catalog, catalog.segments(space_id))
        with catalog.database.writing() as connection:
            connection.execute("DELETE FROM indexes WHERE space_id = ?", (space_id,))
            connection.execute("DELETE FROM spaces WHERE id = ?", (space_id,))
    collect_orphans(catalog)


def _retire(catalog: Catalog, records: list[SegmentRecord]) -> None:
    """Forget segments with their vectors, then delete their files."""
    for record in records:
        with catalog.database.writing() as connection:
            generation = bump_generation(connection)
            # A photo that failed and was found by its earlier content is found no more.
            connection.execute(
                "UPDATE items SET generation = ?, "
                "vector_md5 = CASE state WHEN 'failed' THEN NULL ELSE vector_md5 END "
                "WHERE EXISTS (SELECT 1 FROM spaces WHERE id = ? AND state = 'live') AND "
                "vector_md5 IN (SELECT md5 FROM vectors WHERE segment_id = ?)",
                (generation, record.space_id, record.id),
            )
            connection.execute("DELETE FROM vectors WHERE segment_id = ?", (record.id,))
            connection.execute("DELETE FROM segments WHERE id = ?", (record.id,))
        files.remove(segment_path(catalog.store_dir, record.id))


def _unused(catalog: Catalog, space: Space) -> list[SegmentRecord]:
    """The segments whose every vector was made anew since."""
    with catalog.database.reading() as connection:
        unused = {
            row["id"]
            for row in connection.execute(
                "SELECT id FROM segments WHERE space_id = ? AND NOT EXISTS "
                "(SELECT 1 FROM vectors WHERE segment_id = segments.id)",
                (space.id,),
            )
        }
    return [record for record in catalog.segments(space.id) if record.id in unused]


def _next_group(records: list[SegmentRecord]) -> list[SegmentRecord]:
    """The smallest segments that are due to become one."""
    classes: dict[int, list[SegmentRecord]] = {}
    for record in records:
        if record.rows < _MERGED_ROWS and not record.damaged:
            classes.setdefault(record.rows.bit_length() // 3, []).append(record)
    for _, members in sorted(classes.items()):
        if len(members) >= _MERGE_COUNT:
            return members[:_MERGE_COUNT]
    return []


def _merge(catalog: Catalog, space: Space, group: list[SegmentRecord]) -> None:
    parts = [(record, read_segment(catalog.store_dir, record)) for record in group]
    with catalog.database.reading() as connection:
        used = [_used_rows(connection, record) for record in group]
    rows = SegmentRows(
        *(
            np.concatenate(
                [
                    getattr(part, name)[kept]
                    for (_, part), (kept, _) in zip(parts, used, strict=True)
                ]
            )
            for name in ("embedding", "md5", "at_ms")
        )
    )
    vector_ids = [vector_id for _, ids in used for vector_id in ids]
    new = (
        write_segment(
            catalog.store_dir, catalog.next_segment_id(), space.id, space.fingerprint, rows
        )
        if len(rows)
        else None
    )
    with catalog.database.writing() as connection:
        generation = bump_generation(connection)
        if new is not None:
            connection.execute(
                "INSERT INTO segments (id, space_id, rows, size, sha256, verified_stat) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (new.id, new.space_id, new.rows, new.size, new.sha256, new.verified_stat),
            )
            connection.executemany(
                "UPDATE vectors SET segment_id = ?, row = ?, generation = ? WHERE id = ?",
                ((new.id, row, generation, vector_id) for row, vector_id in enumerate(vector_ids)),
            )
        for record in group:
            connection.execute("DELETE FROM vectors WHERE segment_id = ?", (record.id,))
            connection.execute("DELETE FROM segments WHERE id = ?", (record.id,))
    for record in group:
        files.remove(segment_path(catalog.store_dir, record.id))


def _used_rows(
    connection: sqlite3.Connection, record: SegmentRecord
) -> tuple[list[int], list[int]]:
    """Which rows of a segment items refer to, and the ids of their vectors."""
    found = connection.execute(
        "SELECT id, row FROM vectors v WHERE segment_id = ? AND ("
        "EXISTS (SELECT 1 FROM items WHERE md5 = v.md5) OR "
        "EXISTS (SELECT 1 FROM items WHERE vector_md5 = v.md5)) ORDER BY row",
        (record.id,),
    ).fetchall()
    return [row["row"] for row in found], [row["id"] for row in found]
