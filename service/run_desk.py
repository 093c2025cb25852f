"""Asks for ingest runs and follows them; the ingest daemon does them.

The two programs meet in the catalog: a run is a row, and the daemon shows that it is alive by a
note it renews every few seconds.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from core.records import RunState
from service.errors import (
    NoIngestDaemonError,
    NothingToRetryError,
    RunOverError,
    RunUnsuccessfulError,
    UnknownRunError,
)
from service.names import spellings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from core.records import Run, RunOptions
    from core.store.catalog import Catalog
    from service.keeper import Keeper

_POLL_S: Final = 0.1
_HEARTBEAT_LASTS_S: Final = 15.0
_PATIENCE_S: Final = 60.0  # with a daemon that is about to be started again
_RETELL_S: Final = 10.0


@dataclass(frozen=True)
class DaemonNote:
    """What the ingest daemon last said of itself."""

    pid: int
    heartbeat_at: float  # seconds since the epoch
    schedule: str  # cron expression; empty: none
    next_run_at: float | None  # seconds since the epoch
    verify_schedule: str = ""  # cron expression of runs that hash every file; empty: none

    def alive(self, at: float) -> bool:
        """Whether the daemon was heard of just before `at`."""
        return at - self.heartbeat_at < _HEARTBEAT_LASTS_S


class RunDesk:
    """Where runs are asked for, followed and stopped."""

    def __init__(self, catalog: Catalog, keeper: Keeper, *, supervises: bool) -> None:
        self._catalog = catalog
        self._keeper = keeper
        self._supervises = supervises  # whether this program starts the daemon itself

    def daemon(self) -> DaemonNote | None:
        """What the daemon last said; None where there is none."""
        note = self._catalog.get_note("daemon")
        if not isinstance(note, str) or not note:
            return None  # none was started, or it took its leave
        said = json.loads(note)
        return DaemonNote(
            pid=said["pid"],
            heartbeat_at=said["heartbeat_at"],
            schedule=said.get("schedule") or "",
            next_run_at=said.get("next_run_at"),
            verify_schedule=said.get("verify_schedule") or "",
        )

    def request(self, options: RunOptions) -> Run:
        """Queue a run.

        Raises:
            RunInProgressError: one is queued or going on.
            NoIngestDaemonError: nobody would do it.
        """
        self._require_daemon()
        return self._catalog.runs.queue(options, "api")

    def retry(self, paths: Sequence[str] | None, options: RunOptions) -> Run:
        """Have failed items tried again (None: all of them) by a run that is queued.

        Raises:
            NothingToRetryError: no item asked for has failed.
            RunInProgressError: one is queued or going on; the next one tries the items.
        """
        self._require_daemon()
        wanted = None if paths is None else {way for path in paths for way in spellings(path)}
        if not self._catalog.request_retry(wanted):
            raise NothingToRetryError
        return self._catalog.runs.queue(options, "api")

    def get(self, run_id: int) -> Run:
        """One run.

        Raises:
            UnknownRunError: there is none of that id.
        """
        run = self._catalog.runs.get(run_id)
        if run is None:
            raise UnknownRunError(run_id)
        return run

    def cancel(self, run_id: int) -> Run:
        """Ask a run to stop at its next batch.

        Raises:
            UnknownRunError: there is none of that id.
            RunOverError: it has ended.
        """
        run = self.get(run_id)
        if run.state.finished:
            raise RunOverError(run)
        return self._catalog.runs.request_cancel(run_id) or run

    async def wait(self, run_id: int) -> Run:
        """Wait for a run's success; when this returns, searches see what it published.

        Raises:
            RunUnsuccessfulError: it ended otherwise.
            NoIngestDaemonError: nobody seems to be doing it.
        """
        heard = time.monotonic()
        while not (run := await asyncio.to_thread(self.get, run_id)).state.finished:
            if await asyncio.to_thread(self._daemon_alive):
                heard = time.monotonic()
            elif time.monotonic() - heard > _PATIENCE_S:
                raise NoIngestDaemonError(
                    f"Run {run_id} is {run.state}, but no ingest daemon has been heard of for "
                    f"{_PATIENCE_S:.0f} s. The run is done once one is back."
                )
            await asyncio.sleep(_POLL_S)
        await asyncio.to_thread(self._keeper.refresh)
        if run.state is not RunState.SUCCEEDED:
            raise RunUnsuccessfulError(run)
        return run

    async def follow(self, run_id: int) -> AsyncIterator[Run]:
        """Yield a run whenever it changed, and every few seconds, until it has ended."""
        told: Run | None = None
        told_at = 0.0
        while told is None or not told.state.finished:
            run = await asyncio.to_thread(self.get, run_id)
            if run != told or time.monotonic() - told_at >= _RETELL_S:
                told, told_at = run, time.monotonic()
                yield run
            else:
                await asyncio.sleep(_POLL_S)

    def _daemon_alive(self) -> bool:
        note = self.daemon()
        return note is not None and note.alive(time.time())

    def _require_daemon(self) -> None:
        if not self._supervises and not self._daemon_alive():
            raise NoIngestDaemonError(
                "No ingest daemon works on this store. Start one with `lookalike-ingest daemon`, "
                "or serve without --no-ingest."
            )
