"""How the service is: for people, dashboards and probes."""

import time

import psutil
from fastapi import APIRouter

from core.records import ItemState
from core.reports import iso_time
from core.store.snapshot import Snapshot
from core.store.view import CatalogueView
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
        features_loaded=view is not None and view.snapshot.item_count > 0,
        total_products=view.snapshot.item_count if view else 0,
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
    return ReadyAnswer(generation=view.snapshot.generation, warnings=list(parts.keeper.warnings))


@router.get("/stats", responses=problems(not_ready=503))
def stats(parts: Parts) -> StatsAnswer:
    """How much there is of everything."""
    view = parts.searcher.current_view()
    snapshot = view.snapshot
    index = snapshot.index_facts
    dimension, vectors = view.embedder.dimension, index.vectors if index else 0
    here = isinstance(snapshot, Snapshot)  # else the vectors are in Milvus' memory
    return StatsAnswer(
        total_products=snapshot.item_count,
        feature_dimension=dimension,
        memory_usage_mb=round(here * vectors * dimension * _STORED_BYTES / _MB, 3),
        feature_file_size_mb=round(_stored_bytes(parts, snapshot) / _MB, 3),
        process_memory_mb=round(psutil.Process().memory_info().rss / _MB, 1),
        generation=snapshot.generation,
        model=view.embedder.spec,
        space=space_answer(snapshot),
        index=index_answer(snapshot),
        items=_items(parts, snapshot),
        ingest=_ingest(parts),
    )


def space_answer(snapshot: CatalogueView) -> SpaceAnswer | None:
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


def index_answer(snapshot: CatalogueView) -> IndexAnswer | None:
    """The index being searched, as clients see it."""
    index = snapshot.index_facts
    if index is None:
        return None
    return IndexAnswer(kind=index.kind, vectors=index.vectors, recall=index.recall)


def _stored_bytes(parts: Collaborators, snapshot: CatalogueView) -> int:
    """The size of the segments; 0 on a query node, which has none."""
    if parts.store is None:
        return 0
    space_id = snapshot.space.id if snapshot.space else None
    return sum(record.size for record in parts.store.segments(space_id))


def _items(parts: Collaborators, snapshot: CatalogueView) -> dict[str, int]:
    """Photos by state; a query node knows of those that can be found."""
    if parts.store is None:
        return {ItemState.INDEXED.value: snapshot.item_count}
    return {state.value: count for state, count in parts.store.count_items().items()}


def _ingest(parts: Collaborators) -> IngestAnswer | None:
    note = parts.own_desk.daemon() if parts.own_desk else None
    if note is None:
        return None
    return IngestAnswer(
        alive=note.alive(time.time()),
        schedule=note.schedule,
        next_run_at=iso_time(note.next_run_at),
    )
