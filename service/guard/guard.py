"""Everything that guards the service, built once for an application."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Final, Self

from fastapi import Depends, Request

from service.guard.admission import Admission, Budget, Queue
from service.guard.key_ring import KeyRing
from service.guard.rates import parse_limits
from service.guard.sessions import Sessions

if TYPE_CHECKING:
    from limits import RateLimitItem

    from core.settings import Settings

_MOST_STREAMS: Final = 128


@dataclass
class Doors:
    """Whether new work is welcome."""

    closing: bool = False  # the service is about to leave


@dataclass(frozen=True)
class Guard:
    """What the layers before the routes share with them."""

    ring: KeyRing
    sessions: Sessions
    admission: Admission
    address_limits: tuple[RateLimitItem, ...]
    key_limits: tuple[RateLimitItem, ...]
    doors: Doors = field(default_factory=Doors)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Build it.

        Raises:
            SettingsError: the keys or limits cannot be understood.
        """
        return cls(
            ring=KeyRing(settings),
            sessions=Sessions(settings),
            admission=Admission(
                uploads=Queue(settings.max_queue),
                pictures=Queue(settings.max_queue),
                streams=Queue(_MOST_STREAMS),
                bodies=Budget(int(settings.max_queue_mb * 1_000_000)),
            ),
            address_limits=parse_limits(
                "LOOKALIKE_RATE_LIMIT_ADDRESS", settings.rate_limit_address
            ),
            key_limits=parse_limits("LOOKALIKE_RATE_LIMIT_KEY", settings.rate_limit_key),
        )


async def guard_of(request: Request) -> Guard:
    """The guard of the application that a request came to."""
    found: Guard = request.app.state.guard
    return found


Guarded = Annotated[Guard, Depends(guard_of)]
"""A route's parameter of this type receives the application's guard."""
