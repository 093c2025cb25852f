"""Keys that clients show, and what each may do.

A key is kept as a salted SHA-256. A slow password hash guards words that people choose; our keys
are 256 random bits, which nobody can guess however fast the hash is, and every request hashes
the key it shows once for each key there is.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Self

from core.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_KEY_BYTES: Final = 1024
LEAST_KEY_BYTES: Final = 16  # a shorter one is taken, with a warning: it may be guessed

_PREFIX: Final = "lk_"  # lets scanners of leaked secrets recognise a key
_SECRET_BYTES: Final = 32
_SALT_BYTES: Final = 16
_FORM: Final = "name:scope+scope:key"


class Scope(StrEnum):
    """What a key may be good for; `admin` is good for everything."""

    SEARCH = "search"
    INGEST = "ingest"
    ADMIN = "admin"


@dataclass(frozen=True)
class Key:
    """A key as it is kept: enough to recognise it, too little to show it."""

    name: str
    scopes: frozenset[Scope]
    salt: bytes
    digest: bytes  # SHA-256 of salt and key
    created_at: float | None = None  # seconds since the epoch; None: not known

    @classmethod
    def of(
        cls,
        name: str,
        scopes: Iterable[Scope],
        secret: bytes,
        salt: bytes | None = None,
        created_at: float | None = None,
    ) -> Self:
        """Keep a key."""
        salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
        return cls(name, frozenset(scopes), salt, _digest(salt, secret), created_at)

    @property
    def id(self) -> str:
        """Names the key in a session; tells nothing of it."""
        return hashlib.sha256(b"id" + self.salt + self.digest).hexdigest()[:32]

    def fits(self, secret: bytes) -> bool:
        """Whether this is the key, in a time that says nothing about it."""
        return hmac.compare_digest(_digest(self.salt, secret), self.digest)


def new_secret() -> str:
    """A key that nobody can guess."""
    return _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def recognise(secret: bytes, keys: Iterable[Key]) -> Key | None:
    """The key that was shown, if it is one of these; every key is compared, found or not."""
    if not 0 < len(secret) <= MOST_KEY_BYTES:
        return None
    found = None
    for key in keys:
        if key.fits(secret):
            found = key
    return found


def parse_scopes(text: str) -> frozenset[Scope]:
    """Read `scope+scope`.

    Raises:
        ValueError: one is unknown, or there is none.
    """
    known = {scope.value: scope for scope in Scope}
    names = [name.strip() for name in text.split("+")]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"there is no scope {unknown[0]!r}; there are {', '.join(known)}")
    return frozenset(known[name] for name in names)


def parse_keys(text: str) -> tuple[Key, ...]:
    """Read LOOKALIKE_API_KEYS: entries with commas between, each split at its first two colons.

    Raises:
        SettingsError: naming the entry by its number, for any of its parts may be the key.
    """
    entries = [entry.strip() for entry in text.split(",")]
    return tuple(_entry(n, entry) for n, entry in enumerate(entries, 1) if entry)


def _entry(number: int, entry: str) -> Key:
    name, _, rest = entry.partition(":")
    scopes, _, secret = rest.partition(":")
    if not (name.strip() and secret):
        raise SettingsError(f"LOOKALIKE_API_KEYS, entry {number}: it must read {_FORM}.")
    try:
        allowed = parse_scopes(scopes)
    except ValueError:
        raise SettingsError(
            f"LOOKALIKE_API_KEYS, entry {number}: it must read {_FORM}, each scope one of "
            f"{', '.join(Scope)}."
        ) from None
    # The same salt in every replica gives the same id, so a session holds in all of them.
    salt = hashlib.sha256(b"environment" + name.encode(errors="surrogateescape")).digest()
    raw = secret.encode(errors="surrogateescape")
    if len(raw) > MOST_KEY_BYTES:
        raise SettingsError(
            f"LOOKALIKE_API_KEYS, entry {number}: a key may have {MOST_KEY_BYTES} bytes."
        )
    return Key.of(name.strip(), allowed, raw, salt[:_SALT_BYTES])


def _digest(salt: bytes, secret: bytes) -> bytes:
    return hashlib.sha256(salt + secret).digest()
