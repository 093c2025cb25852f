"""The catalog's searchable entries as rows of a collection, a few thousand items at a time."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from core.errors import DamagedSegmentError
from core.records import STILL
from core.store.index.milvus.layout import Row, key_of
from core.store.segments import OpenSegment

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from core.records import Space
    from core.store.catalog import Catalog

Position = tuple[int, int]
"""Generation and item: everything at or before it, in that order, has been carried over."""

NOTHING: Final[Position] = (-1, 0)
WHOLE: Final = 2**62  # the item of a position that stands for a whole generation

_CHANGED: Final = (
    "SELECT generation, id FROM items WHERE (generation, id) > (?, ?) AND generation <= ? "
    "ORDER BY generation, id LIMIT ?"
)
_ENTRIES: Final = (
    "SELECT t.id, t.path, t.ambiguous, t.state = 'failed' AS stale, t.product_id, t.attributes, "
    "v.at_ms, v.md5, v.segment_id, v.row FROM items t "
    "CROSS JOIN vectors v ON v.space_id = ? AND v.md5 = t.vector_md5 "
    "WHERE t.state != 'missing' AND t.vector_md5 IS NOT NULL AND "
)
_KEPT_OPEN: Final = 64  # segments


@dataclass
class Rows:
    """The entries of some items."""

    good: list[Row] = field(default_factory=list)
    unreadable: set[int] = field(default_factory=set)  # keys whose segment is damaged
    refused: dict[int, str] = field(default_factory=dict)  # keys that Milvus must not have: why


class RowSource:
    """Reads rows of one space; segments it has read stay open for the next."""

    def __init__(self, catalog: Catalog, space: Space) -> None:
        self._catalog = catalog
        self._space = space
        self._open: dict[int, OpenSegment | None] = {}  # None: damaged

    def changed(self, since: Position, target: int, limit: int) -> list[Position]:
        """The items that changed after a position, up to a generation, in the order of change."""
        with self._catalog.database.reading() as connection:
            found = connection.execute(_CHANGED, (*since, target, limit))
            return [(row["generation"], row["id"]) for row in found]

    def of_items(self, item_ids: Sequence[int]) -> Rows:
        """The entries of these items."""
        marks = ",".join("?" * len(item_ids))
        return self._read(f"t.id IN ({marks})", item_ids)

    def between(self, first: int, after: int) -> Rows:
        """The entries of the items from `first` to before `after`."""
        return self._read("t.id >= ? AND t.id < ?", (first, after))

    def sample(self, count: int) -> list[Row]:
        """Entries of items picked at random, one of each."""
        with self._catalog.database.reading() as connection:
            ids = [
                row["id"]
                for row in connection.execute(
                    "SELECT id FROM items WHERE vector_md5 IS NOT NULL AND state != 'missing' "
                    "ORDER BY random() LIMIT ?",
                    (count,),
                )
            ]
        return list({row.item_id: row for row in self.of_items(ids).good}.values()) if ids else []

    def counts(self) -> tuple[int, int]:
        """How many items can be found, and the id after the last one there ever was."""
        with self._catalog.database.reading() as connection:
            items = connection.execute(
                "SELECT count(*) FROM items WHERE vector_md5 IS NOT NULL AND state != 'missing'"
            ).fetchone()[0]
            last = connection.execute("SELECT max(id) FROM items").fetchone()[0]
        return int(items), int(last or 0) + 1

    def _read(self, where: str, values: Sequence[int]) -> Rows:
        with self._catalog.database.reading() as connection:
            entries = connection.execute(_ENTRIES + where, (self._space.id, *values)).fetchall()
        vectors = self._vectors(entries)
        rows = Rows()
        for entry, vector in zip(entries, vectors, strict=True):
            key = key_of(entry["id"], entry["at_ms"])
            if not np.isfinite(vector).all() and self._damaged(entry):
                rows.unreadable.add(key)
                continue
            row = _row(key, entry, vector)
            why = row.objection()
            if why is None:
                rows.good.append(row)
            else:
                rows.refused[key] = f"{row.path}: {why}."
        return rows

    def _damaged(self, entry: sqlite3.Row) -> bool:
        """Whether a row is unreadable, rather than read as what it is."""
        segment = self._open.get(entry["segment_id"])
        return segment is None or not _names(segment, entry)

    def _vectors(self, entries: list[sqlite3.Row]) -> NDArray[np.float32]:
        """Float32 `[n, d]`; NaN where the segment is damaged or holds another picture's vector."""
        vectors = np.full((len(entries), self._space.dimension), np.nan, np.float32)
        segments = np.array([entry["segment_id"] for entry in entries], np.int64)
        for segment_id in np.unique(segments).tolist():
            segment = self._segment(segment_id)
            if segment is None:
                continue
            places = [
                place
                for place in np.flatnonzero(segments == segment_id).tolist()
                if _names(segment, entries[place])
            ]
            places.sort(key=lambda place: entries[place]["row"])
            rows = np.array([entries[place]["row"] for place in places], np.int64)
            vectors[places] = segment.read(rows)
        return vectors

    def _segment(self, segment_id: int) -> OpenSegment | None:
        if segment_id not in self._open:
            records = {record.id: record for record in self._catalog.segments(self._space.id)}
            self._open = {key: kept for key, kept in self._open.items() if key in records}
            while len(self._open) >= _KEPT_OPEN:
                self._open.pop(next(iter(self._open)))
            try:
                found = OpenSegment(
                    self._catalog.store_dir, records[segment_id], self._space.dimension
                )
            except (DamagedSegmentError, KeyError):
                self._open[segment_id] = None
            else:
                self._open[segment_id] = found
        return self._open[segment_id]


def _names(segment: OpenSegment, entry: sqlite3.Row) -> bool:
    """Whether the place an entry names holds the vector of its content."""
    row = entry["row"]
    return bool(0 <= row < len(segment.md5) and segment.md5[row].tobytes() == entry["md5"])


def _row(key: int, entry: sqlite3.Row, vector: NDArray[np.float32]) -> Row:
    return Row(
        key=key,
        vector=vector,
        item_id=entry["id"],
        at_ms=entry["at_ms"],
        path=os.fsdecode(entry["path"]),
        md5=entry["md5"],
        product_id=entry["product_id"],
        attributes=json.loads(entry["attributes"]),
        ambiguous=bool(entry["ambiguous"]),
        stale=bool(entry["stale"]),
    )


def has_moments(rows: Sequence[Row]) -> bool:
    """Whether a row is a moment of a video."""
    return any(row.at_ms != STILL for row in rows)
