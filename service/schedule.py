"""When scheduled runs come round."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

from core.schedule import cron_trigger


def next_times(cron: str, at: float, count: int) -> list[float]:
    """The next times of a cron expression after `at`, in seconds since the epoch.

    The expression is of the machine's own time zone, as the ingest daemon reads it.
    """
    trigger = cron_trigger(cron)
    times = list[float]()
    previous, now = None, datetime.fromtimestamp(at, UTC)
    while len(times) < count:
        found = trigger.get_next_fire_time(previous, now)
        if found is None:
            break
        times.append(found.timestamp())
        previous = now = found
    return times


def longest_gap_s(times: list[float]) -> float | None:
    """The longest time between two of some moments; None where there are fewer than two."""
    return max((later - sooner for sooner, later in itertools.pairwise(times)), default=None)
