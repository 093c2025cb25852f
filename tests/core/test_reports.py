"""A run as JSON, as every reader of it expects."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from core.records import Run, RunCounters, RunOptions, RunState
from core.reports import duration_s, iso_time, progress_share, run_report

_RUN = Run(
    id=3,
    state=RunState.RUNNING,
    trigger="api",
    options=RunOptions(verify=True),
    counters=RunCounters(
        scanned=10, planned=8, settled=2, new=3, modified=1, revived=1, moved=2, failed=1
    ),
    created_at=0.0,
    started_at=1.0,
    finished_at=None,
    cancel_requested=False,
    message=None,
    error_code=None,
    warnings=("careful",),
    failed_items=0,
    total_items=0,
    generation=None,
)
_DONE = replace(
    _RUN, state=RunState.SUCCEEDED, finished_at=3.5, failed_items=4, total_items=9, generation=2
)


def test_a_finished_run_tells_what_clients_of_the_matcher_read() -> None:
    report = run_report(_DONE)
    expected = {
        "id": 3,
        "state": "succeeded",
        "success": True,
        "total_images": 9,
        "new_images": 5,
        "removed_images": 0,
        "moved_images": 2,
        "failed_images": 4,
        "processing_time": 2.5,
        "progress": 1.0,
        "embedded": 0,
        "warnings": ["careful"],
        "created_at": "1970-01-01T00:00:00.000+00:00",
    }
    assert {key: report[key] for key in expected} == expected
    json.dumps(report)


def test_a_run_under_way_counts_its_own_failures_and_its_share() -> None:
    report = run_report(_RUN)
    assert report["failed_images"] == 1
    assert report["progress"] == 0.25
    assert report["success"] is False


def test_a_run_that_did_not_succeed_is_no_success() -> None:
    for state in (RunState.FAILED, RunState.CANCELLED, RunState.INTERRUPTED):
        assert run_report(replace(_DONE, state=state))["success"] is False


def test_a_run_that_has_not_begun_took_no_time() -> None:
    waiting = replace(_RUN, state=RunState.QUEUED, started_at=None, counters=RunCounters())
    assert duration_s(waiting) == 0.0
    assert progress_share(waiting) == 0.0
    assert iso_time(None) is None


def test_a_clock_set_back_gives_no_negative_time() -> None:
    assert duration_s(replace(_DONE, finished_at=0.5)) == 0.0


def test_a_run_under_way_takes_time_until_this_moment() -> None:
    assert duration_s(_RUN) == pytest.approx(time.time() - 1.0, abs=5)
