"""How everything is: warnings, pace, schedule, and following them."""

from __future__ import annotations

import dataclasses
import json
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING

import requests

from core.records import Run, RunCounters, RunOptions, RunState
from core.store.catalog import Catalog
from service.alerts import Disk, Facts, alerts_of
from service.pace import PaceMeter
from service.schedule import longest_gap_s, next_times

if TYPE_CHECKING:
    from tests.service.conftest import Draw, Server, Shop

RUN = Run(
    id=7,
    state=RunState.RUNNING,
    trigger="api",
    options=RunOptions(),
    counters=RunCounters(),
    created_at=1000.0,
    started_at=1000.0,
    finished_at=None,
    cancel_requested=False,
    message=None,
    error_code=None,
    warnings=(),
    failed_items=0,
    total_items=0,
    generation=None,
)
WELL = Facts(
    problems=(),
    damage=(),
    daemon_alive=True,
    supervised=True,
    items={},
    failed_items=0,
    last_run=None,
    last_success_at=1000.0,
    interval_s=3600.0,
    recall=None,
    disks=(Disk("store", "LOOKALIKE_STORE_DIR", 50 * 10**9, 100 * 10**9),),
)


def said(**changed: object) -> list[str]:
    facts = dataclasses.replace(WELL, **changed)  # type: ignore[arg-type]
    return [alert.text for alert in alerts_of(facts, 2000.0)]


def test_nothing_is_said_while_all_is_well() -> None:
    assert said() == []


def test_each_trouble_is_a_sentence_and_the_worst_comes_first() -> None:
    assert said(failed_items=2) == ["2 photos could not be ingested."]
    assert "started again" in said(daemon_alive=False)[0]
    assert "lookalike-ingest daemon" in said(daemon_alive=False, supervised=False)[0]
    assert "stale" in said(last_success_at=2000.0 - 3 * 3600)[0]
    assert said(last_success_at=2000.0 - 3 * 3600, interval_s=None) == []
    assert "90.0%" in said(recall=0.9)[0]
    assert said(recall=0.99) == []
    assert (
        "LOOKALIKE_STORE_DIR" in said(disks=(Disk("store", "LOOKALIKE_STORE_DIR", 1, 10**12),))[0]
    )
    failed = dataclasses.replace(RUN, state=RunState.FAILED, message="The disk is full.")
    both = said(failed_items=1, last_run=failed, problems=("Segment 3 is damaged.",))
    assert both == [
        "Segment 3 is damaged.",
        "Run 7 failed: The disk is full.",
        "1 photo could not be ingested.",
    ]


def test_the_pace_of_a_run_is_that_of_the_last_seconds() -> None:
    meter = PaceMeter()

    def at(moment: float, settled: int) -> tuple[float | None, float | None]:
        counters = RunCounters(planned=1000, settled=settled)
        pace = meter.look(dataclasses.replace(RUN, counters=counters), moment)
        return pace.files_per_s, pace.seconds_left

    assert at(0, 0) == (None, None)
    assert at(0.5, 10) == (None, None)
    assert at(10, 100) == (10, 90)
    assert at(40, 100) == (0, None)
    other = dataclasses.replace(RUN, id=8)
    assert meter.look(other, 41).files_per_s is None


def test_stages_say_how_many_files_they_take() -> None:
    counters = RunCounters(scanned=500, embedded=80, stage_s={"embed": 4.0, "walk": 0.5})
    run = dataclasses.replace(RUN, state=RunState.SUCCEEDED, finished_at=1010.0, counters=counters)
    walk, embed = PaceMeter().look(run, 0).stages
    assert (walk.name, walk.per_second) == ("walk", 1000)
    assert (embed.name, embed.per_second, embed.share) == ("embed", 20, 0.4)


def test_scheduled_times_follow_one_another() -> None:
    noon = datetime(2026, 5, 4, 12, 0).astimezone().timestamp()
    times = next_times("*/15 * * * *", noon + 1, 3)
    assert times == [noon + 900, noon + 1800, noon + 2700]
    assert longest_gap_s(times) == 900
    assert longest_gap_s([noon]) is None


def test_one_answer_tells_how_everything_is(shop: Shop, draw: Draw) -> None:
    shop.put("a.jpg", draw(1))
    shop.put("torn.jpg", draw(2)[:900])
    shop.ingest()
    with (
        shop.open(schedule="*/15 * * * *") as client,
        closing(Catalog(shop.settings.store_dir)) as catalog,
    ):
        client.post("/api/v1/find-similar", files={"file": draw(1)})
        quiet = client.get("/api/v1/operations").json()
        catalog.runs.start(RunOptions(), "cli")
        busy = client.get("/api/v1/operations").json()
    assert quiet["live"] is None
    assert quiet["last_run"]["id"] == 1
    assert quiet["searchable"] == 1
    assert quiet["items"] == {"indexed": 1, "failed": 1, "missing": 0}
    assert quiet["index"]["kind"] == "exact"
    assert quiet["queries"]["count"] == 1
    assert [schedule["cron"] for schedule in quiet["schedules"]] == ["*/15 * * * *"]
    assert {disk["folder"] for disk in quiet["disks"]} == {"store", "images"}
    assert any("1 photo" in warning["text"] for warning in quiet["warnings"])
    assert busy["live"]["run"]["id"] == 2


def test_events_tell_the_same_and_go_on(server: Server) -> None:
    url = f"{server.url}/api/v1/operations/events"
    with requests.get(url, stream=True, timeout=10) as answer:
        lines = (line for line in answer.iter_lines() if line.startswith(b"data:"))
        first, second = (json.loads(next(lines).removeprefix(b"data:")) for _ in range(2))
    assert first["searchable"] == second["searchable"] == 12
    assert first["at"] < second["at"]
