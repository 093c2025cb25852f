"""Signing in with a key: a cookie that names the key and is signed, and holds nothing else.

`<key id>.<expiry, hex>.<HMAC-SHA256>`. The key is looked up by its id at each request, so a session
ends with its key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.settings import Settings
    from service.guard.keys import Key

COOKIE: Final = "lookalike_session"
_MOST_COOKIE_CHARACTERS: Final = 8192


class Sessions:
    """Issues and reads session cookies."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        chosen = settings.session_secret
        # Without a chosen one sessions end with the process and hold in no other replica.
        self._secret = (
            chosen.get_secret_value().encode(errors="surrogateescape")
            if chosen
            else secrets.token_bytes(32)
        )
        self.lifetime_s = int(settings.session_hours * 3600)
        self._clock = clock

    def issue(self, key: Key) -> str:
        """The cookie's value for someone who showed this key."""
        named = f"{key.id}.{int(self._clock()) + self.lifetime_s:x}"
        return f"{named}.{self._sign(named)}"

    def key_id(self, cookie: str) -> str | None:
        """The key that a cookie's value names; None where it is forged, damaged or too old."""
        named, _, signature = cookie.rpartition(".")
        key_id, _, expiry = named.partition(".")
        given = signature.encode(errors="surrogateescape")
        if not hmac.compare_digest(given, self._sign(named).encode()):
            return None
        return key_id if int(expiry, 16) > self._clock() else None

    def _sign(self, named: str) -> str:
        message = b"lookalike session " + named.encode(errors="surrogateescape")
        mac = hmac.digest(self._secret, message, hashlib.sha256)
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def session_cookie(header: str) -> str | None:
    """Our cookie in a Cookie header, if it is there."""
    if COOKIE not in header or len(header) > _MOST_COOKIE_CHARACTERS:
        return None
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return None


def cookie_header(value: str, lifetime_s: int, *, secure: bool) -> str:
    """The Set-Cookie header that keeps a session; a lifetime of 0 takes it away."""
    parts = [f"{COOKIE}={value}", "Path=/", f"Max-Age={lifetime_s}", "HttpOnly", "SameSite=Strict"]
    if secure:
        parts.append("Secure")
    return "; ".join(parts)
