"""Which photos a vector stands for, in columns that a reader can hold by the million."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from core.records import STILL
from core.store.columns import Columns

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from numpy.typing import NDArray

_COLUMNS: Final = (
    "SELECT v.id, i.id, v.at_ms, i.ambiguous, i.path, i.product_id, i.state, i.attributes "
    "FROM items i JOIN vectors v ON v.space_id = ? AND v.md5 = i.vector_md5 "
    "WHERE i.state != 'missing' AND i.vector_md5 IS NOT NULL AND i.generation > ?"
)


@dataclass(frozen=True)
class Entry:
    """One searchable photo, or one moment of a video."""

    item_id: int
    vector_id: int
    at_ms: int  # moment of a video, -1 for a still picture
    path: str
    ambiguous: bool  # another item has the same path but for the suffix
    product_id: str
    attributes: dict[str, str]
    stale: bool  # found by an earlier content of its file


class EntryTable:
    """All entries of one generation, sorted by vector id. Immutable."""

    def __init__(self) -> None:
        self.vector_ids: NDArray[np.int64] = np.empty(0, np.int64)
        self.item_ids: NDArray[np.int64] = np.empty(0, np.int64)
        self.at_ms: NDArray[np.int64] = np.empty(0, np.int64)
        self._ambiguous: NDArray[np.int64] = np.empty(0, np.int64)
        # Strings stay as the catalog gives them; only what a request returns is unpacked.
        self._text: NDArray[np.object_] = np.empty((0, 3), object)
        self.columns = Columns()
        self.item_count = 0
        self.has_videos = False  # an item may have several entries

    def __len__(self) -> int:
        return len(self.vector_ids)

    def __getitem__(self, place: int) -> Entry:
        path, product_id, state = self._text[place]
        return Entry(
            item_id=int(self.item_ids[place]),
            vector_id=int(self.vector_ids[place]),
            at_ms=int(self.at_ms[place]),
            path=os.fsdecode(path),
            ambiguous=bool(self._ambiguous[place]),
            product_id=product_id,
            attributes=self.columns.of(place),
            stale=state == "failed",
        )

    def places_of(self, vector_id: int) -> range:
        """Where the entries of one vector stand."""
        first = int(np.searchsorted(self.vector_ids, vector_id, "left"))
        return range(first, int(np.searchsorted(self.vector_ids, vector_id, "right")))

    def product_of(self, place: int) -> str:
        """The product that an entry shows."""
        product: str = self._text[place, 1]
        return product

    def path_of(self, place: int) -> str:
        """The path of an entry's item."""
        return os.fsdecode(self._text[place, 0])

    def vectors_matching(
        self, filters: dict[str, Sequence[str]]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Which entries have one of the values of every key.

        Returns:
            bool `[len(self)]`, and the sorted ids of the vectors that stand for them.
        """
        passing = self.columns.matching(filters, len(self))
        return passing, np.unique(self.vector_ids[passing])

    def refreshed(self, connection: sqlite3.Connection, space_id: int, since: int) -> EntryChange:
        """Give the table as the catalog knows it, reading the items changed after `since`."""
        changed = np.array(
            [
                row[0]
                for row in connection.execute("SELECT id FROM items WHERE generation > ?", (since,))
            ],
            np.int64,
        )
        rows = connection.execute(_COLUMNS, (space_id, since)).fetchall()
        other = self._replaced(changed, [tuple(row) for row in rows])
        before, after = np.unique(self.vector_ids), np.unique(other.vector_ids)
        return EntryChange(
            other,
            added=np.setdiff1d(after, before, assume_unique=True),
            removed=np.setdiff1d(before, after, assume_unique=True),
        )

    def _replaced(self, changed: NDArray[np.int64], rows: list[tuple[object, ...]]) -> EntryTable:
        """The table less the entries of the `changed` items and with `rows`."""
        numbers = np.array([row[:4] for row in rows], np.int64).reshape(-1, 4)
        text = np.empty((len(rows), 3), object)
        for place, row in enumerate(rows):
            text[place] = row[4:7]
        attributes = [json.loads(str(row[7])) for row in rows]
        kept = ~np.isin(self.item_ids, changed)
        other = EntryTable()
        vector_ids = np.concatenate([self.vector_ids[kept], numbers[:, 0]])
        item_ids = np.concatenate([self.item_ids[kept], numbers[:, 1]])
        order = np.lexsort((item_ids, vector_ids))
        other.vector_ids, other.item_ids = vector_ids[order], item_ids[order]
        other.at_ms = np.concatenate([self.at_ms[kept], numbers[:, 2]])[order]
        other._ambiguous = np.concatenate([self._ambiguous[kept], numbers[:, 3]])[order]
        other._text = np.concatenate([self._text[kept], text])[order]
        other.columns = self.columns.replaced(kept, attributes, order)
        other.has_videos = bool((other.at_ms != STILL).any())
        other.item_count = len(np.unique(other.item_ids))
        return other


@dataclass(frozen=True)
class EntryChange:
    """A table and how it differs from the one before."""

    table: EntryTable
    added: NDArray[np.int64]  # sorted vector ids that came into use
    removed: NDArray[np.int64]  # sorted vector ids that no item uses any more
