"""Reading catalogue photos: what runs beside the model, in threads and in decoding processes.

A photo's path, hash and pixels come from one reading of its bytes, so they cannot be of different
contents, whatever happens to the file meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, Self

from core.errors import ImageError, ImageTooLargeError, UnreadableFileError
from core.folder.walk import file_stat
from core.vision.decode import (
    IMAGE_SUFFIXES,
    MAGIC_BYTES,
    DecodeLimits,
    decode_image,
    looks_like_image,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from core.records import FileStat
    from core.vision.preprocessing import Preprocessing

_CHUNK_BYTES: Final = 1 << 20
_RACY_NS: Final = 20_000_000
"""A file this young may be edited again within one tick of the file system's clock, leaving its
stat as it was; it is hashed once more at the next run."""


@dataclass(frozen=True)
class Failure:
    """Why a photo could not be used."""

    code: str
    reason: str


@dataclass(frozen=True)
class ReadFile:
    """What one reading of a file gave."""

    stat: FileStat | None  # None: it was gone
    racy: bool = False
    md5: bytes | None = None  # None: gone, unreadable or passed over
    size: int = 0  # bytes read
    passed_over: bool = False  # it holds no picture and its name promises none
    failure: Failure | None = None
    pixels: NDArray[np.uint8] | None = None  # prepared; only where that was asked for


def promises_picture(path: str) -> bool:
    """Whether a file's name says that it holds a picture."""
    name = PurePosixPath(path)
    return name.suffix.lower() in IMAGE_SUFFIXES and not name.name.startswith(".")


def hash_file(root: str, path: str, *, is_item: bool) -> ReadFile:
    """Hash a file; one that is no item and holds no picture is passed over unread."""
    try:
        with _Opened(root, path) as file:
            head = file.read(MAGIC_BYTES)
            if not is_item and not promises_picture(path) and not looks_like_image(head):
                return ReadFile(file.stat, file.racy, passed_over=True)
            digest, size = hashlib.md5(head, usedforsecurity=False), len(head)
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
            return ReadFile(file.stat, file.racy, digest.digest(), size)
    except FileNotFoundError:
        return ReadFile(None)
    except OSError as error:
        return _unreadable(root, path, error)


def prepare_file(
    root: str, path: str, preprocessing: Preprocessing, limits: DecodeLimits
) -> ReadFile:
    """Read a photo once: its hash, and its pixels as the model wants them."""
    try:
        with _Opened(root, path) as file:
            data = file.read_all(limits)
            found = ReadFile(
                file.stat, file.racy, hashlib.md5(data, usedforsecurity=False).digest(), len(data)
            )
    except FileNotFoundError:
        return ReadFile(None)
    except OSError as error:
        return _unreadable(root, path, error)
    except ImageError as error:
        return _failed(hash_file(root, path, is_item=True), error)
    try:
        pixels = preprocessing.prepare(decode_image(data, limits))
    except ImageError as error:
        return _failed(found, error)
    return ReadFile(found.stat, found.racy, found.md5, found.size, pixels=pixels)


class _Opened:
    """A regular file, open for reading, with the stat of just that file."""

    def __init__(self, root: str, path: str) -> None:
        # Not blocking: a pipe may have taken the file's place since the walk.
        descriptor = os.open(os.path.join(root, path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._file = os.fdopen(descriptor, "rb", buffering=0)
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            self._file.close()
            raise FileNotFoundError(path)
        self.stat = file_stat(found)
        self.racy = abs(time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns)) < _RACY_NS
        self._size = found.st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, size: int) -> bytes:
        return self._file.read(size) or b""

    def read_all(self, limits: DecodeLimits) -> bytes:
        if self._size > limits.max_bytes:
            raise ImageTooLargeError(
                f"The file has {self._size:,} bytes; the limit is {limits.max_bytes:,} "
                f"({limits.bytes_setting})."
            )
        data = self._file.readall()
        after = file_stat(os.fstat(self._file.fileno()))
        # Written to while it was read: look again at the next run.
        self.racy = self.racy or after != self.stat
        return data


def _unreadable(root: str, path: str, error: OSError) -> ReadFile:
    try:
        found = file_stat(os.stat(os.path.join(root, path)))  # noqa: PTH116  # exact names
    except OSError:
        return ReadFile(None)
    failure = Failure(
        UnreadableFileError.code, f"The file cannot be read: {error.strerror or error}."
    )
    # What stands in the way (rights, a bad disk) leaves no trace in stat: try at every run.
    return ReadFile(found, racy=True, failure=failure)


def _failed(found: ReadFile, error: ImageError) -> ReadFile:
    failure = Failure(error.code, str(error))
    return ReadFile(found.stat, found.racy, found.md5, found.size, failure=failure)
