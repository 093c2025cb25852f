"""One ingester per store, however many are started."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Final, Self

from core.errors import BusyError, StoreError

if TYPE_CHECKING:
    from pathlib import Path

LOCK_FILE: Final = "ingest.lock"


class IngestLock:
    """`ingest.lock`, held with flock: it is released when its holder dies, however it dies."""

    def __init__(self, store_dir: Path) -> None:
        self._path = store_dir / LOCK_FILE
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock at once.

        Raises:
            BusyError: another process holds it.
            StoreError: the store folder cannot be written.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Not inherited by decoding processes, or an orphan of theirs would keep the lock.
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(
                f"{self._path} cannot be opened: {error.strerror}. The folder is "
                "LOOKALIKE_STORE_DIR."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise BusyError(
                f"busy: another ingester works on {self._path.parent} (it holds {self._path.name})."
            ) from error
        self._descriptor = descriptor

    def release(self) -> None:
        """Let others in."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
