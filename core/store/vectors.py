"""Stored vectors by id, read from the segments that hold them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import numpy as np

from core.errors import DamagedSegmentError
from core.records import STILL
from core.store.files import sha256_of
from core.store.index.ranking import rows_of
from core.store.packed import changed_ids, changed_rows, numbers
from core.store.segments import OpenSegment, segment_path, stat_signature

MD5_BYTES: Final = 16
_UNKNOWN: Final = -1  # a segment that there is not
_FEW: Final = 64  # rows so few, of a search's candidates, that neighbours are not worth a look

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from core.records import Space
    from core.store.segments import SegmentRecord


class StoredVectors:
    """The vectors of one space as one generation knew them; implements `VectorReader`.

    Immutable: `refreshed` gives another one, sharing the segments that are still the same.
    """

    def __init__(self, space: Space, store_dir: Path) -> None:
        self.space = space
        self.problems: tuple[str, ...] = ()  # damaged segments, each a sentence naming the file
        self._store_dir = store_dir
        self._ids: NDArray[np.int64] = np.empty(0, np.int64)
        self._segments: NDArray[np.int64] = np.empty(0, np.int64)  # segment id of each vector
        self._rows: NDArray[np.int64] = np.empty(0, np.int64)
        self._open: dict[int, OpenSegment | None] = {}  # None: damaged
        self._lost: list[int] = []  # ids whose place holds another photo's vector

    @property
    def ids(self) -> NDArray[np.int64]:
        """Every vector id, sorted."""
        return self._ids

    def read(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Give `[len(ids), d]` float32 unit vectors; a row that is lost is all NaN."""
        vectors = np.empty((len(ids), self.space.dimension), np.float16)
        if not len(self._ids) or not len(ids):
            vectors[:] = np.nan
            return vectors.astype(np.float32)
        places = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        segments = np.where(self._ids[places] == ids, self._segments[places], _UNKNOWN)
        rows = self._rows[places]
        starts = list(range(len(ids)))
        if len(ids) > _FEW:
            # Neighbouring rows are read together: a scan of a whole segment is one call.
            together = (rows[1:] - rows[:-1] == 1) & (segments[1:] == segments[:-1])
            starts = [0, *(np.flatnonzero(~together) + 1).tolist()]
        ends = [*starts[1:], len(ids)]
        firsts = zip(segments[starts].tolist(), rows[starts].tolist(), strict=True)
        for start, end, (segment, row) in zip(starts, ends, firsts, strict=True):
            held = self._open.get(segment)
            if held is None:
                vectors[start:end] = np.nan
            else:
                held.read_run(row, vectors[start:end])
        return vectors.astype(np.float32)

    def refreshed(
        self, connection: sqlite3.Connection, records: list[SegmentRecord], since: int
    ) -> StoredVectors:
        """Give the vectors as the catalog knows them, reading the rows changed after `since`.

        Raises:
            FileNotFoundError: a merge took a file away meanwhile; read the catalog again.
        """
        other = StoredVectors(self.space, self._store_dir)
        other._open, problems = self._reopened(records)
        changed = changed_ids(connection, "vectors", since)
        parts = [
            (table, _contradicted(table, md5s, other._open))
            for table, md5s in _rows(connection, self.space.id, changed, since)
        ]
        table = np.concatenate([np.empty((3, 0), np.int64), *(part[0] for part in parts)], axis=1)
        wrong = np.concatenate([np.empty(0, np.bool_), *(part[1] for part in parts)])
        parts.clear()  # a million rows weigh; so do those below
        other._lost = [*_still_there(connection, self._lost), *table[0, wrong].tolist()]
        if other._lost:
            problems.append(
                f"{self._store_dir}: {len(other._lost)} vectors are not where the catalog says; "
                "run lookalike-ingest repair."
            )
        other._replace(self, table[0], table[:, ~wrong] if wrong.any() else table)
        other.problems = tuple(problems)
        return other

    def _replace(
        self, before: StoredVectors, changed: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> None:
        """Take over what was known before, less what `changed`, and `rows`."""
        kept = np.ones(len(before._ids), np.bool_)
        kept[rows_of(before._ids, np.sort(changed))] = False
        ids = np.concatenate([before._ids[kept], rows[0]])
        order = np.argsort(ids, kind="stable")
        self._ids = ids[order]
        self._segments = np.concatenate([before._segments[kept], rows[1]])[order]
        self._rows = np.concatenate([before._rows[kept], rows[2]])[order]

    def _reopened(
        self, records: list[SegmentRecord]
    ) -> tuple[dict[int, OpenSegment | None], list[str]]:
        """The segments of now, those held already as they are."""
        held: dict[int, OpenSegment | None] = {}
        problems = list[str]()
        # Checksums are most of a start, and hashing leaves other threads their turn.
        with ThreadPoolExecutor() as threads:
            for record, segment in zip(records, threads.map(self._opened, records), strict=True):
                if isinstance(segment, OpenSegment):
                    held[record.id] = segment
                else:
                    held[record.id] = None
                    problems.append(segment)
        return held, problems

    def _opened(self, record: SegmentRecord) -> OpenSegment | str:
        """The segment, as held already or opened anew, or why it cannot be used."""
        segment = self._open.get(record.id)
        if segment is not None:
            return segment
        try:
            return OpenSegment(self._store_dir, record, self.space.dimension)
        except DamagedSegmentError as error:
            return str(error)


def _still_there(connection: sqlite3.Connection, ids: list[int]) -> list[int]:
    question = "SELECT 1 FROM vectors WHERE id = ?"
    return [number for number in ids if connection.execute(question, (number,)).fetchone()]


_COLUMNS: Final = (
    "SELECT count(*), group_concat(t.id), group_concat(t.segment_id), group_concat(t.row), "
    "group_concat(CASE length(CAST(t.md5 AS BLOB)) WHEN 16 THEN hex(t.md5) "
    f"ELSE '{'00' * MD5_BYTES}' END, '') FROM vectors t WHERE +t.space_id = ? AND "  # by id
)


def _rows(
    connection: sqlite3.Connection, space_id: int, changed: NDArray[np.int64], since: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """The changed rows of a space: (id, segment, row) `[3, n]`, and their MD5 `[n, 16]`.

    An MD5 of another length, which only damage makes, comes as zeros.
    """
    for where, values in changed_rows(changed, since):
        count, *columns = connection.execute(_COLUMNS + where, (space_id, *values)).fetchone()
        table = np.stack([numbers(column, count) for column in columns[:3]])
        md5s = np.frombuffer(bytes.fromhex(columns[3] or ""), np.uint8)
        yield table, md5s.reshape(-1, MD5_BYTES)


def _contradicted(
    table: NDArray[np.int64], named: NDArray[np.uint8], segments: dict[int, OpenSegment | None]
) -> NDArray[np.bool_]:
    """Which rows (id, segment, row) of the catalog name a place that holds other content."""
    wrong = np.zeros(table.shape[1], dtype=bool)
    for segment_id in np.unique(table[1]):
        segment = segments.get(int(segment_id))
        if segment is None:
            continue
        places = np.flatnonzero(table[1] == segment_id)
        rows = table[2, places]
        outside = (rows < 0) | (rows >= len(segment.md5))
        there = segment.md5[np.where(outside, 0, rows)]
        wrong[places] |= outside | (there != named[places]).any(axis=1)
    return wrong


def still_vector_id(connection: sqlite3.Connection, space_id: int, md5: bytes) -> int | None:
    """The id of the vector that a space holds of a still picture's bytes."""
    row = connection.execute(
        "SELECT id FROM vectors WHERE space_id = ? AND md5 = ? AND at_ms = ?",
        (space_id, md5, STILL),
    ).fetchone()
    return None if row is None else int(row["id"])


def check_segment(store_dir: Path, record: SegmentRecord) -> None:
    """Compare a segment file with its checksum.

    Raises:
        DamagedSegmentError: the file is missing or not what was written.
    """
    path = segment_path(store_dir, record.id)
    try:
        right = sha256_of(path) == record.sha256
    except OSError as error:
        raise DamagedSegmentError(f"Segment {path} cannot be read: {error}.") from error
    if not right:
        raise DamagedSegmentError(
            f"Segment {path} is not what was written: its SHA-256 differs from the catalog's. "
            "The next ingest run embeds its photos again."
        )


def looks_untouched(store_dir: Path, record: SegmentRecord) -> bool:
    """Whether nothing has touched the file since its checksum was last found right."""
    try:
        return stat_signature(segment_path(store_dir, record.id)) == record.verified_stat
    except OSError:
        return False
