"""Search by text, by several pictures, or by both."""

import time
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import StringConstraints, ValidationError

from service.collaborators import Parts
from service.disconnect import unless_gone
from service.query import Part
from service.questions import GroupBy, Question, parse_filters
from service.routes.answers import answer_of
from service.routes.asked import (
    FILTER_PROBLEMS,
    PICTURE_PROBLEMS,
    URL_PROBLEMS,
    AskedQuestion,
    invalid,
)
from service.schemas.problem import problems
from service.schemas.query import (
    MOST_TEXT_CHARACTERS,
    QueryPart,
    SearchRequest,
    too_many_parts,
)
from service.schemas.search import FindSimilarAnswer

router = APIRouter(prefix="/api/v1/search", tags=["search"])

_MARKS_PER_PART = 64
"""Braces, brackets and commas in a body, for each picture allowed. Texts may hold some of them."""
_MOST_ERRORS = 8


@router.get(
    "",
    response_model_exclude_none=True,
    responses=problems(
        no_text_tower=501, model_error=503, not_ready=503, index_unavailable=503, **FILTER_PROBLEMS
    ),
)
async def search_by_text(
    request: Request,
    parts: Parts,
    text: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=MOST_TEXT_CHARACTERS),
        Query(description="What to look for, in words the model was trained with."),
    ],
    question: AskedQuestion,
) -> FindSimilarAnswer:
    """Find the photos that show what a text says, best first."""
    started = time.perf_counter()
    view = parts.searcher.current_view(question)
    query = await unless_gone(request, parts.queries.make(view, [Part("text", 1.0, text=text)]))
    return answer_of(await parts.searcher.ask(view, query.vector, question, text=True), started)


@router.post(
    "",
    response_model_exclude_none=True,
    responses=problems(
        **PICTURE_PROBLEMS,
        **URL_PROBLEMS,
        **FILTER_PROBLEMS,
        invalid_base64=422,
        unsupported_data_uri=422,
        empty_query=422,
        image_not_found=404,
        no_text_tower=501,
    ),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/SearchRequest"}}
            },
        }
    },
)
async def search_by_several(request: Request, parts: Parts) -> FindSimilarAnswer:
    """Find what looks like texts, pictures and catalogue items together, and unlike others."""
    started = time.perf_counter()
    wanted = _parse(await request.body(), parts.settings.max_batch_files)
    question = _question(wanted)
    view = parts.searcher.current_view(question)
    asked = _parts(wanted)
    query = await unless_gone(request, parts.queries.make(view, asked))
    if wanted.exclude:
        question = _question(wanted, query.items)
    text = any(part.text is not None and part.weight for part in asked)
    answer = await parts.searcher.ask(view, query.vector, question, text=text)
    return answer_of(answer, started)


def _question(wanted: SearchRequest, excluded: frozenset[int] = frozenset()) -> Question:
    return Question(
        top_k=wanted.top_k,
        threshold=wanted.threshold,
        filters=parse_filters(wanted.filter),
        by_product=wanted.group_by is GroupBy.PRODUCT,
        facets=wanted.facets,
        excluded=excluded,
    )


def _parts(wanted: SearchRequest) -> list[Part]:
    text = [] if wanted.text is None else [Part("text", wanted.text_weight, text=wanted.text)]
    images = [_part(f"images.{n}", one, one.weight) for n, one in enumerate(wanted.images)]
    negatives = [
        _part(f"negatives.{n}", one, -abs(one.weight)) for n, one in enumerate(wanted.negatives)
    ]
    return text + images + negatives


def _part(field: str, one: QueryPart, weight: float) -> Part:
    return Part(
        field, weight, text=one.text, image=one.image, path=one.path, at_ms=one.at_ms, crop=one.crop
    )


def _parse(body: bytes, max_parts: int) -> SearchRequest:
    """Read the body, without building what could not be answered anyway.

    A small body of nothing but brackets would take up a hundred times its size once parsed.
    """
    marks = sum(map(body.count, (b"{", b"[", b",")))
    if marks > _MARKS_PER_PART * (max_parts + 1):
        found = max(body.count(b"{") - 1, marks // _MARKS_PER_PART)
        raise invalid("body", "images", too_many_parts(found, max_parts))
    try:
        return SearchRequest.parse(body, max_parts)
    except ValidationError as error:
        entries = error.errors(include_url=False, include_input=False, include_context=False)
        raise RequestValidationError(
            [{**entry, "loc": ("body", *entry["loc"])} for entry in entries[:_MOST_ERRORS]]
        ) from None
