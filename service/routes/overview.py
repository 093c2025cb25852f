"""How everything is at a moment: what the operations page shows and follows."""

import time
from pathlib import Path
from typing import Final

import psutil

from core.records import ItemState, Run, RunState
from core.reports import iso_time
from service.alerts import Disk, Facts, alerts_of
from service.collaborators import Collaborators
from service.names import shown
from service.routes.health import index_answer, space_answer
from service.routes.runs import run_answer
from service.schedule import longest_gap_s, next_times
from service.schemas.operations import (
    DaemonAnswer,
    DiskAnswer,
    LiveRunAnswer,
    ModelAnswer,
    OperationsAnswer,
    QueriesAnswer,
    ScheduleAnswer,
    StageAnswer,
    WarningAnswer,
)

_TIMES: Final = 4  # of each schedule
_STORED_BYTES: Final = 2  # of one float16


def overview(parts: Collaborators) -> OperationsAnswer:
    """Gather the state of this moment. Reads the catalog: call it off the event loop."""
    at = time.time()
    view, note = parts.keeper.view, parts.desk.daemon()
    snapshot = view.snapshot if view else None
    facts = _facts(parts, at)
    held = parts.keeper.local  # else the vectors are in Milvus' memory
    vectors = held.index_facts.vectors if held and held.index_facts else 0
    return OperationsAnswer(
        at=iso_time(at) or "",
        warnings=[
            WarningAnswer(level=alert.level, text=shown(alert.text), link=alert.link)
            for alert in alerts_of(facts, at)
        ],
        live=_live(parts, at),
        last_run=run_answer(facts.last_run) if facts.last_run else None,
        last_success_at=iso_time(facts.last_success_at),
        daemon=DaemonAnswer(
            alive=facts.daemon_alive,
            supervised=facts.supervised,
            heard_at=iso_time(note.heartbeat_at) if note else None,
        ),
        schedules=_schedules(parts, at),
        items=facts.items,
        searchable=snapshot.item_count if snapshot else 0,
        generation=snapshot.generation if snapshot else 0,
        model=_model(parts),
        space=space_answer(snapshot) if snapshot else None,
        index=index_answer(snapshot) if snapshot else None,
        vectors_bytes=vectors * (view.embedder.dimension if view else 0) * _STORED_BYTES,
        process_bytes=psutil.Process().memory_info().rss,
        queries=_queries(parts),
        disks=[
            DiskAnswer(folder=one.folder, free_bytes=one.free_bytes, total_bytes=one.total_bytes)
            for one in facts.disks
        ],
    )


def _facts(parts: Collaborators, at: float) -> Facts:
    view, note = parts.keeper.view, parts.desk.daemon()
    snapshot = view.snapshot if view else None
    index = snapshot.index_facts if snapshot else None
    last_run, last_success_at = _last_runs(parts)
    cron = _crons(parts)["ingest"]
    counts = parts.catalog.count_items()
    return Facts(
        problems=parts.keeper.problems,
        damage=parts.keeper.warnings,
        daemon_alive=note is not None and note.alive(at),
        supervised=parts.supervisor is not None,
        items={state.value: count for state, count in counts.items()},
        failed_items=counts[ItemState.FAILED],
        last_run=last_run,
        last_success_at=last_success_at,
        interval_s=longest_gap_s(next_times(cron, at, _TIMES)) if cron else None,
        recall=index.recall if index else None,
        disks=_disks(parts),
    )


def _live(parts: Collaborators, at: float) -> LiveRunAnswer | None:
    run = parts.catalog.runs.active()
    if run is None:
        return None
    pace = parts.pace.look(run, at)
    return LiveRunAnswer(
        run=run_answer(run),
        files_per_second=pace.files_per_s,
        seconds_left=pace.seconds_left,
        stages=[
            StageAnswer(
                name=stage.name,
                seconds=stage.seconds,
                share=stage.share,
                per_second=stage.per_second,
            )
            for stage in pace.stages
        ],
    )


def _crons(parts: Collaborators) -> dict[str, str]:
    """The schedules that the daemon at work goes by; where it is silent, those set here."""
    said = parts.desk.daemon() or parts.settings
    return {"ingest": said.schedule, "verify": said.verify_schedule}


def _schedules(parts: Collaborators, at: float) -> list[ScheduleAnswer]:
    return [
        ScheduleAnswer(
            what="verify" if what == "verify" else "ingest",
            cron=cron,
            next_at=[iso_time(moment) or "" for moment in next_times(cron, at, _TIMES)],
        )
        for what, cron in _crons(parts).items()
        if cron
    ]


def _last_runs(parts: Collaborators) -> tuple[Run | None, float | None]:
    """The last run that ended, and when the last successful one did."""
    newest, _ = parts.catalog.runs.latest(5)
    ended = next((run for run in newest if run.state.finished), None)
    good, _ = parts.catalog.runs.latest(1, state=RunState.SUCCEEDED)
    return ended, good[0].finished_at if good else None


def _disks(parts: Collaborators) -> tuple[Disk, ...]:
    settings = parts.settings
    found = list[Disk]()
    if settings.store_dir.exists():
        usage = psutil.disk_usage(str(settings.store_dir))
        found.append(Disk("store", "LOOKALIKE_STORE_DIR", usage.free, usage.total))
    if isinstance(settings.image_dir, Path) and settings.image_dir.exists():
        usage = psutil.disk_usage(str(settings.image_dir))
        found.append(Disk("images", "LOOKALIKE_IMAGE_DIR", usage.free, usage.total))
    return tuple(found)


def _queries(parts: Collaborators) -> QueriesAnswer:
    pace = parts.metrics.query_pace()
    return QueriesAnswer(
        window_s=pace.window_s,
        count=pace.count,
        per_minute=round(60 * pace.count / pace.window_s, 1),
        p50_ms=None if pace.p50_s is None else round(1000 * pace.p50_s, 1),
        p95_ms=None if pace.p95_s is None else round(1000 * pace.p95_s, 1),
        waiting=parts.looker.waiting,
    )


def _model(parts: Collaborators) -> ModelAnswer | None:
    view = parts.keeper.view
    if view is None:
        return None
    embedder = view.embedder
    return ModelAnswer(
        spec=embedder.spec, device=str(embedder.device), reads_text=embedder.supports_text
    )
