"""Thumbnails already made, the least recently asked for given up first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Hashable

Key: TypeAlias = "Hashable"


class ThumbnailCache:
    """Holds encoded pictures up to a number of bytes."""

    def __init__(self, max_bytes: int) -> None:
        self.held_bytes = 0
        self._max_bytes = max_bytes
        self._made: OrderedDict[Key, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> bytes | None:
        """One that was made before."""
        with self._lock:
            found = self._made.get(key)
            if found is not None:
                self._made.move_to_end(key)
            return found

    def put(self, key: Key, content: bytes) -> None:
        """Keep one, in the place of others where there is no room."""
        with self._lock:
            if len(content) > self._max_bytes:
                return
            self.held_bytes += len(content) - len(self._made.pop(key, b""))
            self._made[key] = content
            while self.held_bytes > self._max_bytes:
                _, old = self._made.popitem(last=False)
                self.held_bytes -= len(old)
