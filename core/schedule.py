"""Cron expressions as cron itself means them.

APScheduler counts the days of the week from Monday and wants both day fields to fit; cron counts
from Sunday, and where both are restricted either may fit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger

if TYPE_CHECKING:
    from datetime import tzinfo

    from apscheduler.triggers.base import BaseTrigger

_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: Final = ("minute", "hour", "day", "month", "day_of_week")


def cron_trigger(expression: str, timezone: tzinfo | None = None) -> BaseTrigger:
    """Make the trigger of a five-field cron expression.

    Raises:
        ValueError: it is none.
    """
    parts = expression.split()
    if len(parts) != len(_FIELDS):
        raise ValueError(f"a cron expression has {len(_FIELDS)} fields, this one {len(parts)}")
    fields = dict(zip(_FIELDS, parts, strict=True))
    fields["day_of_week"] = _day_names(fields["day_of_week"])
    if fields["day"] != "*" and fields["day_of_week"] != "*":
        return OrTrigger(
            [
                CronTrigger(**{**fields, "day_of_week": "*"}, timezone=timezone),
                CronTrigger(**{**fields, "day": "*"}, timezone=timezone),
            ]
        )
    return CronTrigger(**fields, timezone=timezone)


def _day_names(field: str) -> str:
    """The days of the week a field allows, by name; `*` for all."""
    if field == "*":
        return field
    chosen = [day for part in field.lower().split(",") for day in _days_of(part)]
    return ",".join(day for day in _DAYS if day in chosen)


def _days_of(part: str) -> list[str]:
    span, _, step = part.partition("/")
    if span == "*":
        first, last = 0, 6
    else:
        start, _, end = span.partition("-")
        first = _number(start)
        last = _number(end) if end else (6 if step else first)
    if not 0 <= first <= last <= 7 or (step and not step.isdecimal()) or step == "0":
        raise ValueError(f"{part!r} names no days of the week")
    return [_DAYS[day % 7] for day in range(first, last + 1, int(step or 1))]


def _number(day: str) -> int:
    if day in _DAYS:
        return _DAYS.index(day)
    if day.isdecimal():
        return int(day)
    raise ValueError(f"{day!r} is no day of the week")
