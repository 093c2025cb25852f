"""Objects fetched to this machine's disk, for the decoding processes to open.

Files stay until they have been decoded or the room is needed; whoever wants one that is gone
fetches it again. So the disk is bounded, and nobody waits for anybody.
"""

from __future__ import annotations

import errno
import tempfile
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from core.errors import ImageError, SourceError, UnreadableFileError
from core.source.objects import FetchLimits, error_text
from core.vision.decode import MAGIC_BYTES, looks_like_image
from core.vision.video import looks_like_video, promises_video
from ingest.reading import UNSEEN, Failure, ReadFile, promises_picture

if TYPE_CHECKING:
    from core.records import FileStat, SeenFile
    from core.source.objects import ObjectStore
    from core.vision.decode import DecodeLimits

_SMALL_BYTES: Final = 65_536  # so small an object is fetched whole to see what it holds
_OUTAGE: Final = 24  # fetches in a row without an answer: the source is down, not the photos bad
_UNTAGGED_RACY_NS: Final = 2_000_000_000
"""Where a source gives no ETag its times have to tell an edit, and some tell whole seconds."""


@dataclass
class FetchedFile:
    """One object on this disk."""

    name: str  # of the file in the folder; empty: nothing was kept
    read: ReadFile  # without pixels; what `hash_file` says of a file
    users: int = 0


class FetchedFiles:
    """Fetches objects and keeps the most recent; share it between threads."""

    def __init__(self, source: ObjectStore, limits: DecodeLimits, disk_bytes: int) -> None:
        self._source = source
        self._limits = limits
        self._disk_bytes = disk_bytes
        self._folder = tempfile.TemporaryDirectory(prefix="lookalike-fetched-")
        self._kept: OrderedDict[str, FetchedFile] = OrderedDict()  # by path, oldest first
        self._held_bytes = 0
        self._made = 0
        self._in_vain = 0  # fetches without an answer since the last one with one
        self._lock = threading.Lock()

    @property
    def folder(self) -> str:
        """Where the files lie."""
        return self._folder.name

    def hold(self, path: str, seen: SeenFile | None = None, *, is_item: bool = True) -> FetchedFile:
        """Give an object's file, fetched if need be; it stays until it is released.

        `seen` is what the listing said of it; without, a failure has the stat `UNSEEN`.

        Raises:
            SourceError: the source has stopped to answer.
        """
        with self._lock:
            found = self._kept.get(path)
            if found is not None:
                self._kept.move_to_end(path)
                found.users += 1
                return found
        stat = seen.stat if seen else UNSEEN
        try:
            found = self._fetch(path, stat, is_item=is_item)
        except FileNotFoundError:
            found = FetchedFile("", ReadFile(None))
        except ImageError as error:
            failure = Failure(error.code, str(error))
            found = FetchedFile("", ReadFile(stat, failure=failure))
        except OSError as error:
            failure = Failure(
                UnreadableFileError.code, f"The object cannot be fetched: {error_text(error)}."
            )
            self._note_outage(error)
            # What stands in the way leaves no trace in the listing: try at every run.
            found = FetchedFile("", ReadFile(stat, racy=True, failure=failure))
        else:
            self._in_vain = 0
        found.users = 1
        if found.name:
            with self._lock:
                self._keep(path, found)
        return found

    def release(self, path: str, file: FetchedFile, *, done: bool) -> None:
        """Let a file go; with `done` it will hardly be asked for again."""
        with self._lock:
            file.users -= 1
            if done and file.users == 0 and self._kept.get(path) is file:
                self._drop(path)

    def close(self) -> None:
        """Delete everything."""
        self._folder.cleanup()

    def _keep(self, path: str, file: FetchedFile) -> None:
        old = self._kept.pop(path, None)
        if old is not None:  # two wanted it at once
            self._held_bytes -= old.read.size
        self._kept[path] = file
        self._held_bytes += file.read.size
        for other in [name for name, held in self._kept.items() if held.users == 0]:
            if self._held_bytes <= self._disk_bytes:
                break
            self._drop(other)

    def _drop(self, path: str) -> None:
        file = self._kept.pop(path)
        self._held_bytes -= file.read.size
        with suppress(FileNotFoundError):
            Path(self.folder, file.name).unlink()

    def _fetch(self, path: str, stat: FileStat, *, is_item: bool) -> FetchedFile:
        promised = promises_picture(path)
        video = promises_video(path)
        if not promised or (not video and stat.size > self._limits.max_bytes):
            head = self._source.head(path, MAGIC_BYTES) if stat.size else b""
            video = looks_like_video(head)
            if not is_item and not promised and not video and not looks_like_image(head):
                return FetchedFile("", ReadFile(stat, racy=_is_racy(stat), passed_over=True))
        limits = FetchLimits(self._limits.max_bytes, self._limits.bytes_setting)
        if video:
            limits = FetchLimits(self._disk_bytes, "LOOKALIKE_FETCH_DISK_MB")
        name = self._new_name(path)
        file = Path(self.folder, name)
        try:
            with file.open("wb") as into:
                fetched = self._source.fetch(path, into, limits)
        except BaseException:
            file.unlink(missing_ok=True)
            raise
        racy = _is_racy(fetched.stat)
        return FetchedFile(name, ReadFile(fetched.stat, racy, fetched.md5, fetched.size))

    def _new_name(self, path: str) -> str:
        # Keys may be longer than names of files; the suffix tells how long decoding may take.
        suffix = PurePosixPath(path).suffix.lower()
        with self._lock:
            self._made += 1
            return f"{self._made:09d}{suffix if suffix.isascii() and len(suffix) < 8 else ''}"

    def _note_outage(self, error: OSError) -> None:
        """Tell a source that is down from photos that cannot be had."""
        if isinstance(error, PermissionError):
            return  # an answer, if a bad one
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise error
        self._in_vain += 1
        if self._in_vain >= _OUTAGE:
            raise SourceError(
                f"{self._source.name} has not answered {self._in_vain} fetches in a row: "
                f"{error_text(error)}. What was published stands; run again once it answers."
            ) from error


def _is_racy(stat: FileStat) -> bool:
    return not stat.ctime_ns and abs(time.time_ns() - stat.mtime_ns) < _UNTAGGED_RACY_NS
