"""Which photos a vector stands for, in columns that a reader can hold by the million."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core.records import STILL
from core.store.columns import Columns
from core.store.index.ranking import member
from core.store.packed import Texts, changed_ids, changed_rows, distinct, numbers

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from numpy.typing import NDArray

_COLUMNS: Final = (
    "SELECT count(*), group_concat(v.id), group_concat(t.id), group_concat(v.at_ms), "
    "group_concat(t.ambiguous), group_concat(t.state = 'failed'), "
    "group_concat(length(CAST(t.path AS BLOB))), group_concat(hex(t.path), ''), "
    "group_concat(length(CAST(t.product_id AS BLOB))), group_concat(hex(t.product_id), ''), "
    "group_concat(t.attributes) "
    "FROM items t CROSS JOIN vectors v ON v.space_id = ? AND v.md5 = t.vector_md5 "
    "WHERE t.state != 'missing' AND t.vector_md5 IS NOT NULL AND "
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
        self._ambiguous: NDArray[np.bool_] = np.empty(0, np.bool_)
        self._stale: NDArray[np.bool_] = np.empty(0, np.bool_)
        # Texts stay packed; only what a request returns is unpacked.
        self._paths = Texts.empty()
        self._products = Texts.empty()
        self.columns = Columns()
        self.item_count = 0
        self.has_videos = False  # an item may have several entries
        self.has_copies = False  # a vector may stand for several entries

    def __len__(self) -> int:
        return len(self.vector_ids)

    def __getitem__(self, place: int) -> Entry:
        return self.at([place])[0]

    def at(self, places: Sequence[int]) -> list[Entry]:
        """The entries at some places."""
        columns = (
            self.item_ids[places].tolist(),
            self.vector_ids[places].tolist(),
            self.at_ms[places].tolist(),
            map(self.path_of, places),
            self._ambiguous[places].tolist(),
            map(self.product_of, places),
            self.columns.at(places),
            self._stale[places].tolist(),
        )
        return list(map(Entry, *columns))

    def places_of(self, vector_id: int) -> range:
        """Where the entries of one vector stand."""
        first = int(np.searchsorted(self.vector_ids, vector_id, "left"))
        return range(first, int(np.searchsorted(self.vector_ids, vector_id, "right")))

    def product_of(self, place: int) -> str:
        """The product that an entry shows."""
        return self._products[place].decode()

    def path_of(self, place: int) -> str:
        """The path of an entry's item."""
        return os.fsdecode(self._paths[place])

    def vectors_matching(
        self, filters: dict[str, Sequence[str]]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Which entries have one of the values of every key.

        Returns:
            bool `[len(self)]`, and the sorted ids of the vectors that stand for them.
        """
        passing = self.columns.matching(filters)
        ids = self.vector_ids[np.flatnonzero(passing)]
        return passing, distinct(ids) if self.has_copies else ids

    def refreshed(self, connection: sqlite3.Connection, space_id: int, since: int) -> EntryChange:
        """Give the table as the catalog knows it, reading the items changed after `since`."""
        changed = changed_ids(connection, "items", since)
        rows = [
            _Rows.from_packed(connection.execute(_COLUMNS + where, (space_id, *values)).fetchone())
            for where, values in changed_rows(changed, since)
        ]
        kept = ~np.isin(self.item_ids, changed)
        fresh = _Rows.joined(rows)
        other = self._replaced(kept, fresh)
        # Only the vectors of changed items can have come into use or gone out of it.
        dropped, came = distinct(self.vector_ids[~kept]), np.unique(fresh.vector_ids)
        return EntryChange(
            other,
            added=came[~member(came, self.vector_ids)],
            removed=dropped[~member(dropped, other.vector_ids)],
        )

    def _replaced(self, kept: NDArray[np.bool_], rows: _Rows) -> EntryTable:
        """The table of the `kept` entries and `rows`."""
        vector_ids = np.concatenate([self.vector_ids[kept], rows.vector_ids])
        item_ids = np.concatenate([self.item_ids[kept], rows.item_ids])
        order = np.lexsort((item_ids, vector_ids))
        other = EntryTable()
        other.vector_ids, other.item_ids = vector_ids[order], item_ids[order]
        other.at_ms = np.concatenate([self.at_ms[kept], rows.at_ms])[order]
        other._ambiguous = np.concatenate([self._ambiguous[kept], rows.ambiguous])[order]
        other._stale = np.concatenate([self._stale[kept], rows.stale])[order]
        other._paths = self._paths.taken(kept).joined(rows.paths).taken(order)
        other._products = self._products.taken(kept).joined(rows.products).taken(order)
        columns = Columns.joined([self.columns.taken(kept, int(kept.sum())), rows.attributes])
        other.columns = columns.taken(order, len(order))
        other.has_copies = bool((other.vector_ids[1:] == other.vector_ids[:-1]).any())
        other.has_videos = bool((other.at_ms != STILL).any())
        # Only a video has several entries.
        other.item_count = len(np.unique(other.item_ids) if other.has_videos else other)
        return other


@dataclass(frozen=True)
class _Rows:
    """Entries as the catalog gives them."""

    vector_ids: NDArray[np.int64]
    item_ids: NDArray[np.int64]
    at_ms: NDArray[np.int64]
    ambiguous: NDArray[np.bool_]
    stale: NDArray[np.bool_]
    paths: Texts
    products: Texts
    attributes: Columns

    @classmethod
    def from_packed(cls, packed: sqlite3.Row) -> _Rows:
        """Unpack what `_COLUMNS` gives.

        Raises:
            ValueError: the catalog holds what it cannot hold.
        """
        count, *columns = packed
        vector_ids, item_ids, at_ms, ambiguous, stale, path_lengths, product_lengths = (
            numbers(columns[place], count) for place in (0, 1, 2, 3, 4, 5, 7)
        )
        paths, products = (bytes.fromhex(columns[place] or "") for place in (6, 8))
        products.decode()  # raises here rather than in a search
        attributes: list[dict[str, str]] = json.loads(f"[{columns[9] or ''}]")
        if len(attributes) != count or not all(isinstance(one, dict) for one in attributes):
            raise ValueError("a photo's attributes are none")
        return cls(
            vector_ids,
            item_ids,
            at_ms,
            ambiguous.astype(np.bool_),
            stale.astype(np.bool_),
            Texts.packed(paths, path_lengths),
            Texts.packed(products, product_lengths),
            Columns.packed(attributes),
        )

    @classmethod
    def joined(cls, parts: list[_Rows]) -> _Rows:
        """All rows as one; `parts` is emptied, a column at a time, for a start holds millions."""
        columns = {one.name: [getattr(part, one.name) for part in parts] for one in fields(cls)}
        parts.clear()

        def all_of(name: str, kind: type[np.generic]) -> NDArray[Any]:
            return np.concatenate([np.empty(0, kind), *columns.pop(name)])

        return cls(
            vector_ids=all_of("vector_ids", np.int64),
            item_ids=all_of("item_ids", np.int64),
            at_ms=all_of("at_ms", np.int64),
            ambiguous=all_of("ambiguous", np.bool_),
            stale=all_of("stale", np.bool_),
            paths=Texts.concatenated(columns.pop("paths")),
            products=Texts.concatenated(columns.pop("products")),
            attributes=Columns.joined(columns.pop("attributes")),
        )


@dataclass(frozen=True)
class EntryChange:
    """A table and how it differs from the one before."""

    table: EntryTable
    added: NDArray[np.int64]  # sorted vector ids that came into use
    removed: NDArray[np.int64]  # sorted vector ids that no item uses any more
