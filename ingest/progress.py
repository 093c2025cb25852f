"""Counting while a run works, and showing the count where everyone looks: in the run's row."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Final, Protocol

from core.errors import RunCancelledError
from core.records import RunCounters

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from core.records import Run
    from core.store.runs import RunLog

_SHOW_EVERY_S: Final = 0.5


class Ticker(Protocol):
    """What takes count and time of single steps."""

    def count(self, name: str, by: int = 1) -> None:
        """Raise one counter."""
        ...

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Add the time spent inside to a stage."""
        ...

    def spent(self, name: str, seconds: float) -> None:
        """Add time to a stage."""
        ...


class Progress:
    """The counters of one run, and its ears for a request to stop."""

    def __init__(
        self,
        runs: RunLog,
        run: Run,
        stop: threading.Event,
        show: Callable[[RunCounters], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runs = runs
        self._run_id = run.id
        self._stop = stop
        self._show = show
        self._clock = clock
        self._shown_at = clock()
        self._counts = asdict(RunCounters())
        self._stages: dict[str, float] = {}

    @property
    def counters(self) -> RunCounters:
        """How far the run has come."""
        stages = {name: round(seconds, 4) for name, seconds in self._stages.items()}
        return RunCounters(**{**self._counts, "stage_s": stages})

    def count(self, name: str, by: int = 1) -> None:
        """Raise one counter of `RunCounters`."""
        self._counts[name] += by

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent inside to a stage."""
        started = self._clock()
        try:
            yield
        finally:
            self.spent(name, self._clock() - started)

    def spent(self, name: str, seconds: float) -> None:
        """Add time to a stage."""
        self._stages[name] = self._stages.get(name, 0.0) + seconds

    def check(self) -> None:
        """Show the count from time to time.

        Raises:
            RunCancelledError: somebody asked the run to stop.
        """
        if self._stop.is_set():
            raise RunCancelledError("The ingester was told to stop.")
        now = self._clock()
        if now - self._shown_at < _SHOW_EVERY_S:
            return
        self._shown_at = now
        self.publish()
        run = self._runs.get(self._run_id)
        if run is not None and run.cancel_requested:
            raise RunCancelledError("The run was cancelled on request.")

    def publish(self) -> None:
        """Show the count at once."""
        counters = self.counters
        self._runs.progress(self._run_id, counters)
        if self._show is not None:
            self._show(counters)
