"""Columns of many rows, read from SQLite as a few long texts.

A row at a time costs Python an object for each value, and a million photos some ten seconds. Here
SQLite strings each column together, a chunk of rows at a time and without holding Python's lock,
and what arrives becomes an array. Texts stay packed: of a million only what is asked for is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from numpy.typing import NDArray

_CHUNK: Final = 65_536
_DENSE_SHARE: Final = 0.25  # of a range of ids: from there on the range is read from end to end


@dataclass(frozen=True)
class Texts:
    """Byte strings one after the other. Immutable; `joined` and `taken` share what they can."""

    data: bytes
    starts: NDArray[np.int64]  # [n]
    lengths: NDArray[np.int32]  # [n]

    @classmethod
    def empty(cls) -> Texts:
        """No texts."""
        return cls(b"", np.empty(0, np.int64), np.empty(0, np.int32))

    @classmethod
    def packed(cls, data: bytes, lengths: NDArray[np.signedinteger]) -> Texts:
        """The texts of these lengths that make up `data`.

        Raises:
            ValueError: they do not.
        """
        if int(lengths.sum()) != len(data) or (lengths < 0).any():
            raise ValueError("texts and their lengths contradict each other")
        starts = np.cumsum(lengths, dtype=np.int64)
        starts -= lengths
        return cls(data, starts, lengths.astype(np.int32))

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, place: int) -> bytes:
        start = int(self.starts[place])
        return self.data[start : start + int(self.lengths[place])]

    def taken(self, places: NDArray[np.int64] | NDArray[np.bool_]) -> Texts:
        """The texts at `places`, in that order."""
        return Texts(self.data, self.starts[places], self.lengths[places])

    def joined(self, other: Texts) -> Texts:
        """These texts and then the others."""
        if not len(self):
            return other
        return Texts.concatenated([self, other]) if len(other) else self

    @classmethod
    def concatenated(cls, parts: list[Texts]) -> Texts:
        """All texts of the parts. What no text uses any more is let go of in time."""
        parts = [part.compact() if part.wasteful else part for part in parts]
        before = np.cumsum([0, *(len(part.data) for part in parts)])
        starts = [part.starts + shift for part, shift in zip(parts, before, strict=False)]
        return cls(
            b"".join(part.data for part in parts),
            np.concatenate([np.empty(0, np.int64), *starts]),
            np.concatenate([np.empty(0, np.int32), *(part.lengths for part in parts)]),
        )

    @property
    def wasteful(self) -> bool:
        """Whether most of `data` is no text any more."""
        return len(self.data) > 2 * int(self.lengths.sum())

    def compact(self) -> Texts:
        """The same texts with nothing between them."""
        data = b"".join(self[place] for place in range(len(self)))
        return Texts.packed(data, self.lengths)


def changed_rows(ids: NDArray[np.int64], since: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Conditions on rows `t` that together name the `ids` (sorted), changed after `since`."""
    span = int(ids[-1] - ids[0]) + 1 if len(ids) else 0
    if len(ids) < _DENSE_SHARE * span:
        yield "t.generation > ?", (since,)
        return
    for start in range(0, len(ids), _CHUNK):
        part = ids[start : start + _CHUNK]
        # The plus keeps SQLite from going through the index on generations, row by row.
        yield "t.id BETWEEN ? AND ? AND +t.generation > ?", (int(part[0]), int(part[-1]), since)


def changed_ids(connection: sqlite3.Connection, table: str, since: int) -> NDArray[np.int64]:
    """The sorted ids of the rows of a table that changed after `since`."""
    packed = connection.execute(
        f"SELECT group_concat(id), count(*) FROM {table} WHERE generation > ?", (since,)
    ).fetchone()
    return np.sort(numbers(packed[0], packed[1]))


def numbers(packed: str | None, count: int) -> NDArray[np.int64]:
    """The `count` whole numbers of a text with commas between.

    Raises:
        ValueError: it holds something else, as a damaged file may.
    """
    values = np.fromstring(packed or "", np.int64, sep=",")
    if values.shape != (count,):
        raise ValueError("a column holds other than its number of numbers")
    return values


def distinct(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """What sorted ids there are, each once."""
    if len(ids) < 2:
        return ids
    first = np.append(True, ids[1:] != ids[:-1])
    kept: NDArray[np.int64] = ids[first]
    return kept
