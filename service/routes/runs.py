"""The ingest runs: their history, one of them, its progress, an end to it."""

from collections.abc import AsyncIterator
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse
from sse_starlette import EventSourceResponse, ServerSentEvent

from core.records import Run, RunState
from core.reports import run_report
from service.collaborators import Parts
from service.names import shown
from service.schemas.numbers import Offset, RunId
from service.schemas.problem import problems
from service.schemas.runs import RunAnswer, RunList

router = APIRouter(prefix="/api/v1/runs", tags=["ingest"])

_KEEP_ALIVE_S = 15  # between comments that keep proxies from closing the stream


@router.get("", responses=problems())
def list_runs(
    parts: Parts,
    state: RunState | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Offset = 0,
) -> RunList:
    """The runs, newest first."""
    runs, total = parts.catalog.runs.latest(limit, offset, state)
    return RunList(runs=[run_answer(run) for run in runs], total=total)


@router.get("/{run_id}", responses=problems(unknown_run=404))
def show_run(parts: Parts, run_id: RunId) -> RunAnswer:
    """One run, with its counters as they are."""
    return run_answer(parts.desk.get(run_id))


@router.get(
    "/{run_id}/events",
    response_class=EventSourceResponse,
    responses={
        **problems(unknown_run=404),
        200: {
            "description": "Server-sent events; each `data` line is the run as JSON.",
            "content": {"text/event-stream": {"example": 'data: {"id": 17, "state": "running"}'}},
        },
    },
)
async def follow_run(parts: Parts, run_id: RunId) -> Response:
    """Follow a run: an event whenever it changed and at least every 10 seconds, until it ends."""
    await anyio.to_thread.run_sync(parts.desk.get, run_id)
    return EventSourceResponse(_events(parts.desk.follow(run_id)), ping=_KEEP_ALIVE_S)


@router.post("/{run_id}/cancel", status_code=202, responses=problems(unknown_run=404, run_over=409))
def cancel_run(parts: Parts, run_id: RunId) -> RunAnswer:
    """Ask a run to stop at its next batch; what it has published stands."""
    return run_answer(parts.desk.cancel(run_id))


def run_answer(run: Run) -> RunAnswer:
    """A run as clients see it."""
    report = run_report(run)
    report["warnings"] = [shown(text) for text in report["warnings"]]
    report["message"] = shown(run.message) if run.message else run.message
    return RunAnswer(**report)


def accepted(run: Run) -> Response:
    """Say that a run is queued, and where to follow it."""
    body = {"run_id": run.id, **run_answer(run).model_dump(mode="json")}
    return JSONResponse(body, 202, {"Location": f"/api/v1/runs/{run.id}"})


async def _events(runs: AsyncIterator[Run]) -> AsyncIterator[ServerSentEvent]:
    async for run in runs:
        yield ServerSentEvent(data=run_answer(run).model_dump_json())
