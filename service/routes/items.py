"""The photos of the catalogue, and another try for those that failed."""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Response

from core.records import Item, ItemState, RunOptions
from core.reports import iso_time
from core.store.browse import ItemFilter
from service.collaborators import Collaborators, Parts
from service.names import image_url, shown
from service.questions import parse_filters
from service.routes.answers import facets_of
from service.routes.runs import accepted
from service.schemas.items import ItemAnswer, ItemList, RetryRequest
from service.schemas.numbers import Offset
from service.schemas.problem import problems
from service.schemas.runs import RunAnswer
from service.schemas.search import FacetValue
from service.search import MOST_FACET_VALUES

router = APIRouter(prefix="/api/v1/items", tags=["items"])


@router.get("", responses=problems(malformed_filter=422))
def list_items(
    parts: Parts,
    state: ItemState | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Offset = 0,
    text: Annotated[
        str, Query(max_length=200, description="In the path, the product or an attribute.")
    ] = "",
    filters: Annotated[
        list[str] | None,
        Query(
            alias="filter",
            description="key:value, repeatable: any of a key's values, and so for every key.",
        ),
    ] = None,
    *,
    facets: Annotated[
        bool, Query(description="Count the attribute values of the whole catalogue.")
    ] = False,
) -> ItemList:
    """Photos in the order of their paths, and how each stands."""
    wanted = ItemFilter(state, text.strip(), parse_filters(filters or ()))
    items, total = parts.catalog.items(wanted, limit, offset)
    return ItemList(
        items=[_described(item) for item in items],
        total=total,
        facets=_facets(parts) if facets else None,
    )


@router.post(
    "/retry",
    status_code=202,
    response_model=RunAnswer,
    responses=problems(nothing_to_retry=404, run_in_progress=409, no_ingest_daemon=503),
)
def retry_items(parts: Parts, wanted: RetryRequest | None = None) -> Response:
    """Try failed photos again, all or some, by a run that `Location` follows."""
    return accepted(parts.desk.retry(wanted.paths if wanted else None, RunOptions()))


def _facets(parts: Collaborators) -> dict[str, list[FacetValue]]:
    """How often each attribute value occurs among the searchable photos."""
    snapshot = parts.keeper.local
    if snapshot is None:
        counted = parts.catalog.count_attributes()
    else:
        _, places = np.unique(snapshot.entries.item_ids, return_index=True)
        counted = snapshot.entries.columns.facets(places)
    return facets_of({key: counts[:MOST_FACET_VALUES] for key, counts in counted.items()}) or {}


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
