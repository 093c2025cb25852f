"""Clocks that jump: set back, set ahead, summer time."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from core.reports import run_report
from core.schedule import cron_trigger

if TYPE_CHECKING:
    from tests.shop import Shop

BERLIN = ZoneInfo("Europe/Berlin")


def test_an_edit_dated_before_the_last_run_is_noticed(shop: Shop) -> None:
    photo = shop.photo("a.png", seed=1)
    shop.ingest()
    shop.photo("a.png", seed=2)
    os.utime(photo, (1, 1))  # written while the clock was set back
    assert shop.ingest().counters.modified == 1
    shop.assert_in_step()


def test_photos_dated_in_the_future_are_settled_like_others(shop: Shop) -> None:
    photo = shop.photo("a.png")
    ahead = time.time() + 86_400
    os.utime(photo, (ahead, ahead))
    time.sleep(0.05)
    shop.ingest()
    assert shop.ingest().counters.planned == 0


def test_a_clock_set_back_during_a_run_leaves_a_row_that_makes_sense(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.photo("a.png")
    real = time.time
    calls = iter(range(1_000_000))
    # An hour earlier with every question.
    monkeypatch.setattr("core.store.runs.time.time", lambda: real() - 3600 * next(calls))
    run = shop.ingest()
    monkeypatch.undo()
    report = run_report(run)
    assert report["processing_time"] == 0
    assert report["state"] == "succeeded"
    shop.photo("b.png")
    following = shop.ingest()
    assert following.id > run.id
    shop.assert_in_step()


@pytest.mark.parametrize(
    ("first", "cron"),
    [
        (datetime(2026, 3, 28, 12, tzinfo=BERLIN), "30 2 * * *"),  # an hour that is left out
        (datetime(2026, 10, 24, 12, tzinfo=BERLIN), "30 2 * * *"),  # an hour that comes twice
        (datetime(2026, 10, 24, 12, tzinfo=BERLIN), "0 12 * * *"),
    ],
)
def test_a_daily_schedule_goes_on_through_a_change_of_time(first: datetime, cron: str) -> None:
    trigger = cron_trigger(cron, BERLIN)
    fired: list[datetime] = []
    now, last = first, None
    while len(fired) < 4:
        last = trigger.get_next_fire_time(last, now)
        assert last is not None
        fired.append(last.astimezone(UTC))
        now = (fired[-1] + timedelta(seconds=1)).astimezone(BERLIN)
    # An hour that comes twice may fire twice; a run that finds nothing changed costs nothing.
    assert fired == sorted(set(fired))
    assert fired[-1] - fired[0] <= timedelta(days=5)
