"""Attributes of many photos, held as one small number each.

A column is one attribute key: the distinct values it takes, and for each entry the place of its
value among them, in as few bytes as that takes. Counting and filtering are then array operations,
and a value that a million photos share is held once.
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

    def __init__(self, codes: NDArray[np.signedinteger], places: dict[str, int]) -> None:
        self._codes = codes  # [n], ABSENT where an entry has no value
        self._places = places  # value -> code; insertion order is code order, it only grows
        self._values: list[str] = list(places)

    @classmethod
    def packed(cls, values: Sequence[str | None]) -> Column:
        """The column of these values, None where an entry has none."""
        places: dict[str, int] = {}
        for value in values:
            if value is not None:
                places.setdefault(value, len(places))
        codes = [ABSENT if value is None else places[value] for value in values]
        return cls(np.array(codes, _kind_for(len(places))), places)

    @property
    def used(self) -> bool:
        """Whether any entry has a value."""
        return bool((self._codes != ABSENT).any())

    @property
    def values(self) -> list[str]:
        """The values that occur, and perhaps some that no entry has any more."""
        return list(self._values)

    def at(self, entries: Sequence[int]) -> list[str | None]:
        """The values of `entries` (places), None where one has none."""
        codes = self._codes[entries].tolist()
        return [None if code == ABSENT else self._values[code] for code in codes]

    def equal_to_any(self, values: Iterable[str]) -> NDArray[np.bool_]:
        """Which entries have one of `values`: bool `[n]`."""
        codes = [self._places[value] for value in values if value in self._places]
        if len(codes) == 1:
            found: NDArray[np.bool_] = self._codes == codes[0]
        else:
            chosen = np.zeros(len(self._values) + 1, np.bool_)  # the last is of ABSENT
            chosen[codes] = True
            found = chosen[self._codes]
        return found

    def counts(self, entries: NDArray[np.int64]) -> list[tuple[str, int]]:
        """How often each value occurs among `entries` (places), most frequent first."""
        codes = self._codes[entries]
        counted = np.bincount(codes[codes != ABSENT], minlength=len(self._values))
        found = [(self._values[code], int(counted[code])) for code in np.flatnonzero(counted)]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))

    def taken(self, entries: NDArray[np.int64] | NDArray[np.bool_]) -> Column:
        """The column of `entries`, in that order."""
        return Column(self._codes[entries], self._places)

    @classmethod
    def joined(cls, parts: Sequence[tuple[Column | None, int]]) -> Column:
        """One column after the other; None stands for so many entries without a value."""
        first = next((part for part, _ in parts if part is not None), cls.packed([]))
        places = dict(first._places)  # noqa: SLF001  # a copy: other snapshots read the old one
        codes: list[NDArray[np.signedinteger]] = []
        for part, count in parts:
            if part is None:
                codes.append(np.full(count, ABSENT, np.int8))
            elif part is first:
                codes.append(part._codes)  # noqa: SLF001
            else:
                known = [places.setdefault(value, len(places)) for value in part._values]  # noqa: SLF001
                renamed = np.array([*known, ABSENT], _kind_for(len(places)))
                codes.append(renamed[part._codes])  # noqa: SLF001  # ABSENT names the last
        return cls(np.concatenate(codes), places)


class Columns:
    """All attributes of `count` entries of one table. Immutable."""

    def __init__(self, columns: dict[str, Column] | None = None, count: int = 0) -> None:
        self._columns = dict(sorted((columns or {}).items()))
        self._count = count

    @classmethod
    def packed(cls, rows: Sequence[dict[str, str]]) -> Columns:
        """The attributes of entries that were read one by one."""
        keys = dict.fromkeys(key for row in rows for key in row)
        columns = {key: Column.packed([row.get(key) for row in rows]) for key in keys}
        return cls(columns, len(rows))

    @property
    def keys(self) -> list[str]:
        """The attribute keys, sorted."""
        return list(self._columns)

    def values(self, key: str) -> list[str]:
        """The values of a key; empty where no entry has it."""
        column = self._columns.get(key)
        return [] if column is None else column.values

    def at(self, entries: Sequence[int]) -> list[dict[str, str]]:
        """The attributes of `entries` (places)."""
        found: list[dict[str, str]] = [{} for _ in entries]
        for key, column in self._columns.items():
            for attributes, value in zip(found, column.at(entries), strict=True):
                if value is not None:
                    attributes[key] = value
        return found

    def matching(self, filters: dict[str, Sequence[str]]) -> NDArray[np.bool_]:
        """Which entries have one of the values of every key: bool `[count]`."""
        passing: NDArray[np.bool_] | None = None
        for key, values in filters.items():
            column = self._columns.get(key)
            if column is None:
                return np.zeros(self._count, np.bool_)
            equal = column.equal_to_any(values)
            passing = equal if passing is None else passing & equal
        return np.ones(self._count, np.bool_) if passing is None else passing

    def facets(self, entries: NDArray[np.int64]) -> dict[str, list[tuple[str, int]]]:
        """For each key, how often each value occurs among `entries` (places)."""
        counted = {key: column.counts(entries) for key, column in self._columns.items()}
        return {key: counts for key, counts in counted.items() if counts}

    def taken(self, entries: NDArray[np.int64] | NDArray[np.bool_], count: int) -> Columns:
        """The attributes of `entries`, `count` in all, in that order."""
        columns = {key: column.taken(entries) for key, column in self._columns.items()}
        return Columns({key: column for key, column in columns.items() if column.used}, count)

    @classmethod
    def joined(cls, parts: Sequence[Columns]) -> Columns:
        """The attributes of all entries of the parts."""
        keys = dict.fromkeys(key for part in parts for key in part._columns)  # noqa: SLF001
        columns = {
            key: Column.joined([(part._columns.get(key), part._count) for part in parts])  # noqa: SLF001
            for key in keys
        }
        return cls(columns, sum(part._count for part in parts))  # noqa: SLF001


def _kind_for(values: int) -> type[np.signedinteger]:
    """The smallest type that holds a code for each of so many values, and ABSENT."""
    return next(kind for kind in (np.int8, np.int16, np.int32) if values <= np.iinfo(kind).max)
