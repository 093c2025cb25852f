"""The keys file: a JSON document of hashed keys that `lookalike keys` writes.

    {"keys": [{"name": "shop", "scopes": ["search"], "salt": "<hex>", "sha256": "<hex>",
               "created_at": 1760000000.0}]}

Writers hold a lock beside the file and replace it whole, so that a reader never sees half a file.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core.errors import SettingsError
from service.guard.keys import Key, Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

_MOST_BYTES: Final = 4_000_000


class KeyFile:
    """The keys of a file, read again whenever it changes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, ...] | None = None
        self._keys: tuple[Key, ...] = ()

    def keys(self) -> tuple[Key, ...]:
        """The keys as the file stands; none while it is missing or cannot be understood."""
        try:
            found = self.path.stat()
            # Looked at before it is read: what changes in between is read again next time.
            seen = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
            if seen != self._seen:
                self._keys = read_keys(self.path)
                self._seen = seen
        except (OSError, SettingsError) as error:
            if self._seen != ():
                log.error("No key of LOOKALIKE_KEYS_FILE is taken: %s", error)  # noqa: TRY400  # a sentence says it
            self._seen, self._keys = (), ()
        return self._keys

    def change(self, change: Callable[[tuple[Key, ...]], tuple[Key, ...]]) -> None:
        """Replace the file's keys.

        Raises:
            SettingsError: the file cannot be read or written.
        """
        try:
            with _locked(self.path.with_name(self.path.name + ".lock")):
                before = read_keys(self.path) if self.path.exists() else ()
                _write(self.path, change(before))
        except OSError as error:
            raise SettingsError(
                f"LOOKALIKE_KEYS_FILE={self.path} cannot be written: {error.strerror or error}."
            ) from error


def read_keys(path: Path) -> tuple[Key, ...]:
    """Read a keys file.

    Raises:
        SettingsError: it cannot be read or understood; nothing of its content is in the message.
    """
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(_MOST_BYTES))
        return tuple(_key(entry) for entry in document["keys"])
    except OSError as error:
        reason = error.strerror or str(error)
        raise SettingsError(f"LOOKALIKE_KEYS_FILE={path} cannot be read: {reason}.") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise SettingsError(
            f"LOOKALIKE_KEYS_FILE={path} is not a keys file; `lookalike keys create` writes one."
        ) from None


def _key(entry: dict[str, Any]) -> Key:
    salt, digest = bytes.fromhex(entry["salt"]), bytes.fromhex(entry["sha256"])
    scopes = frozenset(Scope(scope) for scope in entry["scopes"])
    if len(digest) != 32 or not salt or not scopes:
        raise ValueError
    created = entry.get("created_at")
    return Key(str(entry["name"]), scopes, salt, digest, created and float(created))


def _entry(key: Key) -> dict[str, Any]:
    return {
        "name": key.name,
        "scopes": sorted(key.scopes),
        "salt": key.salt.hex(),
        "sha256": key.digest.hex(),
        "created_at": key.created_at,
    }


def _write(path: Path, keys: tuple[Key, ...]) -> None:
    text = json.dumps({"keys": [_entry(key) for key in keys]}, indent=2, ensure_ascii=False)
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
