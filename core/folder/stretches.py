"""What changed where little has: neighbouring files are compared together, as plain numbers.

A record for each file costs a rerun more than looking at the file does. So a stretch of rows that
is just as the catalog has it is passed over by one comparison of two lists, and records are made
of the few files around a difference. Pure, as `changes` is.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import dropwhile, islice
from typing import TYPE_CHECKING, Final

from core.folder.changes import Change, compare
from core.records import FileStat, SeenFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from core.records import KnownFile, KnownRow, SeenRow

    Lookup = Callable[[bytes, bytes | None], Iterable[KnownFile]]

_FEW: Final = 32  # rows around a difference that records are made of


@dataclass(frozen=True)
class Stretch:
    """Neighbouring files of a listing; never empty."""

    rows: list[SeenRow]
    claimed: Mapping[bytes, bytes] = field(default_factory=dict)  # MD5s by path; see `SeenFile`

    def files(self) -> list[SeenFile]:
        """The same files as records."""
        return [
            SeenFile(os.fsdecode(path), FileStat(size, mtime, ctime), self.claimed.get(path))
            for path, size, mtime, ctime in self.rows
        ]

    def parts(self) -> Iterator[Stretch]:
        """The same files in short stretches."""
        for start in range(0, len(self.rows), _FEW):
            yield Stretch(self.rows[start : start + _FEW], self.claimed)


def stretch_of(files: Iterable[SeenFile]) -> Stretch:
    """Neighbouring files as one stretch."""
    named = [(os.fsencode(file.path), file) for file in files]
    return Stretch(
        [(path, *file.stat) for path, file in named],
        {path: file.claimed_md5 for path, file in named if file.claimed_md5 is not None},
    )


@dataclass(frozen=True)
class Untouched:
    """Neighbouring files that are as the catalog knows them, and need nothing."""

    files: int


def compare_stretches(
    known: Iterable[KnownRow], seen: Iterable[Stretch], lookup: Lookup
) -> Iterator[Untouched | Change]:
    """Compare the catalog with the folder, both in the order of their paths' bytes.

    `known` holds every file but the tombstones. `lookup` gives the records of the known files,
    tombstones too, whose paths come after its first argument and not after its second, if there
    is one.
    """
    rest = _Rest(iter(known), lookup)
    for stretch in seen:
        if rest.holds(stretch):
            yield Untouched(len(stretch.rows))
            continue
        for part in stretch.parts():
            if rest.holds(part):
                yield Untouched(len(part.rows))
            else:
                yield from rest.differences(part)
    yield from rest.vanished()


class _Rest:
    """The known files that were not yet compared."""

    def __init__(self, known: Iterator[KnownRow], lookup: Lookup) -> None:
        self._known = known
        self._lookup = lookup
        self._next: list[KnownRow] = []  # the first of them, taken from the iterator already
        self._after = b""  # the path that the comparison has come to

    def holds(self, stretch: Stretch) -> bool:
        """Whether the next known files are just these; if so they are dealt with."""
        count = len(stretch.rows)
        self._next += islice(self._known, max(0, count - len(self._next)))
        if self._next[:count] != stretch.rows:
            return False
        del self._next[:count]
        self._after = stretch.rows[-1][0]
        return True

    def differences(self, stretch: Stretch) -> Iterator[Change]:
        """Compare file by file, up to the end of the stretch."""
        start, end = self._after, stretch.rows[-1][0]
        yield from compare(self._lookup(start, end), stretch.files())
        later = [row for row in self._next if row[0] > end]
        if not later:
            later += islice(dropwhile(lambda row: row[0] <= end, self._known), 1)
        self._next, self._after = later, end

    def vanished(self) -> Iterator[Change]:
        """What comes after the last file of the folder."""
        yield from compare(self._lookup(self._after, None), ())
