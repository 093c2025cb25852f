"""How the service is: for people, dashboards and probes."""

import time

import psutil
from fastapi import APIRouter

from core.reports import iso_time
from core.store.snapshot import Snapshot
from service.collaborators import Collaborators, Parts
from service.errors import NotReadyError
from service.guard.guard import Guarded
from service.schemas.health import (
    HealthAnswer,
    IndexAnswer,
    IngestAnswer,
    LiveAnswer,
    ReadyAnswer,
    SpaceAnswer,
    StatsAnswer,
)
from service.schemas.problem import problems

router = APIRouter(tags=["service"])

_MB = 1 << 20
_STORED_BYTES = 2  # of one float16


@router.get("/health")
async def health(parts: Parts) -> HealthAnswer:
    """Whether the service works, and on what."""
    view, found = parts.keeper.view, parts.keeper.problems
    scorer = parts.pair_model.embedder
    return HealthAnswer(
        status="degraded" if found else "healthy",
        model_loaded=view is not None,
        features_loaded=view is not None and len(view.snapshot.entries) > 0,
        total_products=view.snapshot.entries.item_count if view else 0,
        device=scorer.device if scorer else None,
        model_type=scorer.spec if scorer else None,
        problems=list(found),
    )


@router.get("/health/live")
async def live() -> LiveAnswer:
    """Whether the process answers at all."""
    return LiveAnswer()


@router.get("/health/ready", responses=problems(not_ready=503))
async def ready(parts: Parts, guard: Guarded) -> ReadyAnswer:
    """Whether requests may be sent here; if not, `problems` says why."""
    if guard.doors.closing:
        raise NotReadyError(("The service is about to leave.",))
    view, found = parts.keeper.view, parts.keeper.problems
    if view is None or found:
        raise NotReadyError(found)
    return ReadyAnswer(generation=view.snapshot.generation, warnings=list(view.snapshot.problems))


@router.get("/stats", responses=problems(not_ready=503))
def stats(parts: Parts) -> StatsAnswer:
    """How much there is of everything."""
    view = parts.searcher.current_view()
    snapshot = view.snapshot
    dimension, vectors = view.embedder.dimension, len(snapshot.index) if snapshot.index else 0
    space_id = snapshot.space.id if snapshot.space else None
    stored = sum(record.size for record in parts.catalog.segments(space_id))
    return StatsAnswer(
        total_products=snapshot.entries.item_count,
        feature_dimension=dimension,
        memory_usage_mb=round(vectors * dimension * _STORED_BYTES / _MB, 3),
        feature_file_size_mb=round(stored / _MB, 3),
        process_memory_mb=round(psutil.Process().memory_info().rss / _MB, 1),
        generation=snapshot.generation,
        model=view.embedder.spec,
        space=space_answer(snapshot),
        index=index_answer(snapshot),
        items={state.value: count for state, count in parts.catalog.count_items().items()},
        ingest=_ingest(parts),
    )


def space_answer(snapshot: Snapshot) -> SpaceAnswer | None:
    """The space being searched, as clients see it."""
    space = snapshot.space
    if space is None:
        return None
    return SpaceAnswer(
        fingerprint=space.fingerprint,
        spec=space.spec,
        dimension=space.dimension,
        default_threshold=space.default_threshold,
    )


def index_answer(snapshot: Snapshot) -> IndexAnswer | None:
    """The index being searched, as clients see it."""
    index = snapshot.index
    if index is None:
        return None
    return IndexAnswer(kind=index.kind, vectors=len(index), recall=index.recall)


def _ingest(parts: Collaborators) -> IngestAnswer | None:
    note = parts.desk.daemon()
    if note is None:
        return None
    return IngestAnswer(
        alive=note.alive(time.time()),
        schedule=note.schedule,
        next_run_at=iso_time(note.next_run_at),
    )
