"""The daemon's own decisions; end_to_end runs it as a process."""

from __future__ import annotations

import itertools
import json
import threading
import time
from typing import TYPE_CHECKING

import pytest
from apscheduler.triggers.interval import IntervalTrigger

from core.errors import StoreError
from core.records import Run, RunOptions, RunState
from core.store.runs import RunLog
from ingest import daemon
from ingest.daemon import DAEMON_NOTE, Daemon
from ingest.lock import IngestLock
from ingest.run import IngestRun
from tests.processes import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from core.settings import Settings
    from tests.shop import Shop


@pytest.fixture
def working(shop: Shop) -> Iterator[Callable[..., threading.Event]]:
    """Start daemons in threads, and stop them afterwards."""
    threads = list[tuple[threading.Thread, threading.Event]]()

    def start(settings: Settings | None = None) -> threading.Event:
        stop = threading.Event()
        target = Daemon(settings or shop.settings(), stop).work
        thread = threading.Thread(target=target)
        thread.start()
        threads.append((thread, stop))
        return stop

    yield start
    for thread, stop in threads:
        stop.set()
        thread.join(timeout=15)
        assert not thread.is_alive()


def _runs(shop: Shop) -> list[Run]:
    with shop.catalog() as catalog:
        return catalog.runs.latest(100)[0]


def _queue(shop: Shop) -> Run:
    with shop.catalog() as catalog:
        return catalog.runs.queue(RunOptions(), "api")


def _done(shop: Shop, run: Run) -> Run | None:
    (found,) = (each for each in _runs(shop) if each.id == run.id)
    return found if found.state.finished else None


def test_queued_runs_are_worked_on_one_after_another(
    shop: Shop, working: Callable[..., threading.Event]
) -> None:
    working()
    shop.photos(2)
    first = _queue(shop)
    done = wait_for(lambda: _done(shop, first))
    assert (done.state, done.counters.new) == (RunState.SUCCEEDED, 2)
    shop.photos(3)
    second = _queue(shop)
    assert wait_for(lambda: _done(shop, second)).counters.new == 1
    shop.assert_in_step()


def test_a_queued_run_waits_while_another_ingester_works(
    shop: Shop, working: Callable[..., threading.Event]
) -> None:
    shop.photos(1)
    lock = IngestLock(shop.store)
    with lock:
        working()
        run = _queue(shop)
        time.sleep(0.8)
        assert _done(shop, run) is None
    assert wait_for(lambda: _done(shop, run)).state is RunState.SUCCEEDED


def test_a_run_whose_process_is_gone_is_closed(
    shop: Shop, working: Callable[..., threading.Event]
) -> None:
    with shop.catalog() as catalog:
        lost = catalog.runs.start(RunOptions(), "cli")
    working()
    assert wait_for(lambda: _done(shop, lost)).state is RunState.INTERRUPTED


@pytest.mark.parametrize("setting", ["schedule", "verify_schedule"])
def test_the_schedule_queues_runs_and_never_two(
    shop: Shop,
    working: Callable[..., threading.Event],
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
) -> None:
    # The shortest time a cron expression can name is a minute.
    monkeypatch.setattr(daemon, "cron_trigger", lambda _: IntervalTrigger(seconds=1))
    shop.photos(1)
    working(shop.settings(**{setting: "* * * * *"}))
    wait_for(lambda: len([run for run in _runs(shop) if run.state.finished]) >= 2)
    runs = sorted(_runs(shop), key=lambda run: run.id)
    assert {run.trigger for run in runs} == {"schedule"}
    assert {run.options.verify for run in runs} == {setting == "verify_schedule"}
    ended = [run for run in runs if run.state.finished]
    for earlier, later in itertools.pairwise(ended):
        assert (earlier.finished_at or 0) <= (later.started_at or 0)
    assert len(shop.items()) == 1


def test_a_scheduled_run_is_left_out_while_one_is_in_progress(shop: Shop) -> None:
    worker = Daemon(shop.settings(), threading.Event())
    run = _queue(shop)
    worker._queue(RunOptions())
    assert [each.id for each in _runs(shop)] == [run.id]


def test_a_scheduled_verification_waits_its_turn(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "_RETRY_S", 0.05)
    stop = threading.Event()
    worker = Daemon(shop.settings(), stop)
    run = _queue(shop)
    threads = [threading.Thread(target=worker._queue, args=(RunOptions(verify=True),))]
    threads[0].start()
    time.sleep(0.2)
    assert len(_runs(shop)) == 1
    with shop.catalog() as catalog:
        catalog.runs.request_cancel(run.id)
    wait_for(lambda: len(_runs(shop)) == 2)
    assert _runs(shop)[0].options.verify
    threads.append(threading.Thread(target=worker._queue, args=(RunOptions(verify=True),)))
    threads[1].start()
    stop.set()
    for thread in threads:
        thread.join(timeout=10)
    assert len(_runs(shop)) == 2


def test_the_daemon_tells_what_it_plans_and_takes_the_note_back(
    shop: Shop, working: Callable[..., threading.Event]
) -> None:
    stop = working(shop.settings(schedule="0 3 * * *"))

    def note() -> str:
        with shop.catalog() as catalog:
            return str(catalog.get_note(DAEMON_NOTE) or "")

    facts = json.loads(wait_for(note))
    assert facts["schedule"] == "0 3 * * *"
    assert facts["verify_schedule"] == ""
    assert 0 < facts["next_run_at"] - time.time() <= 24 * 3600 + 1
    stop.set()
    wait_for(lambda: note() == "", seconds=10)


def test_a_run_that_breaks_is_failed_and_the_daemon_lives_on(
    shop: Shop, working: Callable[..., threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: IngestRun, *__: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    with monkeypatch.context() as patched:
        patched.setattr(IngestRun, "_work", broken)
        working()
        first = _queue(shop)
        done = wait_for(lambda: _done(shop, first))
    assert (done.state, done.error_code) == (RunState.FAILED, "internal_error")
    assert "a mistake of ours" in (done.message or "")
    shop.photos(1)
    second = _queue(shop)
    assert wait_for(lambda: _done(shop, second)).state is RunState.SUCCEEDED


def test_a_store_that_fails_for_a_moment_does_not_end_the_daemon(
    shop: Shop, working: Callable[..., threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = list[int]()
    original = RunLog.claim

    def claim(self: RunLog) -> Run | None:
        if len(failures) < 2:
            failures.append(1)
            raise StoreError("database or disk is full")
        return original(self)

    monkeypatch.setattr(RunLog, "claim", claim)
    working()
    shop.photos(1)
    run = _queue(shop)
    assert wait_for(lambda: _done(shop, run)).state is RunState.SUCCEEDED
