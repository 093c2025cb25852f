"""Files that are either whole or absent, whatever kills the process.

Every byte the store writes outside SQLite goes through here: temporary name, fsync, rename, fsync
of the folder. A kill between any two steps leaves at most a file that nothing refers to.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TEMPORARY_SUFFIX: Final = ".tmp"
_CHUNK_BYTES: Final = 1 << 20


def write_durably(path: Path, data: bytes | memoryview) -> None:
    """Put `data` at `path`, replacing what is there, so that it survives a crash.

    Raises:
        OSError: nothing is left behind under either name.
    """
    write_file_durably(path, lambda temporary: _write(temporary, data))


def write_file_durably(path: Path, write: Callable[[Path], None]) -> None:
    """Like `write_durably`, for content that a library writes to a path of its own."""
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    try:
        write(temporary)
        _fsync(temporary, os.O_RDWR)
        temporary.rename(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    # A rename alone can vanish on power loss: the folder's own entry must reach the disk too.
    _fsync(path.parent, os.O_RDONLY | os.O_DIRECTORY)


def remove(path: Path) -> None:
    """Delete a file that may be gone already."""
    path.unlink(missing_ok=True)


def sha256_of(path: Path) -> bytes:
    """The 32-byte SHA-256 of a file.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.digest()


def _write(path: Path, data: bytes | memoryview) -> None:
    with path.open("wb") as file:
        file.write(data)


def _fsync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
