"""Comparing what is known with what is seen, against a dictionary that does the same slowly."""

from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from core.folder.changes import Change, Suspect, Unchanged, Vanished, compare
from core.records import FileStat, ItemState, KnownFile, SeenFile

_names = st.sampled_from(
    ["a", "a/b", "a.b", "a-b", "A", "a/b/c", "é", "e\u0301", "\udcff", "\n", "-", "z", "a0"]
)
_stats = st.builds(
    FileStat, st.integers(0, 1), st.integers(0, 1), st.integers(0, 1)
)  # few, so that many are equal
_md5s = st.sampled_from([b"a" * 16, b"b" * 16, None])


@st.composite
def _known_files(draw: st.DrawFn) -> KnownFile:
    state = draw(st.sampled_from([*ItemState, None]))
    return KnownFile(
        path=draw(_names),
        item_id=None if state is None else draw(st.integers(1, 99)),
        stat=draw(_stats),
        state=state,
        md5=None if state is None else draw(_md5s),
        suspect=draw(st.booleans()),
        has_vector=draw(st.booleans()),
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


@settings(max_examples=1000, deadline=None)
@given(
    st.lists(_known_files(), max_size=10),
    st.lists(st.builds(SeenFile, _names, _stats), max_size=10),
    st.booleans(),
)
def test_every_difference_is_found_once_and_in_order(
    known: list[KnownFile],
    seen: list[SeenFile],
    verify: bool,  # drawn by position
) -> None:
    known, seen = _by_path(known), _by_path(seen)
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
