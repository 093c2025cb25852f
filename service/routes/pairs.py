"""Score how far apart the pictures of pairs are."""

import time
from typing import Any

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from service.collaborators import Parts
from service.disconnect import unless_gone
from service.pairs import Pair, PairFailure
from service.schemas.pairs import PairError, PairsAnswer, PairScore, PairsRequest, too_many_pairs
from service.schemas.problem import problems

router = APIRouter(tags=["pairs"])

_MARKS_PER_PAIR = 64
"""Braces, brackets and commas in a body, for each pair allowed. Text may hold some of them."""
_MOST_ERRORS = 8


@router.post(
    "/similarity",
    response_model_exclude_none=True,
    responses=problems(upload_too_large=413, model_error=503, not_ready=503),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/PairsRequest"}}
            },
        }
    },
)
async def score_pairs(request: Request, parts: Parts) -> PairsAnswer:
    """Score pairs, in their order; a pair that cannot be scored has an error in its place."""
    started = time.perf_counter()
    wanted = _parse(await request.body(), parts.settings.max_pairs)
    pairs = [Pair(pair.reference_image, pair.generated_image) for pair in wanted.pairs]
    found = await unless_gone(request, parts.pairs.score(pairs))
    scores = [
        _described(one, asked.pair_id) for one, asked in zip(found, wanted.pairs, strict=True)
    ]
    took_ms = 1000 * (time.perf_counter() - started)
    return PairsAnswer(scores=scores, processing_time_ms=round(took_ms, 2))


def _parse(body: bytes, max_pairs: int) -> PairsRequest:
    """Read the body, without building what could not be answered anyway.

    A small body of nothing but brackets would take up a hundred times its size once parsed.
    """
    marks = sum(map(body.count, (b"{", b"[", b",")))
    if marks > _MARKS_PER_PAIR * (max_pairs + 1):
        pairs = max(body.count(b"reference_image"), body.count(b"{") - 1)
        raise _invalid(("pairs",), too_many_pairs(pairs, max_pairs))
    try:
        return PairsRequest.parse(body, max_pairs)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        raise RequestValidationError(
            [{**entry, "loc": ("body", *entry["loc"])} for entry in found[:_MOST_ERRORS]]
        ) from None


def _invalid(field: tuple[str, ...], message: str) -> RequestValidationError:
    entry: dict[str, Any] = {"type": "value_error", "loc": ("body", *field), "msg": message}
    return RequestValidationError([entry])


def _described(outcome: float | PairFailure, pair_id: str | None) -> PairScore:
    if isinstance(outcome, PairFailure):
        detail = f"{outcome.field}: {outcome.error}"
        return PairScore(pair_id=pair_id, error=PairError(code=outcome.error.code, detail=detail))
    return PairScore(distance=outcome, similarity=1.0 / (1.0 + outcome), pair_id=pair_id)
