"""Upload a photo, or several, and find what looks like it."""

import asyncio
import time
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request

from core.errors import LookalikeError, ModelError
from service.collaborators import Collaborators, Parts
from service.describer import CLASSES, Description
from service.disconnect import unless_gone
from service.keeper import View
from service.names import shown
from service.questions import Crop, Question
from service.routes.answers import (
    EMPTY_CATALOGUE,
    answer_of,
    description_of,
    facets_of,
    match_of,
    milliseconds_since,
)
from service.routes.asked import (
    FILTER_PROBLEMS,
    PICTURE_PROBLEMS,
    URL_PROBLEMS,
    AskedCrop,
    AskedQuestion,
    Upload,
    Uploads,
)
from service.schemas.problem import problems
from service.schemas.search import BatchAnswer, BatchResult, FileError, FindSimilarAnswer
from service.search import Answer

router = APIRouter(prefix="/api/v1", tags=["search"])

Describe = Annotated[bool, Query(description="Also say what the picture shows.")]


@dataclass(frozen=True)
class _Asked:
    """What is done with each upload of a request."""

    view: View
    question: Question
    crop: Crop | None
    describe: bool


@router.post(
    "/find-similar",
    response_model_exclude_none=True,
    responses=problems(**PICTURE_PROBLEMS, **URL_PROBLEMS, **FILTER_PROBLEMS),
)
async def find_similar(
    request: Request,
    parts: Parts,
    question: AskedQuestion,
    crop: AskedCrop,
    upload: Upload,
    *,
    describe: Describe = False,
) -> FindSimilarAnswer:
    """Find the photos of the catalogue that look like an uploaded one, best first."""
    started = time.perf_counter()
    asked = _Asked(parts.searcher.current_view(question), question, crop, describe)
    answer, description = await unless_gone(request, _find(parts, upload, asked))
    return answer_of(answer, started, description)


@router.post(
    "/find-similar/batch",
    response_model_exclude_none=True,
    responses=problems(
        upload_too_large=413, **FILTER_PROBLEMS, not_ready=503, index_unavailable=503
    ),
)
async def find_similar_batch(
    request: Request,
    parts: Parts,
    question: AskedQuestion,
    crop: AskedCrop,
    uploads: Uploads,
    *,
    describe: Describe = False,
) -> BatchAnswer:
    """Find what looks like each of several uploads; one that cannot be used fails alone."""
    started = time.perf_counter()
    asked = _Asked(parts.searcher.current_view(question), question, crop, describe)
    found = await unless_gone(request, _find_all(parts, uploads.contents, asked))
    compared = asked.view.snapshot.item_count
    return BatchAnswer(
        results=[
            _result(index, name, outcome)
            for index, (name, outcome) in enumerate(zip(uploads.names, found, strict=True))
        ],
        total_compared=compared,
        processing_time_ms=milliseconds_since(started),
        threshold_used=parts.searcher.threshold_of(asked.view, question.threshold),
        message=None if compared else EMPTY_CATALOGUE,
    )


_Found = tuple[Answer, Description | None]


async def _find(parts: Collaborators, upload: bytes, asked: _Asked) -> _Found:
    view, crop = asked.view, asked.crop
    if not asked.describe:
        search = parts.searcher.search_of(view, asked.question)
        return await parts.looker.find(view.embedder, upload, crop, search), None
    look = await parts.looker.look(view.embedder, upload, crop, classes=CLASSES, keep_image=True)
    answer = await parts.searcher.ask(view, look.vector, asked.question)
    return answer, await parts.describer.describe(view, look)


async def _find_all(
    parts: Collaborators, uploads: list[bytes], asked: _Asked
) -> list[_Found | LookalikeError]:
    async def outcome(upload: bytes) -> _Found | LookalikeError:
        try:
            return await _find(parts, upload, asked)
        except LookalikeError as error:
            return error

    found = await asyncio.gather(*map(outcome, uploads))
    broken = [one for one in found if isinstance(one, ModelError)]
    if len(broken) == len(found):
        raise broken[0]  # no file is at fault
    return list(found)


def _result(index: int, name: str | None, outcome: _Found | LookalikeError) -> BatchResult:
    name = None if name is None else shown(name)
    if isinstance(outcome, LookalikeError):
        error = FileError(code=outcome.code, detail=shown(str(outcome)))
        return BatchResult(success=False, index=index, filename=name, error=error)
    answer, description = outcome
    return BatchResult(
        success=True,
        index=index,
        filename=name,
        matches=[match_of(found) for found in answer.matches],
        facets=facets_of(answer.facets),
        description=None if description is None else description_of(description),
    )
