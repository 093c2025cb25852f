"""Comparing what is known with what is seen, against a dictionary that does the same slowly."""

from __future__ import annotations

import os
import random

import pytest

from core.folder.changes import Change, Suspect, Unchanged, Vanished, compare
from core.records import FileStat, ItemState, KnownFile, SeenFile

_NAMES = ["a", "a/b", "a.b", "a-b", "A", "a/b/c", "\u00e9", "e\u0301", "\udcff", "\n", "-", "z"]


def _stat(dice: random.Random) -> FileStat:
    # Few different ones, so that many are equal.
    return FileStat(1, dice.randrange(2), 1)


def _seen_file(dice: random.Random) -> SeenFile:
    return SeenFile(dice.choice(_NAMES), _stat(dice))


def _known_file(dice: random.Random) -> KnownFile:
    state = dice.choice([*ItemState, None])
    return KnownFile(
        path=dice.choice(_NAMES),
        item_id=None if state is None else dice.randrange(99),
        stat=_stat(dice),
        state=state,
        md5=None if state is None else dice.choice([b"a" * 16, b"b" * 16, None]),
        suspect=dice.random() < 0.2,
        has_vector=dice.random() < 0.8,
    )


def _by_path(files):  # noqa: ANN001, ANN202  # of either kind
    return sorted({file.path: file for file in files}.values(), key=lambda f: os.fsencode(f.path))


def _expected(known: list[KnownFile], seen: list[SeenFile], *, verify: bool) -> set[object]:
    before = {file.path: file for file in known}
    now = {file.path: file for file in seen}
    changes = set[object]()
    for path in before.keys() | now.keys():
        old, new = before.get(path), now.get(path)
        if new is None:
            if old is not None and old.state is not ItemState.MISSING:
                changes.add(Vanished(old))
            continue
        same = (
            old is not None
            and not verify
            and not old.suspect
            and old.stat == new.stat
            and (
                old.state in (None, ItemState.FAILED)
                or (old.state is ItemState.INDEXED and old.has_vector)
            )
        )
        changes.add(Unchanged(old) if same and old is not None else Suspect(new, old))
    return changes


@pytest.mark.parametrize("seed", range(8))
def test_every_difference_is_found_once_and_in_order(seed: int) -> None:
    dice = random.Random(seed)  # the same each time
    for _ in range(1000):
        known = _by_path([_known_file(dice) for _ in range(dice.randrange(12))])
        seen = _by_path([_seen_file(dice) for _ in range(dice.randrange(12))])
        _check(known, seen, verify=dice.random() < 0.2)


def _check(known: list[KnownFile], seen: list[SeenFile], *, verify: bool) -> None:
    found = list(compare(known, seen, verify=verify))
    assert set(found) == _expected(known, seen, verify=verify)
    assert len(set(found)) == len(found)
    paths = [
        os.fsencode(change.seen.path if isinstance(change, Suspect) else change.known.path)
        for change in found
    ]
    assert paths == sorted(paths)


def _known(state: ItemState | None, *, has_vector: bool = True, suspect: bool = False) -> KnownFile:
    item_id = None if state is None else 1
    return KnownFile("a", item_id, FileStat(1, 1, 1), state, b"m" * 16, suspect, has_vector)


_SAME = FileStat(1, 1, 1)


def _one(known: KnownFile, stat: FileStat = _SAME) -> Change:
    (change,) = compare([known], [SeenFile("a", stat)])
    return change


def test_a_file_whose_stat_is_the_same_needs_nothing() -> None:
    assert isinstance(_one(_known(ItemState.INDEXED)), Unchanged)


def test_each_part_of_the_stat_counts() -> None:
    for stat in (FileStat(2, 1, 1), FileStat(1, 2, 1), FileStat(1, 1, 2)):
        assert isinstance(_one(_known(ItemState.INDEXED), stat), Suspect)


def test_a_photo_without_a_vector_in_the_space_is_looked_at_again() -> None:
    assert isinstance(_one(_known(ItemState.INDEXED, has_vector=False)), Suspect)


def test_a_failed_photo_is_left_alone_until_a_retry_is_asked_for() -> None:
    assert isinstance(_one(_known(ItemState.FAILED, has_vector=False)), Unchanged)
    assert isinstance(_one(_known(ItemState.FAILED, suspect=True)), Suspect)


def test_a_tombstone_whose_file_is_back_is_looked_at_though_its_stat_is_the_same() -> None:
    assert isinstance(_one(_known(ItemState.MISSING)), Suspect)
