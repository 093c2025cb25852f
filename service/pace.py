"""How fast the run going on is, and how long it will take, from its counters as they move."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from core.reports import duration_s

if TYPE_CHECKING:
    from core.records import Run

_WINDOW_S: Final = 15.0
_LEAST_S: Final = 1.0  # a shorter look says nothing of the pace

_COUNTED: Final = {
    "walk": "scanned",
    "hash": "hashed",
    "wait_decode": "embedded",
    "embed": "embedded",
    "ray": "embedded",
}
"""Stage -> the counter that says how many files it took."""

_ORDER: Final = (
    "load_model",
    "walk",
    "hash",
    "wait_decode",
    "embed",
    "ray",
    "commit",
    "housekeeping",
)


@dataclass(frozen=True)
class Stage:
    """One stage of a run."""

    name: str
    seconds: float  # spent in it
    share: float  # of the run's time
    per_second: float | None  # files in a second of its own time


@dataclass(frozen=True)
class Pace:
    """How a run goes."""

    files_per_s: float | None  # settled lately; None: too early to say
    seconds_left: float | None
    stages: list[Stage]


class PaceMeter:
    """Remembers where the run stood a few seconds ago."""

    def __init__(self) -> None:
        self._run_id: int | None = None
        self._seen: deque[tuple[float, int]] = deque()  # when, files settled

    def look(self, run: Run, at: float) -> Pace:
        """Take note of where a run stands at a time in seconds, and say how it goes."""
        if run.id != self._run_id:
            self._run_id = run.id
            self._seen.clear()
        self._seen.append((at, run.counters.settled))
        while len(self._seen) > 2 and at - self._seen[0][0] > _WINDOW_S:
            self._seen.popleft()
        (then, before), (_, settled) = self._seen[0], self._seen[-1]
        rate = (settled - before) / (at - then) if at - then >= _LEAST_S else None
        left = max(0, run.counters.planned - settled)
        seconds = left / rate if rate else None
        return Pace(rate, seconds, stages_of(run))


def stages_of(run: Run) -> list[Stage]:
    """The stages of a run, in the order a file passes them."""
    took = duration_s(run)
    times = run.counters.stage_s
    names = sorted(times, key=lambda name: (_ORDER.index(name) if name in _ORDER else 99, name))
    return [_stage(run, name, times[name], took) for name in names]


def _stage(run: Run, name: str, seconds: float, took_s: float) -> Stage:
    files = getattr(run.counters, _COUNTED[name]) if name in _COUNTED else 0
    return Stage(
        name,
        seconds,
        min(1.0, seconds / took_s) if took_s else 0.0,
        files / seconds if files and seconds else None,
    )
