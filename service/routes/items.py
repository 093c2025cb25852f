"""The photos of the catalogue, and another try for those that failed."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from core.records import Item, ItemState, RunOptions
from core.reports import iso_time
from service.collaborators import Parts
from service.names import image_url, shown
from service.routes.runs import accepted
from service.schemas.items import ItemAnswer, ItemList, RetryRequest
from service.schemas.problem import problems
from service.schemas.runs import RunAnswer

router = APIRouter(prefix="/api/v1/items", tags=["items"])


@router.get("", responses=problems())
def list_items(
    parts: Parts,
    state: ItemState | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> ItemList:
    """Photos in the order of their paths, and how each stands."""
    items, total = parts.catalog.items(state, limit, offset)
    return ItemList(items=[_described(item) for item in items], total=total)


@router.post(
    "/retry",
    status_code=202,
    response_model=RunAnswer,
    responses=problems(nothing_to_retry=404, run_in_progress=409, no_ingest_daemon=503),
)
def retry_items(parts: Parts, wanted: RetryRequest | None = None) -> Response:
    """Try failed photos again, all or some, by a run that `Location` follows."""
    return accepted(parts.desk.retry(wanted.paths if wanted else None, RunOptions()))


def _described(item: Item) -> ItemAnswer:
    return ItemAnswer(
        path=shown(item.path),
        state=item.state,
        reason=item.reason,
        reason_code=item.reason_code,
        stale=item.stale,
        product_id=shown(item.product_id),
        attributes=item.attributes,
        size_bytes=item.size,
        updated_at=iso_time(item.updated_at),
        image_url=image_url(item.path),
    )
