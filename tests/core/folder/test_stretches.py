"""Comparing stretches of rows, against the comparison of one record after the other."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from core.folder.changes import Change, Suspect, Unchanged, Vanished, compare
from core.folder.stretches import Stretch, Untouched, compare_stretches, stretch_of
from core.records import FileStat, ItemState, KnownFile, SeenFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from core.records import KnownRow

_FIRST = ["", "a/", "a", "a.", "\u00e9", "\udcff", "\n", "-/-"]


def _names(dice: random.Random) -> list[str]:
    """Names in the order of their bytes."""
    most = dice.choice([3, 40, 300])
    names = {f"{dice.choice(_FIRST)}{number}" for number in range(dice.randrange(most))}
    return sorted(names, key=os.fsencode)


def _known_file(dice: random.Random, path: str, odd: float) -> KnownFile:
    """A file as it mostly is, or, at odds, in any way it can be."""
    state: ItemState | None = ItemState.INDEXED
    if dice.random() < odd:
        state = dice.choice([*ItemState, None])
    return KnownFile(
        path=path,
        item_id=None if state is None else dice.randrange(99),
        stat=FileStat(1, int(dice.random() < odd), 1),
        state=state,
        md5=None if state is None else b"a" * 16,
        suspect=dice.random() < odd,
        has_vector=state is not None and dice.random() >= odd,
    )


def _row(file: KnownFile) -> KnownRow:
    """What the catalog gives of a file that is no tombstone."""
    (change,) = compare([file], [SeenFile(file.path, file.stat)])
    size = file.stat.size if isinstance(change, Unchanged) else None
    return os.fsencode(file.path), size, file.stat.mtime_ns, file.stat.ctime_ns


def _lookup_in(known: list[KnownFile]) -> Callable[[bytes, bytes | None], Iterable[KnownFile]]:
    def lookup(after: bytes, up_to: bytes | None) -> Iterable[KnownFile]:
        for file in known:
            path = os.fsencode(file.path)
            if path > after and (up_to is None or path <= up_to):
                yield file

    return lookup


def _compare(known: list[KnownFile], stretches: Iterable[Stretch]) -> list[Untouched | Change]:
    rows = [_row(file) for file in known if file.state is not ItemState.MISSING]
    return list(compare_stretches(rows, stretches, _lookup_in(known)))


def _cut(dice: random.Random, seen: list[SeenFile]) -> list[Stretch]:
    stretches, start = [], 0
    while start < len(seen):
        end = start + dice.choice([1, 2, 31, 32, 33, 150])
        stretches.append(stretch_of(seen[start:end]))
        start = end
    return stretches


@pytest.mark.parametrize("seed", range(8))
def test_it_finds_what_the_comparison_of_records_finds(seed: int) -> None:
    dice = random.Random(seed)  # the same each time
    for _ in range(150):
        odd, lost, new = (dice.choice([0, 0.01, 0.3, 1]) for _ in range(3))
        known, seen = [], []
        for path in _names(dice):
            if dice.random() >= new:
                known.append(_known_file(dice, path, odd))
            if dice.random() >= lost:
                claimed = dice.choice([None, b"c" * 16])
                seen.append(SeenFile(path, FileStat(1, int(dice.random() < odd), 1), claimed))
        found = _compare(known, _cut(dice, seen))
        expected = list(compare(known, seen))
        kept = (Suspect, Vanished)
        assert [one for one in found if isinstance(one, kept)] == [
            one for one in expected if isinstance(one, kept)
        ]
        untouched = sum(one.files for one in found if isinstance(one, Untouched))
        untouched += sum(isinstance(one, Unchanged) for one in found)
        assert untouched == sum(isinstance(one, Unchanged) for one in expected)


def _settled(count: int) -> list[KnownFile]:
    return [
        KnownFile(f"{number:05d}", number, FileStat(1, 1, 1), ItemState.INDEXED, b"", False, True)
        for number in range(count)
    ]


def _seen(known: Iterable[KnownFile]) -> list[SeenFile]:
    return [SeenFile(file.path, file.stat) for file in known]


def test_what_is_as_before_is_one_answer_a_stretch_and_no_record() -> None:
    known = _settled(2500)
    seen = _seen(known)
    found = _compare(known, [stretch_of(seen[:2000]), stretch_of(seen[2000:])])
    assert found == [Untouched(2000), Untouched(500)]


def test_records_are_made_only_around_a_difference() -> None:
    known = _settled(3000)
    seen = _seen(known)
    seen[1500] = seen[1500]._replace(stat=FileStat(2, 2, 2))
    seen.insert(700, SeenFile("00699.new", FileStat(1, 1, 1)))
    del seen[2200]
    found = _compare(known, [stretch_of(seen[start : start + 1000]) for start in (0, 1000, 2000)])
    records = [one for one in found if not isinstance(one, Untouched)]
    assert len(records) < 120
    assert len(found) < 220


def test_tombstones_and_what_they_lie_between_cost_no_record() -> None:
    known = _settled(1000)
    gone = [known[place]._replace(state=ItemState.MISSING) for place in range(0, 1000, 2)]
    known[::2] = gone
    assert _compare(known, [stretch_of(_seen(known[1::2]))]) == [Untouched(500)]


def test_a_folder_without_files_has_lost_them_all() -> None:
    known = _settled(3)
    assert _compare(known, []) == [Vanished(file) for file in known]


def test_a_stretch_gives_back_the_files_it_was_made_of() -> None:
    files = [
        SeenFile("a/\udcff", FileStat(1, 2, 3), b"m" * 16),
        SeenFile("b", FileStat(4, 5, 6), None),
    ]
    assert stretch_of(files).files() == files
