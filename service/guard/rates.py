"""How often one address, and one key, may ask."""

from __future__ import annotations

import ipaddress
import math
import time
from typing import TYPE_CHECKING, Final

from limits import parse_many
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from core.errors import SettingsError
from service.guard.refusals import refuse
from service.problems import problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from limits import RateLimitItem
    from starlette.types import ASGIApp, Receive, Scope, Send

_PROBES: Final = ("/health/live", "/health/ready")
_NETWORK_BITS: Final = 64  # of IPv6: what one customer is given, and may take any address of


class RateLimit:
    """Answers 429 to whoever asks more often than allowed; `identify` says who asks."""

    def __init__(
        self,
        app: ASGIApp,
        setting: str,
        limits: tuple[RateLimitItem, ...],
        identify: Callable[[Scope], str | None],
    ) -> None:
        self._app = app
        self._setting = setting
        self._limits = limits
        self._identify = identify
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage()) if limits else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve whoever asks seldom enough; probes always."""
        if scope["type"] == "http" and self._limiter and scope["path"] not in _PROBES:
            who = self._identify(scope)
            wait_s = self._wait_s(self._limiter, who) if who is not None else 0
            if wait_s:
                answer = problem(
                    429,
                    "rate_limited",
                    "Too many requests",
                    f"Try again in {wait_s} s ({self._setting}).",
                    {"Retry-After": str(wait_s)},
                )
                await refuse(answer, scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _wait_s(self, limiter: SlidingWindowCounterRateLimiter, who: str) -> int:
        """Count a request; how long to wait where it is one too many."""
        for limit in self._limits:
            if not limiter.hit(limit, self._setting, who):
                reset_at = limiter.get_window_stats(limit, self._setting, who).reset_time
                return max(1, math.ceil(reset_at - time.time()))
        return 0


def parse_limits(setting: str, text: str) -> tuple[RateLimitItem, ...]:
    """Read `20/second;600/minute`; empty text limits nothing.

    Raises:
        SettingsError: it is of another form.
    """
    if not text.strip():
        return ()
    try:
        limits = tuple(parse_many(text))
    except ValueError:
        limits = ()
    if not limits or any(limit.amount < 1 or limit.get_expiry() < 1 for limit in limits):
        raise SettingsError(
            f"{setting}={text!r} must read like 600/minute or 20/second;600/minute, with second, "
            "minute, hour or day."
        )
    return limits


def by_address(scope: Scope) -> str | None:
    """The client's address; of IPv6 the network that one customer has."""
    client = scope.get("client")
    if not client:
        return None
    try:
        address = ipaddress.ip_address(client[0])
    except ValueError:
        return str(client[0])[:64]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(address) >> _NETWORK_BITS << _NETWORK_BITS, 64)))
    return str(address)


def by_key(scope: Scope) -> str | None:
    """The key that was shown; None where none was asked for."""
    caller = scope["state"].get("caller")
    return caller.key_id if caller else None
