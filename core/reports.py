"""A run as JSON: one form for the API, the command line and everything that reads either."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.records import Run


def run_report(run: Run) -> dict[str, Any]:
    """Flatten a run: its row, its counters, and the names clients of the matcher know."""
    counters = asdict(run.counters)
    counters.pop("failed")
    return {
        "id": run.id,
        "state": run.state.value,
        "success": run.state.value == "succeeded",
        "trigger": run.trigger,
        "message": run.message,
        "error_code": run.error_code,
        "warnings": list(run.warnings),
        "created_at": iso_time(run.created_at),
        "started_at": iso_time(run.started_at),
        "finished_at": iso_time(run.finished_at),
        "cancel_requested": run.cancel_requested,
        "options": asdict(run.options),
        "total_images": run.total_items,
        "new_images": run.counters.new_images,
        "removed_images": run.counters.removed,
        "moved_images": run.counters.moved,
        "failed_images": run.failed_items if run.state.finished else run.counters.failed,
        "processing_time": round(duration_s(run), 3),
        "progress": round(progress_share(run), 4),
        "generation": run.generation,
        **counters,
    }


def duration_s(run: Run) -> float:
    """How long a run has worked, in seconds."""
    if run.started_at is None:
        return 0.0
    return max(0.0, (run.finished_at or time.time()) - run.started_at)


def progress_share(run: Run) -> float:
    """How much of the files that had to be looked at are settled, 0 to 1."""
    if run.state.finished:
        return 1.0
    planned = run.counters.planned
    return min(1.0, run.counters.settled / planned) if planned else 0.0


def iso_time(seconds: float | None) -> str | None:
    """Seconds since the epoch as ISO 8601 in UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
