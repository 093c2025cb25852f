"""The run rows: asked for by the service, claimed by the ingester, read by every dashboard."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from core.errors import BusyError
from core.records import Run, RunCounters, RunOptions, RunState, printable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from core.store.database import Database

_ACTIVE = "state IN ('queued', 'running')"

TOTALLED = (
    "scanned",
    "hashed",
    "embedded",
    "new",
    "modified",
    "moved",
    "revived",
    "removed",
    "failed",
)
"""The counters of `RunCounters` that `RunTotals` adds up."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    state: RunState
    message: str
    error_code: str | None = None
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class RunTotals:
    """All runs there ever were, added up."""

    states: dict[RunState, int]  # how many runs are in each
    counters: dict[str, int]  # the `TOTALLED` ones
    bytes_read: int
    last_success_at: float | None  # seconds since the epoch; None: there was none
    last_duration_s: float  # of the last run that ended


class RunInProgressError(BusyError):
    """A run is queued or going on already."""

    code = "run_in_progress"

    def __init__(self, run_id: int) -> None:
        super().__init__(
            f"Run {run_id} is queued or going on already; follow it at /api/v1/runs/{run_id}."
        )
        self.run_id = run_id


class RunLog:
    """The table of runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def queue(self, options: RunOptions, trigger: str) -> Run:
        """Ask for a run.

        Raises:
            RunInProgressError: one is queued or going on.
        """
        with self._database.writing() as connection:
            active = connection.execute(
                f"SELECT id FROM runs WHERE {_ACTIVE} ORDER BY id DESC LIMIT 1"
            ).fetchone()
            if active is not None:
                raise RunInProgressError(active["id"])
            return self._insert(connection, options, trigger, RunState.QUEUED)

    def start(self, options: RunOptions, trigger: str) -> Run:
        """Insert a run that goes on from this moment; the caller holds the ingest lock."""
        with self._database.writing() as connection:
            return self._insert(connection, options, trigger, RunState.RUNNING)

    def claim(self) -> Run | None:
        """Take the oldest queued run; the caller holds the ingest lock."""
        with self._database.writing() as connection:
            row = connection.execute(
                "UPDATE runs SET state = 'running', started_at = ? WHERE id = "
                "(SELECT id FROM runs WHERE state = 'queued' ORDER BY id LIMIT 1) RETURNING *",
                (time.time(),),
            ).fetchone()
            return _run(row) if row else None

    def interrupt_orphans(self) -> int:
        """Close the runs whose process died; the caller holds the ingest lock, so none is alive."""
        with self._database.writing() as connection:
            return connection.execute(
                "UPDATE runs SET state = 'interrupted', finished_at = ?, "
                "message = 'The ingester stopped before the run ended.' WHERE state = 'running'",
                (time.time(),),
            ).rowcount

    def progress(self, run_id: int, counters: RunCounters) -> None:
        """Show how far a run has come."""
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE runs SET counters = ? WHERE id = ?",
                (json.dumps(asdict(counters)), run_id),
            )

    def finish(self, run_id: int, outcome: Outcome, counters: RunCounters) -> Run:
        """Close a run, noting the catalogue's size and generation."""
        with self._database.writing() as connection:
            row = connection.execute(
                "UPDATE runs SET state = ?, message = ?, error_code = ?, warnings = ?, "
                "counters = ?, finished_at = ?, "
                "failed_items = (SELECT count(*) FROM items WHERE state = 'failed'), "
                "total_items = (SELECT count(*) FROM items WHERE state != 'missing'), "
                "generation = (SELECT value FROM meta WHERE key = 'generation') "
                "WHERE id = ? RETURNING *",
                (
                    outcome.state,
                    printable(outcome.message),
                    outcome.error_code,
                    json.dumps(list(outcome.warnings)),
                    json.dumps(asdict(counters)),
                    time.time(),
                    run_id,
                ),
            ).fetchone()
            return _run(row)

    def request_cancel(self, run_id: int) -> Run | None:
        """Ask a run to stop; a queued one ends at once. None: there is no such run."""
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE runs SET state = 'cancelled', finished_at = ?, cancel_requested = 1, "
                "message = 'Cancelled before it started.' WHERE id = ? AND state = 'queued'",
                (time.time(), run_id),
            )
            connection.execute(
                "UPDATE runs SET cancel_requested = 1 WHERE id = ? AND state = 'running'",
                (run_id,),
            )
        return self.get(run_id)

    def get(self, run_id: int) -> Run | None:
        """One run, or None where there is no such run."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone()
            return _run(row) if row else None

    def latest(
        self, limit: int, offset: int = 0, state: RunState | None = None
    ) -> tuple[list[Run], int]:
        """The newest runs first, and how many there are in all."""
        where, values = ("WHERE state = ?", [state]) if state else ("", [])
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT * FROM runs {where} ORDER BY id DESC LIMIT ? OFFSET ?",
                (*values, limit, offset),
            ).fetchall()
            total = connection.execute(f"SELECT count(*) FROM runs {where}", values).fetchone()[0]
            return [_run(row) for row in rows], total

    def totals(self) -> RunTotals:
        """All runs added up, for dashboards."""
        sums = ", ".join(
            f"coalesce(sum(json_extract(counters, '$.{name}')), 0) AS {name}"
            for name in (*TOTALLED, "bytes_read")
        )
        states = dict.fromkeys(RunState, 0)
        with self._database.reading() as connection:
            for row in connection.execute("SELECT state, count(*) AS n FROM runs GROUP BY state"):
                states[RunState(row["state"])] = row["n"]
            summed = connection.execute(f"SELECT {sums} FROM runs").fetchone()
            success = connection.execute(
                "SELECT max(finished_at) FROM runs WHERE state = 'succeeded'"
            ).fetchone()[0]
            ended = connection.execute(
                "SELECT finished_at - started_at FROM runs WHERE finished_at IS NOT NULL "
                "AND started_at IS NOT NULL ORDER BY id DESC LIMIT 1"
            ).fetchone()
        return RunTotals(
            states,
            {name: summed[name] for name in TOTALLED},
            summed["bytes_read"],
            success,
            ended[0] if ended else 0.0,
        )

    def active(self) -> Run | None:
        """The run going on, else the one queued, else None."""
        with self._database.reading() as connection:
            row = connection.execute(
                f"SELECT * FROM runs WHERE {_ACTIVE} ORDER BY state = 'queued', id LIMIT 1"
            ).fetchone()
            return _run(row) if row else None

    @staticmethod
    def _insert(
        connection: sqlite3.Connection, options: RunOptions, trigger: str, state: RunState
    ) -> Run:
        now = time.time()
        row = connection.execute(
            "INSERT INTO runs (state, trigger, options, created_at, started_at) "
            "VALUES (?, ?, ?, ?, ?) RETURNING *",
            (
                state,
                trigger,
                json.dumps(asdict(options)),
                now,
                now if state is RunState.RUNNING else None,
            ),
        ).fetchone()
        return _run(row)


def _run(row: sqlite3.Row) -> Run:
    return Run(
        id=row["id"],
        state=RunState(row["state"]),
        trigger=row["trigger"],
        options=RunOptions(**json.loads(row["options"])),
        counters=RunCounters(**json.loads(row["counters"])),
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        cancel_requested=bool(row["cancel_requested"]),
        message=row["message"],
        error_code=row["error_code"],
        warnings=tuple(json.loads(row["warnings"])),
        failed_items=row["failed_items"],
        total_items=row["total_items"],
        generation=row["generation"],
    )
