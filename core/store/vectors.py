"""Stored vectors by id, read from the segments that hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.errors import DamagedSegmentError
from core.records import STILL
from core.store.files import sha256_of
from core.store.segments import embedding_map, segment_path, stat_signature

if TYPE_CHECKING:
    import sqlite3
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
        self._maps: dict[int, NDArray[np.float16] | None] = {}  # None: damaged

    @property
    def ids(self) -> NDArray[np.int64]:
        """Every vector id, sorted."""
        return self._ids

    def read(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Give `[len(ids), d]` float32 unit vectors; a row that is lost is all NaN."""
        vectors = np.full((len(ids), self.space.dimension), np.nan, np.float32)
        if not len(self._ids):
            return vectors
        places = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        known = self._ids[places] == ids
        segments = np.where(known, self._segments[places], -1)
        for segment in np.unique(segments):
            held = self._maps.get(int(segment))
            if held is not None:
                wanted = np.flatnonzero(segments == segment)
                vectors[wanted] = held[self._rows[places[wanted]]]
        return vectors

    def refreshed(
        self, connection: sqlite3.Connection, records: list[SegmentRecord], since: int
    ) -> StoredVectors:
        """Give the vectors as the catalog knows them, reading the rows changed after `since`.

        Raises:
            FileNotFoundError: a merge took a file away meanwhile; read the catalog again.
        """
        other = StoredVectors(self.space, self._store_dir)
        other._ids, other._segments, other._rows = self._merge(connection, since)
        other._maps, other.problems = self._open(records)
        return other

    def _merge(
        self, connection: sqlite3.Connection, since: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        rows = connection.execute(
            "SELECT id, segment_id, row FROM vectors "
            "WHERE space_id = ? AND generation > ? ORDER BY id",
            (self.space.id, since),
        ).fetchall()
        table = np.array([tuple(row) for row in rows], np.int64).reshape(-1, 3)
        kept = ~np.isin(self._ids, table[:, 0], assume_unique=True)
        ids = np.concatenate([self._ids[kept], table[:, 0]])
        order = np.argsort(ids, kind="stable")
        return (
            ids[order],
            np.concatenate([self._segments[kept], table[:, 1]])[order],
            np.concatenate([self._rows[kept], table[:, 2]])[order],
        )

    def _open(
        self, records: list[SegmentRecord]
    ) -> tuple[dict[int, NDArray[np.float16] | None], tuple[str, ...]]:
        maps: dict[int, NDArray[np.float16] | None] = {}
        problems = list[str]()
        for record in records:
            held = self._maps.get(record.id)
            if held is None:
                try:
                    held = open_segment(self._store_dir, record, self.space.dimension)
                except DamagedSegmentError as error:
                    problems.append(str(error))
            maps[record.id] = held
        return maps, tuple(problems)


def still_vector_id(connection: sqlite3.Connection, space_id: int, md5: bytes) -> int | None:
    """The id of the vector that a space holds of a still picture's bytes."""
    row = connection.execute(
        "SELECT id FROM vectors WHERE space_id = ? AND md5 = ? AND at_ms = ?",
        (space_id, md5, STILL),
    ).fetchone()
    return None if row is None else int(row["id"])


def open_segment(store_dir: Path, record: SegmentRecord, dimension: int) -> NDArray[np.float16]:
    """Map a segment's vectors once its checksum has been found right.

    Raises:
        DamagedSegmentError: the file is missing or not what was written.
    """
    check_segment(store_dir, record)
    return embedding_map(store_dir, record, dimension)


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
