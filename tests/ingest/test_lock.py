"""One ingester per store."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from core.errors import BusyError, StoreError
from ingest.lock import LOCK_FILE, IngestLock
from ingest.spool import Spool
from tests.processes import ended
from tests.shop import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path


def test_a_second_holder_is_told_that_it_is_busy(tmp_path: Path) -> None:
    with IngestLock(tmp_path / "store"):
        with pytest.raises(BusyError, match="busy"):
            IngestLock(tmp_path / "store").acquire()
        with IngestLock(tmp_path / "another"):
            pass
    with IngestLock(tmp_path / "store") as lock:
        lock.release()
        lock.release()
        IngestLock(tmp_path / "store").acquire()


def test_the_lock_dies_with_its_holder(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from ingest.lock import IngestLock\n"
        "with IngestLock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    with ended(process):
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(BusyError):
            IngestLock(tmp_path).acquire()
        process.kill()
        process.wait()
        with IngestLock(tmp_path):
            pass


def test_a_store_folder_that_cannot_be_made_names_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=f"{LOCK_FILE}.*LOOKALIKE_STORE_DIR"):
        IngestLock(tmp_path / "file").acquire()


def test_a_spool_gives_its_records_back_as_often_as_wanted() -> None:
    with Spool[tuple[str, int]]() as spool:
        for number in range(1000):
            spool.append(("\udcff", number))
        assert len(spool) == 1000
        for _ in range(2):
            assert list(spool) == [("\udcff", number) for number in range(1000)]
