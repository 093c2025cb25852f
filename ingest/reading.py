"""Reading catalogue photos: what runs beside the model, in threads and in decoding processes.

A photo's path, hash and pixels come from one reading of its bytes, so they cannot be of different
contents, whatever happens to the file meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from dataclasses import dataclass, replace
from functools import cache
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Final, Self

import numpy as np

from core.errors import ImageError, ImageTooLargeError, UnreadableFileError
from core.folder.walk import file_stat
from core.records import STILL, FileStat
from core.vision.decode import (
    IMAGE_SUFFIXES,
    MAGIC_BYTES,
    DecodeLimits,
    decode_image,
    looks_like_image,
)
from core.vision.models import load_embedder
from core.vision.video import VideoSampling, looks_like_video, promises_video, sample_frames

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.vision.models import ModelSource
    from core.vision.preprocessing import Preprocessing

_CHUNK_BYTES: Final = 1 << 20
_RACY_NS: Final = 20_000_000
"""A file this young may be edited again within one tick of the file system's clock, leaving its
stat as it was; it is hashed once more at the next run."""


UNSEEN: Final = FileStat(0, 0, 0)
"""The stat of an object that could not be fetched where its listing is not at hand."""


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
    pixels: NDArray[np.uint8] | None = None  # [m, side, side, 3]; only where that was asked for
    at_ms: tuple[int, ...] = (STILL,)  # the moment of each of the m pictures
    vectors: NDArray[np.float32] | None = None  # [m, d], in place of pixels; only of a light model


def promises_picture(path: str) -> bool:
    """Whether a file's name says that it holds a picture."""
    name = PurePosixPath(path)
    promised = name.suffix.lower() in IMAGE_SUFFIXES or promises_video(path)
    return promised and not name.name.startswith(".")


def hash_file(root: str, path: str, *, is_item: bool) -> ReadFile:
    """Hash a file; one that is no item and holds no picture is passed over unread."""
    try:
        with _Opened(root, path) as file:
            head = file.read(MAGIC_BYTES)
            if not is_item and not promises_picture(path) and not _holds_picture(head):
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


@dataclass(frozen=True)
class Preparation:
    """How photos and videos become what a model wants."""

    preprocessing: Preprocessing
    limits: DecodeLimits
    video: VideoSampling
    light_model: ModelSource | None = None  # run at once, on the pictures of each file


def prepare_file(root: str, path: str, how: Preparation) -> ReadFile:
    """Read a photo or video once: its hash, and its pixels as the model wants them.

    With a light model the vectors come in place of the pixels, which are many times as large.
    """
    read = _prepare(root, path, how)
    if how.light_model is None or read.pixels is None:
        return read
    return replace(read, pixels=None, vectors=_light(how.light_model).embed(read.pixels))


_light = cache(load_embedder)


def _prepare(root: str, path: str, how: Preparation) -> ReadFile:
    try:
        with _Opened(root, path) as file:
            if looks_like_video(file.peek(MAGIC_BYTES)):
                return _prepare_video(file, how)
            data = file.read_all(how.limits)
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
        image = decode_image(data, how.limits, how.preprocessing.detail)
        pixels = how.preprocessing.prepare(image)
    except ImageError as error:
        return _failed(found, error)
    return replace(found, pixels=pixels[None])


def _prepare_video(file: _Opened, how: Preparation) -> ReadFile:
    """Hash a video, then pick its frames; too large to be held whole."""
    digest, size = hashlib.md5(usedforsecurity=False), 0
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
    found = ReadFile(file.stat, file.racy, digest.digest(), size)
    try:
        frames = sample_frames(file.rewound(), how.video, how.limits, how.preprocessing.prepare)
    except ImageError as error:
        return _failed(found, error)
    return replace(
        found,
        racy=file.written_to(),
        pixels=np.stack([pixels for _, pixels in frames]),
        at_ms=tuple(at_ms for at_ms, _ in frames),
    )


def _holds_picture(head: bytes) -> bool:
    return looks_like_image(head) or looks_like_video(head)


class _Opened:
    """A regular file, open for reading, with the stat of just that file."""

    def __init__(self, root: str, path: str) -> None:
        # Not blocking: a pipe may have taken the file's place since the walk.
        descriptor = os.open(os.path.join(root, path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(descriptor)
            raise FileNotFoundError(path)
        self._file = os.fdopen(descriptor, "rb", buffering=0)
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
        self.racy = self.written_to()
        return data

    def written_to(self) -> bool:
        """Whether the file may have changed since it was opened; the next run looks again."""
        return self.racy or file_stat(os.fstat(self._file.fileno())) != self.stat

    def peek(self, size: int) -> bytes:
        return os.pread(self._file.fileno(), size, 0)

    def rewound(self) -> IO[bytes]:
        self._file.seek(0)
        return self._file


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
