"""Every key that opens this service, wherever it comes from."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from service.guard.key_file import KeyFile
from service.guard.keys import LEAST_KEY_BYTES, Key, parse_keys, recognise

if TYPE_CHECKING:
    from core.settings import Settings

log = logging.getLogger(__name__)


class KeyRing:
    """The keys of LOOKALIKE_API_KEYS and of LOOKALIKE_KEYS_FILE.

    Raises:
        SettingsError: LOOKALIKE_API_KEYS cannot be understood.
    """

    def __init__(self, settings: Settings) -> None:
        text = settings.api_keys.get_secret_value() if settings.api_keys else ""
        self._fixed = parse_keys(text)
        self._file = KeyFile(settings.keys_file) if settings.keys_file else None
        # Decided once: a keys file that is emptied or lost must not open the doors.
        self.required = bool(self._fixed) or self._file is not None
        _warn_of_short_ones(text)

    def keys(self) -> tuple[Key, ...]:
        """The keys that are good at this moment."""
        return self._fixed + (self._file.keys() if self._file else ())

    def find(self, shown: bytes) -> Key | None:
        """The key that a client showed, as the bytes of a header."""
        keys = self.keys()
        found = recognise(shown, keys)
        if found is None and not shown.isascii():
            # Some clients send headers as Latin-1, others as UTF-8.
            found = recognise(shown.decode("latin-1").encode(), keys)
        return found

    def by_id(self, key_id: str) -> Key | None:
        """The key that a session names, if it is still good."""
        return next((key for key in self.keys() if key.id == key_id), None)


def _warn_of_short_ones(text: str) -> None:
    for entry in filter(None, map(str.strip, text.split(","))):
        name, _, secret = entry.split(":", 2)
        if len(secret.encode(errors="surrogateescape")) < LEAST_KEY_BYTES:
            log.warning(
                "The key %r of LOOKALIKE_API_KEYS is short enough to be guessed; "
                "`lookalike keys create` makes one that is not.",
                name,
            )
