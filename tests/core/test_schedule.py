"""Cron expressions mean what they mean to cron."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.schedule import cron_trigger

SATURDAY = datetime(2026, 11, 21, 12, tzinfo=UTC)


def next_times(expression: str, count: int) -> list[datetime]:
    trigger = cron_trigger(expression, UTC)
    times: list[datetime] = []
    now = SATURDAY
    while len(times) < count:
        found = trigger.get_next_fire_time(None, now)
        assert found is not None
        times.append(found)
        now = found + timedelta(seconds=1)
    return times


@pytest.mark.parametrize(
    ("field", "days"),
    [
        ("0", "Sun"),
        ("7", "Sun"),
        ("1", "Mon"),
        ("6", "Sat"),
        ("sun", "Sun"),
        ("MON", "Mon"),
        ("1-5", "Mon Tue Wed Thu Fri"),
        ("5-7", "Fri Sat Sun"),
        ("0,6", "Sat Sun"),
        ("*/3", "Sun Wed Sat"),
        ("mon-wed,5", "Mon Tue Wed Fri"),
        ("*", "Mon Tue Wed Thu Fri Sat Sun"),
    ],
)
def test_days_of_the_week_count_from_sunday(field: str, days: str) -> None:
    found = {time.strftime("%a") for time in next_times(f"0 3 * * {field}", 14)}
    assert found == set(days.split())


def test_where_both_day_fields_are_restricted_either_fits() -> None:
    found = [time.strftime("%a %d") for time in next_times("0 3 1 * 1", 4)]
    assert found == ["Mon 23", "Mon 30", "Tue 01", "Mon 07"]


def test_minutes_and_hours_are_as_written() -> None:
    first, second = next_times("*/15 3 * * *", 2)
    assert (first.hour, first.minute, second.minute) == (3, 0, 15)


@pytest.mark.parametrize(
    "expression", ["", "* * * *", "61 * * * *", "* * * * 8", "* * * * x", "* * * * */0", "nonsense"]
)
def test_what_is_no_cron_expression_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        cron_trigger(expression)
