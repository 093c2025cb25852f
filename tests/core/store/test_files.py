"""Files are whole or absent."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from core.store.files import TEMPORARY_SUFFIX, remove, sha256_of, write_durably, write_file_durably
from tests.shop import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_written_is_there(tmp_path: Path) -> None:
    write_durably(tmp_path / "a", b"one")
    write_durably(tmp_path / "a", memoryview(b"two"))
    assert (tmp_path / "a").read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["a"]
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"two").digest()


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_durably(tmp_path / "a", b"old")

    def half(temporary: Path) -> None:
        temporary.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_file_durably(tmp_path / "a", half)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_file_over_the_size_limit_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    script = (
        "import resource, sys; from pathlib import Path; from core.store.files import *\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: write_durably(Path(sys.argv[1]), bytes(10_000))\n"
        "except OSError as error: print('refused', error.errno)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"refused {errno.EFBIG}\n"
    assert os.listdir(tmp_path) == []


def test_a_kill_in_the_middle_leaves_at_most_a_temporary_file(tmp_path: Path) -> None:
    write_durably(tmp_path / "a", b"old")
    script = (
        "import os, signal, sys; from pathlib import Path; from core.store.files import *\n"
        "def half(temporary):\n"
        "    temporary.write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_file_durably(Path(sys.argv[1]), half)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "a")], cwd=REPOSITORY, check=False)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["a", f"a{TEMPORARY_SUFFIX}"]


def test_file_and_folder_are_synced_in_order(tmp_path: Path) -> None:
    """The bytes before the name, the name before the return."""
    trace = tmp_path / "trace"
    script = (
        "import sys; from pathlib import Path; from core.store.files import *\n"
        "write_durably(Path(sys.argv[1]), b'x')"
    )
    target = tmp_path / "f"
    strace = ("strace", "-f", "-y", "-e", "trace=fsync,/^rename", "-o", str(trace))
    done = subprocess.run(
        [*strace, sys.executable, "-c", script, str(target)],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("strace cannot trace here")
    calls = [
        line.split(" ", 1)[1]
        for line in trace.read_text().splitlines()
        if str(target) in line or "fsync" in line
    ]
    kinds = [("fsync" if "fsync" in call else "rename") for call in calls]
    assert kinds == ["fsync", "rename", "fsync"]
    assert f"{target}{TEMPORARY_SUFFIX}" in calls[0]
    assert f"<{tmp_path}>" in calls[2]


def test_removing_what_is_gone_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    remove(tmp_path / "a")
    remove(tmp_path / "a")
    assert os.listdir(tmp_path) == []


def test_hashing_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sha256_of(tmp_path / "a")
