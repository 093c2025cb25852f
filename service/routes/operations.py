"""How the service, its store and its runs are doing: once, or followed."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from service.collaborators import Collaborators, Parts
from service.routes.overview import overview
from service.schemas.operations import OperationsAnswer

router = APIRouter(prefix="/api/v1/operations", tags=["service"])

_BUSY_S = 0.5  # between events while a run goes on
_IDLE_S = 2.0
_KEEP_ALIVE_S = 15


@router.get("")
def show_operations(parts: Parts) -> OperationsAnswer:
    """How everything is: warnings, the run going on, schedule, index, searches, disk."""
    return overview(parts)


@router.get(
    "/events",
    response_class=EventSourceResponse,
    responses={
        200: {
            "description": "Server-sent events; each `data` line is what the route above answers.",
            "content": {"text/event-stream": {"example": 'data: {"warnings": []}'}},
        }
    },
)
async def follow_operations(parts: Parts) -> Response:
    """Follow how everything is: an event every other second, twice a second during a run."""
    return EventSourceResponse(_events(parts), ping=_KEEP_ALIVE_S)


async def _events(parts: Collaborators) -> AsyncIterator[ServerSentEvent]:
    while True:
        state = await asyncio.to_thread(overview, parts)
        yield ServerSentEvent(data=state.model_dump_json())
        await asyncio.sleep(_IDLE_S if state.live is None else _BUSY_S)
