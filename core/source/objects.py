"""Photos in object storage, through fsspec: listed with their ETags, fetched only when needed."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from core.errors import ImageTooLargeError, LookalikeError, SourceError
from core.source.facts import seen_object
from core.source.listing import ListingBrokeError, ObjectListing, is_hidden_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.records import FileStat, SeenFile

CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Fetched:
    """What one fetch gave; all of it is of the same bytes."""

    stat: FileStat
    md5: bytes  # 16 bytes
    size: int  # bytes


@dataclass(frozen=True)
class FetchLimits:
    """The largest object that is fetched."""

    max_bytes: int
    setting: str  # the setting behind it, for the message


class ObjectStore:
    """A prefix of an object storage; see `ImageSource`. Safe to share between threads."""

    def __init__(self, url: str, filesystem: Any, root: str) -> None:  # noqa: ANN401  # fsspec is untyped
        self._url = url
        self._filesystem = filesystem
        self._root = root.rstrip("/")

    @property
    def name(self) -> str:
        """The URL."""
        return self._url

    def identity(self) -> str:
        """The URL: an empty bucket under another name is no reason to forget the photos."""
        return self._url

    def walk(self) -> ObjectListing:
        """Begin a listing; no object is fetched."""
        return ObjectListing(self)

    def holds(self, name: str) -> bool:
        """Whether an object of this name lies at the root.

        Raises:
            SourceError: the storage does not answer.
        """
        try:
            return bool(self._filesystem.exists(self._key(name)))
        except Exception as error:
            raise SourceError(self.not_answering(error)) from error

    def fetch(self, path: str, into: BinaryIO, limits: FetchLimits) -> Fetched:
        """Copy an object into a file.

        Raises:
            FileNotFoundError: there is none.
            ImageTooLargeError: it is over the limit; what was written is of no use.
            OSError: the storage does not give it.
        """
        key = self._key(path)
        with as_os_error():
            info = self._filesystem.info(key)
            check_size(int(info.get("size") or 0), limits)
            digest, size = hashlib.md5(usedforsecurity=False), 0
            with self._filesystem.open(key, "rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    size += len(chunk)
                    check_size(size, limits)
                    digest.update(chunk)
                    into.write(chunk)
        return Fetched(seen_object(path, info).stat, digest.digest(), size)

    def head(self, path: str, size: int) -> bytes:
        """The first bytes of an object.

        Raises:
            FileNotFoundError: there is none.
            OSError: the storage does not give it.
        """
        with as_os_error():
            return bytes(self._filesystem.cat_file(self._key(path), start=0, end=size))

    def signed_url(self, path: str, lasts_s: int) -> str | None:
        """A URL that gives the object to whoever has it, for a while; None: there is no such way.

        Raises:
            OSError: the storage's library cannot make one.
        """
        try:
            with as_os_error():
                return str(self._filesystem.sign(self._key(path), expiration=lasts_s))
        except NotImplementedError:
            return None

    def entries(self) -> Iterator[SeenFile]:
        """Every object in the order of the paths' bytes, one folder's listing at a time.

        Raises:
            FileNotFoundError: there is nothing under the URL.
            ListingBrokeError: a folder below the root could not be listed.
            OSError: the root could not.
        """
        with as_os_error():
            entries = self._listed("")
        stack = [iter(entries)]
        broken: list[str] = []
        while stack:
            path, info = next(stack[-1], ("", None))
            if info is None:
                stack.pop()
            elif info.get("type") != "directory":
                yield seen_object(path, info)
            elif not is_hidden_folder(path):
                try:
                    with as_os_error():
                        stack.append(iter(self._listed(path)))
                except FileNotFoundError:
                    continue  # emptied since it was listed
                except OSError as error:
                    broken.append(f"{self._url}/{path}: {error}")
        if broken:
            raise ListingBrokeError(broken)

    def _listed(self, folder: str) -> list[tuple[str, dict[str, Any]]]:
        """The entries of one folder with their paths, ordered so that a folder's files fit in."""
        key = self._key(folder) if folder else self._root
        found = self._filesystem.ls(key, detail=True)
        start = len(self._root) + 1
        entries = [
            (info["name"].rstrip("/")[start:], info)
            for info in found
            if info["name"].rstrip("/") != key.rstrip("/")  # the marker of the folder itself
        ]
        entries.sort(key=_byte_order)
        return entries

    def _key(self, path: str) -> str:
        return f"{self._root}/{path}"

    def not_answering(self, error: Exception) -> str:
        """What to say of a storage that gives nothing."""
        return (
            f"{self._url} cannot be listed: {error_text(error)}. It is set by LOOKALIKE_IMAGE_DIR, "
            "its endpoint and other options by LOOKALIKE_STORAGE_OPTIONS; credentials come from "
            "the storage's own variables and files."
        )


def check_size(size: int, limits: FetchLimits) -> None:
    """Refuse an object before, or while, it fills the disk.

    Raises:
        ImageTooLargeError: it is over the limit.
    """
    if size > limits.max_bytes:
        raise ImageTooLargeError(
            f"The object has {size:,} bytes or more; the limit is {limits.max_bytes:,} "
            f"({limits.setting})."
        )


def error_text(error: BaseException) -> str:
    """What went wrong, in one line; libraries put their own errors behind others."""
    text = str(error.args[1]) if isinstance(error, OSError) and len(error.args) > 1 else str(error)
    return " ".join(text.split()).rstrip(".") or type(error).__name__


@contextmanager
def as_os_error() -> Iterator[None]:
    """Turn whatever a storage's library raises into an OSError; nothing else is caught for it."""
    try:
        yield
    except (OSError, LookalikeError, NotImplementedError):
        raise
    except Exception as error:
        raise OSError(error_text(error)) from error


def _byte_order(entry: tuple[str, dict[str, Any]]) -> bytes:
    # As git sorts trees: "a/" among its siblings is where the paths below it belong.
    path, info = entry
    return os.fsencode(path + "/" if info.get("type") == "directory" else path)
