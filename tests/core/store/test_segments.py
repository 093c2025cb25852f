"""Segment files: immutable, checked before use, mapped without a copy."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest

from core.errors import DamagedSegmentError
from core.store.segments import (
    OpenSegment,
    SegmentRecord,
    SegmentRows,
    read_segment,
    segment_path,
    stat_signature,
    write_segment,
)
from core.store.vectors import check_segment, looks_untouched

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


Written = tuple[SegmentRecord, SegmentRows]


def _rows(count: int = 5, dimension: int = 8) -> SegmentRows:
    dice = np.random.default_rng(count)
    return SegmentRows(
        embedding=dice.normal(size=(count, dimension)).astype(np.float16),
        md5=dice.integers(0, 256, (count, 16), dtype=np.uint8),
        at_ms=np.full(count, -1, np.int32),
    )


@pytest.fixture
def written(tmp_path: Path) -> Written:
    rows = _rows()
    return write_segment(tmp_path, 7, 3, "fingerprint", rows), rows


def test_what_is_written_can_be_read(tmp_path: Path, written: Written) -> None:
    record, rows = written
    read = read_segment(tmp_path, record)
    for name in ("embedding", "md5", "at_ms"):
        assert np.array_equal(getattr(read, name), getattr(rows, name))
        assert getattr(read, name).dtype == getattr(rows, name).dtype
    assert (record.id, record.space_id, record.rows) == (7, 3, 5)
    assert record.size == segment_path(tmp_path, 7).stat().st_size
    assert len(read) == 5


def test_the_layout_is_the_documented_one(tmp_path: Path, written: Written) -> None:
    del written
    with h5py.File(tmp_path / "segments" / "0000000007.h5") as file:
        assert {name: file[name].dtype.str for name in file} == {
            "embedding": "<f2",
            "md5": "|u1",
            "at_ms": "<i4",
        }
        assert file.attrs["space"] == "fingerprint"
        assert len(file.attrs["checksum"]) == 64


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    one = write_segment(tmp_path, 1, 1, "f", _rows())
    other = write_segment(tmp_path, 2, 1, "f", _rows())
    assert one.sha256 == other.sha256


def test_any_rows_are_read_in_any_order(tmp_path: Path, written: Written) -> None:
    record, rows = written
    segment = OpenSegment(tmp_path, record, 8)
    for wanted in ([0, 1, 2], [2, 0], [1], [1, 1], []):
        assert np.array_equal(segment.read(np.array(wanted, np.int64)), rows.embedding[wanted])
    assert np.array_equal(segment.md5, rows.md5)


def test_an_open_segment_outlives_the_file(tmp_path: Path, written: Written) -> None:
    record, rows = written
    segment = OpenSegment(tmp_path, record, 8)
    segment_path(tmp_path, 7).unlink()
    assert np.array_equal(segment.read(np.arange(len(rows))), rows.embedding)


def test_rows_of_a_file_cut_short_under_a_reader_are_not_numbers(
    tmp_path: Path, written: Written
) -> None:
    record, rows = written
    segment = OpenSegment(tmp_path, record, 8)
    os.truncate(segment_path(tmp_path, 7), 100)
    assert np.isnan(segment.read(np.arange(len(rows)))).all()


def test_every_flipped_bit_and_every_cut_is_found(tmp_path: Path, written: Written) -> None:
    record, _ = written
    path = segment_path(tmp_path, 7)
    data = path.read_bytes()
    dice = np.random.default_rng(0)
    for place in dice.choice(len(data) * 8, 200, replace=False):
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        with pytest.raises(DamagedSegmentError, match=str(path)):
            check_segment(tmp_path, record)
        with pytest.raises(DamagedSegmentError):
            read_segment(tmp_path, record)
    for length in (0, 1, 512, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(DamagedSegmentError):
            read_segment(tmp_path, record)
    path.write_bytes(data)
    check_segment(tmp_path, record)


def _drop(path: Path) -> None:
    path.unlink()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("spoil", [_drop, _folder])
def test_a_file_that_cannot_be_read_is_damaged(
    tmp_path: Path,
    written: Written,
    spoil: Callable[[Path], None],
) -> None:
    record, _ = written
    spoil(segment_path(tmp_path, 7))
    for use in (
        lambda: check_segment(tmp_path, record),
        lambda: read_segment(tmp_path, record),
        lambda: OpenSegment(tmp_path, record, 8),
    ):
        with pytest.raises(DamagedSegmentError, match="cannot be read"):
            use()


def test_a_touched_file_looks_touched(tmp_path: Path, written: Written) -> None:
    record, _ = written
    path = segment_path(tmp_path, 7)
    assert looks_untouched(tmp_path, record)
    assert stat_signature(path) == record.verified_stat
    os.utime(path, (1, 1))
    assert not looks_untouched(tmp_path, record)
    path.unlink()
    assert not looks_untouched(tmp_path, record)


def test_threads_may_open_the_same_segment_at_once(tmp_path: Path, written: Written) -> None:
    record, rows = written
    wrong = list[object]()

    every = np.arange(len(rows))

    def work() -> None:
        for _ in range(30):
            if not np.array_equal(OpenSegment(tmp_path, record, 8).read(every), rows.embedding):
                wrong.append("differs")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_segment_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "segments" / "0000000001.h5").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        write_segment(tmp_path, 1, 1, "f", _rows())
    assert os.listdir(tmp_path / "segments") == ["0000000001.h5"]
