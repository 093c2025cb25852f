"""Pictures of object storage: fetched to be shown, and kept on disk up to a number of bytes."""

from __future__ import annotations

import os
import tempfile
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import ImageTooLargeError, SourceError
from core.source.objects import FetchLimits, error_text
from service.errors import PictureNotFoundError
from service.pictures import Pictures

if TYPE_CHECKING:
    from core.settings import Settings
    from core.source.objects import ObjectStore
    from service.known_items import KnownItems, KnownPicture


class ObjectPictures(Pictures):
    """Gives pictures that the catalog knows, from below the URL only."""

    def __init__(self, settings: Settings, known: KnownItems, source: ObjectStore) -> None:
        self._cache = tempfile.TemporaryDirectory(prefix="lookalike-pictures-")
        super().__init__(settings, known, os.path.realpath(self._cache.name))
        self._source = source
        self._max_bytes = int(settings.image_cache_mb * 1_000_000)
        self._fetch_limits = FetchLimits(
            int(settings.max_file_mb * 1_000_000), "LOOKALIKE_MAX_FILE_MB"
        )
        self._kept: OrderedDict[KnownPicture, tuple[Path, int]] = OrderedDict()  # oldest first
        self._held_bytes = 0
        self._made = 0
        self._coming: dict[KnownPicture, threading.Lock] = {}
        self._lock = threading.Lock()
        # Of their own: a storage that is slow must not keep searches waiting.
        self._threads = ThreadPoolExecutor(settings.fetch_workers, thread_name_prefix="fetch")
        self.finders = self._threads

    def close(self) -> None:
        """Delete what was fetched."""
        self._threads.shutdown(cancel_futures=True)
        self._cache.cleanup()

    def _locate(self, picture: KnownPicture) -> str:
        """The file of an item, fetched unless a fetch of the same content is kept.

        Raises:
            PictureNotFoundError: the object is gone or too large.
            SourceError: the storage does not give it.
        """
        with self._lock:
            coming = self._coming.setdefault(picture, threading.Lock())
        try:
            with coming:  # others who ask for the same wait for the first
                with self._lock:
                    kept = self._kept.get(picture)
                    if kept is not None:
                        self._kept.move_to_end(picture)
                        return str(kept[0])
                return str(self._fetch(picture))
        finally:
            with self._lock:
                self._coming.pop(picture, None)

    def _signed_url(self, path: str, lasts_s: int) -> str | None:
        try:
            return self._source.signed_url(path, lasts_s)
        except OSError as error:
            raise SourceError(f"{self._source.name}/{path}: {error_text(error)}.") from error

    def _fetch(self, picture: KnownPicture) -> Path:
        with self._lock:
            self._made += 1
            file = Path(self._root, f"{self._made:09d}")
        try:
            with file.open("wb") as into:
                fetched = self._source.fetch(picture.path, into, self._fetch_limits)
        except (FileNotFoundError, ImageTooLargeError) as error:
            file.unlink(missing_ok=True)
            raise PictureNotFoundError(f"There is no picture to show: {error}") from error
        except OSError as error:
            file.unlink(missing_ok=True)
            raise SourceError(
                f"{self._source.name}/{picture.path} cannot be fetched: {error_text(error)}."
            ) from error
        # A picture fetched again, or by another replica, keeps its ETag.
        os.utime(file, ns=(fetched.stat.mtime_ns, fetched.stat.mtime_ns))
        with self._lock:
            self._kept[picture] = (file, fetched.size)
            self._held_bytes += fetched.size
            while self._held_bytes > self._max_bytes and len(self._kept) > 1:
                _, (old, size) = self._kept.popitem(last=False)
                self._held_bytes -= size
                with suppress(FileNotFoundError):
                    old.unlink()
        return file
