"""Upload a photo, find what looks like it."""

import time
from typing import Annotated

from fastapi import APIRouter, File, Query, Request, UploadFile
from pydantic import BeforeValidator

from core.records import STILL, image_id
from core.store.snapshot import Found
from service.collaborators import Parts
from service.disconnect import unless_gone
from service.names import filename, image_url, shown
from service.schemas.problem import problems
from service.schemas.search import FindSimilarAnswer, Match
from service.search import SCORE_DIGITS, Answer, Question

router = APIRouter(prefix="/api/v1", tags=["search"])

EMPTY_CATALOGUE = (
    "The catalogue is empty: put photos in the image folder and run `lookalike-ingest run` or "
    "POST /api/v1/preprocess."
)

Threshold = Annotated[
    Annotated[float, Query(ge=-1, le=1, allow_inf_nan=False)] | None,
    BeforeValidator(lambda value: None if value == "" else value),
    Query(description="Least score of a match, -1 to 1; empty: the service's default."),
]
TopK = Annotated[int, Query(ge=1, le=100, description="Most matches.")]


@router.post(
    "/find-similar",
    response_model_exclude_none=True,
    responses=problems(
        empty_file=415,
        not_an_image=415,
        damaged_image=415,
        image_too_large=413,
        upload_too_large=413,
        unusable_vector=422,
        model_error=503,
        not_ready=503,
    ),
)
async def find_similar(
    request: Request,
    parts: Parts,
    file: Annotated[UploadFile, File(description="JPEG, PNG, WebP, BMP, TIFF or GIF.")],
    threshold: Threshold = None,
    top_k: TopK = 10,
) -> FindSimilarAnswer:
    """Find the photos of the catalogue that look like an uploaded one, best first."""
    started = time.perf_counter()
    question = Question(top_k, threshold)
    search = parts.searcher.find_similar(await file.read(), question)
    answer = await unless_gone(request, search)
    return _described(answer, 1000 * (time.perf_counter() - started))


def _described(answer: Answer, took_ms: float) -> FindSimilarAnswer:
    return FindSimilarAnswer(
        matches=[match_of(found) for found in answer.matches],
        total_compared=answer.compared,
        processing_time_ms=round(took_ms, 2),
        threshold_used=answer.threshold,
        message=None if answer.compared else EMPTY_CATALOGUE,
    )


def match_of(found: Found) -> Match:
    """A found photo as clients see it."""
    entry = found.entry
    return Match(
        image_id=shown(image_id(entry.path, ambiguous=entry.ambiguous)),
        image_path=shown(entry.path),
        filename=filename(entry.path),
        similarity_score=round(found.score, SCORE_DIGITS),
        image_url=image_url(entry.path),
        product_id=shown(entry.product_id),
        attributes=entry.attributes,
        at_ms=None if entry.at_ms == STILL else entry.at_ms,
        stale=True if entry.stale else None,
    )
