"""Attributes of many photos, held as one small number each.

A column is one attribute key: the distinct values it takes, and for each entry the place of its
value among them. Counting and filtering are then array operations, and a value that a million
photos share is held once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

ABSENT: Final = -1


class Column:
    """One attribute of every entry. Immutable but for values that join at the end."""

    def __init__(self, codes: NDArray[np.int32], places: dict[str, int]) -> None:
        self._codes = codes  # [n], ABSENT where an entry has no value
        self._places = places  # value -> code; insertion order is code order, it only grows
        self._values: list[str] = list(places)

    def __getitem__(self, entry: int) -> str | None:
        code = self._codes[entry]
        return None if code == ABSENT else self._values[code]

    @property
    def used(self) -> bool:
        """Whether any entry has a value."""
        return bool((self._codes != ABSENT).any())

    @property
    def values(self) -> list[str]:
        """The values that occur, and perhaps some that no entry has any more."""
        return list(self._values)

    def equal_to_any(self, values: Iterable[str]) -> NDArray[np.bool_]:
        """Which entries have one of `values`: bool `[n]`."""
        codes = [self._places[value] for value in values if value in self._places]
        return np.isin(self._codes, np.array(codes, np.int32))

    def counts(self, entries: NDArray[np.int64]) -> list[tuple[str, int]]:
        """How often each value occurs among `entries` (places), most frequent first."""
        codes = self._codes[entries]
        counted = np.bincount(codes[codes != ABSENT], minlength=len(self._values))
        found = [(self._values[code], int(counted[code])) for code in np.flatnonzero(counted)]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))


class Columns:
    """All attributes of the entries of one table. Immutable."""

    def __init__(self, columns: dict[str, Column] | None = None) -> None:
        self._columns = columns or {}

    @property
    def keys(self) -> list[str]:
        """The attribute keys, sorted."""
        return sorted(self._columns)

    def values(self, key: str) -> list[str]:
        """The values of a key; empty where no entry has it."""
        column = self._columns.get(key)
        return [] if column is None else column.values

    def of(self, entry: int) -> dict[str, str]:
        """The attributes of one entry."""
        found = ((key, column[entry]) for key, column in sorted(self._columns.items()))
        return {key: value for key, value in found if value is not None}

    def matching(self, filters: dict[str, Sequence[str]], count: int) -> NDArray[np.bool_]:
        """Which of `count` entries have one of the values of every key: bool `[count]`."""
        passing = np.ones(count, dtype=bool)
        for key, values in filters.items():
            column = self._columns.get(key)
            if column is None:
                return np.zeros(count, dtype=bool)
            passing &= column.equal_to_any(values)
        return passing

    def facets(self, entries: NDArray[np.int64]) -> dict[str, list[tuple[str, int]]]:
        """For each key, how often each value occurs among `entries` (places)."""
        counted = {key: self._columns[key].counts(entries) for key in self.keys}
        return {key: counts for key, counts in counted.items() if counts}

    def replaced(
        self,
        kept: NDArray[np.bool_],
        rows: Sequence[dict[str, str]],
        order: NDArray[np.int64],
    ) -> Columns:
        """Give the columns of the `kept` entries and of `rows`, together in `order`."""
        keys = set(self._columns).union(*{tuple(row) for row in rows})
        columns = {key: self._replace(key, kept, rows, order) for key in sorted(keys)}
        return Columns({key: column for key, column in columns.items() if column.used})

    def _replace(
        self,
        key: str,
        kept: NDArray[np.bool_],
        rows: Sequence[dict[str, str]],
        order: NDArray[np.int64],
    ) -> Column:
        old = self._columns.get(key)
        if old is None:
            places: dict[str, int] = {}
            codes = np.full(int(kept.sum()), ABSENT, np.int32)
        else:
            # Other snapshots read the old dictionary, so new values go into a copy.
            places = dict(old._places) if rows else old._places  # noqa: SLF001  # same class
            codes = old._codes[kept]  # noqa: SLF001
        values = [row.get(key) for row in rows]
        for value in dict.fromkeys(values):
            if value is not None:
                places.setdefault(value, len(places))
        fresh = np.array([ABSENT if value is None else places[value] for value in values], np.int32)
        return Column(np.concatenate([codes, fresh])[order], places)
