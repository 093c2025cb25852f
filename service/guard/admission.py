"""A bounded place for work: who comes when it is full is told to come back.

A place is taken once a request has come in whole, so a slow sender holds none, and given back when
its answer has been sent or its client has left.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST_RETRY_S: Final = 30
_WEIGHT: Final = 0.1  # of the newest duration in the running mean


@dataclass
class Queue:
    """Requests at work or waiting."""

    places: int
    clock: Callable[[], float] = time.monotonic
    taken: int = 0
    refused: int = 0  # so far
    _mean_s: float = 0.0
    _entered: dict[int, float] = field(default_factory=dict)
    _next: int = 0

    @property
    def full(self) -> bool:
        """Whether the next one has to come back."""
        return self.taken >= self.places

    @property
    def retry_after_s(self) -> int:
        """When to come back: as long as one of those inside needs."""
        return min(_LONGEST_RETRY_S, max(1, math.ceil(self._mean_s)))

    def enter(self) -> int | None:
        """Take a place; None where there is none."""
        if self.full:
            self.refused += 1
            return None
        self._next += 1
        self.taken += 1
        self._entered[self._next] = self.clock()
        return self._next

    def leave(self, place: int) -> None:
        """Give a place back."""
        spent_s = self.clock() - self._entered.pop(place)
        self.taken -= 1
        self._mean_s += _WEIGHT * (spent_s - self._mean_s)


@dataclass
class Budget:
    """Bytes that bodies of requests may take together."""

    most: int
    held: int = 0

    def take(self, size: int, own: int) -> bool:
        """Hold more for a request that holds `own` already; a lone request always may."""
        if size and self.held + size > self.most and self.held > own:
            return False
        self.held += size
        return True

    def give_back(self, size: int) -> None:
        """Let go of a request's bytes."""
        self.held -= size


@dataclass(frozen=True)
class Admission:
    """The places of a service."""

    uploads: Queue  # before the model
    pictures: Queue  # before the decoders, for pictures of the catalogue
    streams: Queue  # of events, each for as long as somebody listens
    bodies: Budget
