"""Photos that show the same."""

from typing import Annotated

from fastapi import APIRouter, Query

from service.collaborators import Parts
from service.duplicates import FLOOR, Group
from service.errors import NeedsLocalVectorsError
from service.names import image_url, shown
from service.schemas.duplicates import DuplicateGroup, DuplicateItem, DuplicatesAnswer
from service.schemas.numbers import Offset
from service.schemas.problem import problems
from service.search import SCORE_DIGITS

router = APIRouter(prefix="/api/v1/duplicates", tags=["items"])


@router.get("", responses=problems(not_ready=503, needs_local_vectors=501))
def list_duplicates(
    parts: Parts,
    threshold: Annotated[
        float, Query(ge=FLOOR, le=1, description="Least similarity of two linked photos.")
    ] = 0.97,
    *,
    across_products: Annotated[
        bool, Query(description="Only groups of more than one product.")
    ] = False,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Offset = 0,
) -> DuplicatesAnswer:
    """Groups of photos that look the same, the most alike first."""
    parts.searcher.current_view()
    snapshot = parts.keeper.local
    if snapshot is None:
        raise NeedsLocalVectorsError
    found = parts.duplicates.find(snapshot, threshold, across_products=across_products)
    return DuplicatesAnswer(
        groups=[_described(group) for group in found.groups[offset : offset + limit]],
        total=len(found.groups),
        compared=found.compared,
        vectors=found.vectors,
        complete=found.complete,
    )


def _described(group: Group) -> DuplicateGroup:
    return DuplicateGroup(
        kind="same_photo" if group.same_content else "near_copy",
        score=round(group.score, SCORE_DIGITS),
        size=group.size,
        products=group.products,
        items=[
            DuplicateItem(
                image_path=shown(entry.path),
                image_url=image_url(entry.path, entry.at_ms),
                product_id=shown(entry.product_id),
                attributes=entry.attributes,
            )
            for entry in group.entries
        ],
    )
