"""What an operator should know of first, as sentences, from the facts at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from core.records import RunState

if TYPE_CHECKING:
    from core.records import Run

_LEAST_RECALL: Final = 0.95
_LEAST_FREE_SHARE: Final = 0.05
_LEAST_FREE_BYTES: Final = 500_000_000
_ENOUGH_FREE_BYTES: Final = 10_000_000_000
_MISSED_RUNS: Final = 2.0  # a catalogue is stale when so many scheduled runs brought nothing
_GB: Final = 1e9


@dataclass(frozen=True)
class Alert:
    """One sentence for the operator."""

    level: Literal["bad", "warn"]
    text: str
    link: str | None = None  # the page where something can be done about it


@dataclass(frozen=True)
class Disk:
    """Space where a folder lies."""

    folder: Literal["store", "images"]
    setting: str  # the variable that names the folder
    free_bytes: int
    total_bytes: int


@dataclass(frozen=True)
class Facts:
    """What alerts are derived from."""

    problems: tuple[str, ...]  # why answers may be wrong or old
    damage: tuple[str, ...]  # damage that changes no answer
    daemon_alive: bool
    supervised: bool
    items: dict[str, int]  # photos by state
    failed_items: int
    last_run: Run | None  # the last one that ended
    last_success_at: float | None  # seconds since the epoch
    interval_s: float | None  # between scheduled runs; None: none are scheduled
    recall: float | None  # None: exact
    disks: tuple[Disk, ...]


def alerts_of(facts: Facts, at: float) -> list[Alert]:
    """The alerts of a moment (seconds since the epoch), the worst first."""
    found = [
        *(Alert("bad", text) for text in facts.problems),
        *(Alert("warn", text) for text in facts.damage if text not in facts.problems),
        *_of_daemon(facts),
        *_of_runs(facts, at),
        *_of_items(facts),
        *_of_index(facts),
        *(alert for disk in facts.disks for alert in _of_disk(disk)),
    ]
    return sorted(found, key=lambda alert: alert.level != "bad")


def _of_daemon(facts: Facts) -> list[Alert]:
    if facts.daemon_alive:
        return []
    then = (
        "It is being started again."
        if facts.supervised
        else "Start one with `lookalike-ingest daemon`, or serve without --no-ingest."
    )
    return [Alert("bad", f"No ingest daemon is at work, so no run can begin. {then}")]


def _of_runs(facts: Facts, at: float) -> list[Alert]:
    found = list[Alert]()
    run = facts.last_run
    if run is not None and run.state in (RunState.FAILED, RunState.INTERRUPTED):
        level: Literal["bad", "warn"] = "bad" if run.state is RunState.FAILED else "warn"
        found.append(
            Alert(level, f"Run {run.id} {_ENDED[run.state]}: {run.message or 'no reason'}")
        )
    if run is not None:
        found += [Alert("warn", f"Run {run.id}: {text}") for text in run.warnings]
    if facts.interval_s and facts.last_success_at is not None:
        age_s = at - facts.last_success_at
        if age_s > _MISSED_RUNS * facts.interval_s:
            hours = age_s / 3600
            found.append(
                Alert("warn", f"The catalogue is stale: no run has succeeded for {hours:.1f} h.")
            )
    return found


_ENDED: Final = {RunState.FAILED: "failed", RunState.INTERRUPTED: "was interrupted"}


def _of_items(facts: Facts) -> list[Alert]:
    count = facts.failed_items
    if not count:
        return []
    photos = "1 photo" if count == 1 else f"{count:,} photos"
    return [Alert("warn", f"{photos} could not be ingested.", "/catalogue?state=failed")]


def _of_index(facts: Facts) -> list[Alert]:
    if facts.recall is None or facts.recall >= _LEAST_RECALL:
        return []
    return [
        Alert(
            "warn",
            f"The index finds {facts.recall:.1%} of the true neighbours, less than "
            f"{_LEAST_RECALL:.0%}. A larger LOOKALIKE_EXACT_INDEX_ITEMS searches exactly.",
        )
    ]


def _of_disk(disk: Disk) -> list[Alert]:
    if disk.folder != "store":
        return []  # nothing is ever written beside the photos
    wanted = min(_ENOUGH_FREE_BYTES, _LEAST_FREE_SHARE * disk.total_bytes)
    if disk.free_bytes >= max(_LEAST_FREE_BYTES, wanted):
        return []
    level: Literal["bad", "warn"] = "bad" if disk.free_bytes < _LEAST_FREE_BYTES else "warn"
    free = f"{disk.free_bytes / _GB:.1f} GB"
    return [Alert(level, f"Only {free} are free where the store lies ({disk.setting}).")]
