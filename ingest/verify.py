"""Is the store what the catalog says it is? Reads everything, changes nothing."""

from __future__ import annotations

from collections import deque
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.errors import DamagedCatalogError, DamagedIndexError, DamagedSegmentError
from core.store.catalog import Catalog
from core.store.database import CATALOG_FILE, damaged_catalog
from core.store.index.faiss import load_index
from core.store.index.record import index_path, latest_index
from core.store.segments import read_segment, segment_path
from core.store.vectors import StoredVectors

if TYPE_CHECKING:
    from pathlib import Path

    from core.store.segments import SegmentRecord, SegmentRows


@dataclass(frozen=True)
class Verification:
    """What a verification looked at and found."""

    segments: int
    vectors: int
    items: int
    problems: tuple[str, ...]  # each a sentence naming the file

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify_store(store_dir: Path) -> Verification:
    """Check every segment's checksum, the catalog against the segments, the index and its hash.

    A store never filled is sound; so is one whose ingester was killed: orphans are not damage.

    Raises:
        StoreError: the catalog itself cannot be read.
    """
    if not (store_dir / CATALOG_FILE).exists():
        return Verification(0, 0, 0, ())
    catalog = Catalog(store_dir)
    try:
        return _verify(catalog)
    finally:
        catalog.close()


def _verify(catalog: Catalog) -> Verification:
    problems = check_catalog(catalog)
    if problems:
        return Verification(0, 0, 0, tuple(problems))
    vectors = 0
    records = catalog.segments()
    for record in records:
        try:
            rows = read_segment(catalog.store_dir, record)
        except DamagedSegmentError as error:
            problems.append(str(error))
            continue
        vectors += len(rows)
        problems += _check_rows(catalog, record, rows)
    problems += _check_items(catalog)
    problems += _check_index(catalog)
    items = sum(catalog.count_items().values())
    return Verification(len(records), vectors, items, tuple(problems))


def check_catalog(catalog: Catalog) -> list[str]:
    """What is wrong with the catalog's own file: SQLite's findings, and rows that cannot be."""
    path = catalog.store_dir / CATALOG_FILE
    try:
        with catalog.database.reading() as connection:
            answers = [row[0] for row in connection.execute("PRAGMA integrity_check")]
        problems = [f"{path}: {answer}." for answer in answers if answer != "ok"]
        if not problems:
            _read_every_row(catalog)
    except DamagedCatalogError as error:
        return [str(error)]
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        return [damaged_catalog(path, error)]
    return problems


def _read_every_row(catalog: Catalog) -> None:
    """Read all that is typed, so that an impossible value shows."""
    catalog.segments()
    catalog.runs.latest(limit=-1)
    live = catalog.live_space()
    with closing(catalog.known_files(live.id if live else None)) as known:
        deque(known, maxlen=0)
    catalog.items(None, limit=-1)


def _check_rows(catalog: Catalog, record: SegmentRecord, rows: SegmentRows) -> list[str]:
    """Whether every vector row names the place its content is in."""
    path = segment_path(catalog.store_dir, record.id)
    wrong = misplaced_vectors(catalog, record, rows)
    problems = [f"{path}: {len(wrong)} rows hold another photo's vector."] if wrong else []
    lengths = np.linalg.norm(rows.embedding.astype(np.float32), axis=1)
    if not np.allclose(lengths, 1.0, atol=1e-2):
        problems.append(f"{path}: a vector is not of unit length.")
    return problems


def misplaced_vectors(catalog: Catalog, record: SegmentRecord, rows: SegmentRows) -> list[int]:
    """The ids of the vectors whose place in the segment holds other content."""
    with catalog.database.reading() as connection:
        named = connection.execute(
            "SELECT id, row, md5, at_ms FROM vectors WHERE segment_id = ?", (record.id,)
        ).fetchall()
    return [
        row["id"]
        for row in named
        if not 0 <= row["row"] < len(rows)
        or rows.md5[row["row"]].tobytes() != row["md5"]
        or int(rows.at_ms[row["row"]]) != row["at_ms"]
    ]


def _check_items(catalog: Catalog) -> list[str]:
    live = catalog.live_space()
    if live is None:
        return []
    with catalog.database.reading() as connection:
        lost = connection.execute(
            "SELECT count(*) FROM items WHERE state = 'indexed' AND vector_md5 IS NOT NULL "
            "AND NOT EXISTS (SELECT 1 FROM vectors v WHERE v.space_id = ? AND "
            "v.md5 = items.vector_md5)",
            (live.id,),
        ).fetchone()[0]
    path = catalog.store_dir / CATALOG_FILE
    return [f"{path}: {lost} indexed items have no vector."] if lost else []


def _check_index(catalog: Catalog) -> list[str]:
    live = catalog.live_space()
    if live is None:
        return []
    with catalog.database.reading() as connection:
        record = latest_index(connection, live.id)
    if record is None:
        return []
    try:
        index = load_index(
            index_path(catalog.store_dir, record.file),
            record.sha256,
            StoredVectors(live, catalog.store_dir),
            record.recall,
        )
    except DamagedIndexError as error:
        return [str(error)]
    if len(index) != record.vectors:
        return [f"{record.file}: {len(index)} vectors instead of {record.vectors}."]
    return []
