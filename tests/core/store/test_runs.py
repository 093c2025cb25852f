"""The life of a run's row."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from core.errors import BusyError
from core.records import RunCounters, RunOptions, RunState
from core.store.catalog import Catalog
from core.store.runs import Outcome, RunInProgressError, RunLog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DONE = Outcome(RunState.SUCCEEDED, "done")


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[RunLog]:
    with closing(Catalog(tmp_path)) as catalog:
        yield catalog.runs


def test_a_run_is_queued_claimed_and_finished(runs: RunLog) -> None:
    options = RunOptions(force_full=True, verify=True, allow_mass_removal=True, batch_size=3)
    queued = runs.queue(options, "api")
    assert (queued.state, queued.trigger, queued.options) == (RunState.QUEUED, "api", options)
    assert queued.started_at is None
    claimed = runs.claim()
    assert claimed is not None
    assert (claimed.id, claimed.state) == (queued.id, RunState.RUNNING)
    assert claimed.started_at is not None
    counters = RunCounters(scanned=4, embedded=2, stage_s={"walk": 0.5})
    done = runs.finish(claimed.id, Outcome(RunState.FAILED, "why", "code", ["w"]), counters)
    assert (done.state, done.message, done.error_code) == (RunState.FAILED, "why", "code")
    assert done.warnings == ("w",)
    assert done.counters == counters
    assert done.finished_at is not None
    assert done.generation == 0
    assert runs.get(done.id) == done
    assert runs.claim() is None


def test_a_second_run_is_refused_with_the_first_ones_id(runs: RunLog) -> None:
    first = runs.queue(RunOptions(), "api")
    for _ in range(2):
        with pytest.raises(RunInProgressError, match=f"/api/v1/runs/{first.id}") as caught:
            runs.queue(RunOptions(), "api")
        assert caught.value.run_id == first.id
        assert isinstance(caught.value, BusyError)
        assert caught.value.code == "run_in_progress"
        runs.claim()
    runs.finish(first.id, _DONE, RunCounters())
    assert runs.queue(RunOptions(), "api").id == first.id + 1


def test_a_run_from_the_command_line_refuses_queued_ones_while_it_works(runs: RunLog) -> None:
    going = runs.start(RunOptions(), "cli")
    assert going.state is RunState.RUNNING
    with pytest.raises(RunInProgressError) as caught:
        runs.queue(RunOptions(), "api")
    assert caught.value.run_id == going.id


def test_only_one_of_many_askers_gets_a_run(tmp_path: Path) -> None:
    got, refused = list[int](), list[int]()

    def ask() -> None:
        with closing(Catalog(tmp_path)) as catalog:
            try:
                got.append(catalog.runs.queue(RunOptions(), "api").id)
            except RunInProgressError as error:
                refused.append(error.run_id)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    assert refused == got * 7


def test_a_queued_run_that_is_cancelled_never_starts(runs: RunLog) -> None:
    queued = runs.queue(RunOptions(), "api")
    cancelled = runs.request_cancel(queued.id)
    assert cancelled is not None
    assert cancelled.state is RunState.CANCELLED
    assert cancelled.finished_at is not None
    assert runs.claim() is None
    assert runs.active() is None


def test_cancelling_a_running_run_only_asks(runs: RunLog) -> None:
    going = runs.start(RunOptions(), "cli")
    asked = runs.request_cancel(going.id)
    assert asked is not None
    assert (asked.state, asked.cancel_requested) == (RunState.RUNNING, True)


def test_cancelling_what_is_over_or_never_was_changes_nothing(runs: RunLog) -> None:
    done = runs.finish(runs.start(RunOptions(), "cli").id, _DONE, RunCounters())
    assert runs.request_cancel(done.id) == done
    assert runs.request_cancel(999) is None
    assert runs.get(999) is None


def test_orphans_are_interrupted_and_queued_runs_are_not(runs: RunLog) -> None:
    lost = runs.start(RunOptions(), "cli")
    runs.progress(lost.id, RunCounters(embedded=3))
    runs.finish(runs.start(RunOptions(), "cli").id, _DONE, RunCounters())
    assert runs.interrupt_orphans() == 1
    found = runs.get(lost.id)
    assert found is not None
    assert found.state is RunState.INTERRUPTED
    assert found.finished_at is not None
    assert found.counters.embedded == 3
    queued = runs.queue(RunOptions(), "api")
    assert runs.interrupt_orphans() == 0
    assert runs.active() == queued


def test_the_oldest_queued_run_is_claimed_first_and_the_running_one_is_active(
    runs: RunLog,
) -> None:
    first = runs.queue(RunOptions(), "api")
    going = runs.start(RunOptions(), "cli")
    active = runs.active()
    assert active is not None
    assert active.id == going.id
    runs.finish(going.id, _DONE, RunCounters())
    claimed = runs.claim()
    assert claimed is not None
    assert claimed.id == first.id


def test_history_comes_newest_first_in_pages(runs: RunLog) -> None:
    for number in range(5):
        state = RunState.FAILED if number % 2 else RunState.SUCCEEDED
        run = runs.start(RunOptions(), "cli")
        runs.finish(run.id, Outcome(state, str(number)), RunCounters())
    found, total = runs.latest(2, 1)
    assert ([run.message for run in found], total) == (["3", "2"], 5)
    failed, total = runs.latest(10, state=RunState.FAILED)
    assert ([run.message for run in failed], total) == (["3", "1"], 2)


def test_a_message_with_undecodable_bytes_is_kept_readable(runs: RunLog) -> None:
    run = runs.start(RunOptions(), "cli")
    done = runs.finish(
        run.id, Outcome(RunState.FAILED, "no \udcff", "x", ["also \udcff"]), RunCounters()
    )
    assert done.message == "no \\xff"
