"""Vectors and predictions of pictures, and words for them."""

import time
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request

from core.errors import LookalikeError
from service.collaborators import Collaborators, Parts
from service.describer import CLASSES, Description
from service.disconnect import unless_gone
from service.embeddings import MOST_CLASSES, Embedded
from service.keeper import View
from service.names import shown
from service.questions import Crop
from service.routes.answers import description_of, milliseconds_since, share
from service.routes.asked import PICTURE_PROBLEMS, URL_PROBLEMS, AskedCrop, Files, Upload, Uploads
from service.schemas.describe import DescribeAnswer
from service.schemas.embeddings import EmbeddingError, EmbeddingsAnswer, PredictionAnswer
from service.schemas.problem import problems

router = APIRouter(prefix="/api/v1", tags=["pictures"])

_VECTOR_DIGITS = 8  # decimals; a float32 of this size has no more


@router.post("/embeddings", responses=problems(**PICTURE_PROBLEMS))
async def embed(
    request: Request,
    parts: Parts,
    uploads: Uploads,
    top: Annotated[
        int, Query(ge=0, le=MOST_CLASSES, description="Classes to name of each picture; 0: none.")
    ] = 5,
) -> EmbeddingsAnswer:
    """Give the vector and the likeliest classes of each upload."""
    started = time.perf_counter()
    view = parts.searcher.current_view()
    found = await unless_gone(request, parts.embeddings.embed(view, uploads.contents, top))
    failed = [one for one in found if isinstance(one, LookalikeError)]
    if len(failed) == len(found):
        raise failed[0]
    return EmbeddingsAnswer(
        message=f"Embedded {len(found) - len(failed)} of {len(found)} pictures.",
        predictions=[_predictions(one) for one in found],
        embeddings=[_vector(one) for one in found],
        errors=_errors(uploads, found),
        model=view.embedder.spec,
        dimension=view.embedder.dimension,
        processing_time_ms=milliseconds_since(started),
    )


@router.post(
    "/describe",
    response_model_exclude_none=True,
    responses=problems(**PICTURE_PROBLEMS, **URL_PROBLEMS),
)
async def describe(
    request: Request, parts: Parts, crop: AskedCrop, upload: Upload
) -> DescribeAnswer:
    """Say what an upload shows: category, colours and tags, each with a score and its source."""
    started = time.perf_counter()
    view = parts.searcher.current_view()
    found = description_of(await unless_gone(request, _describe(parts, view, upload, crop)))
    return DescribeAnswer(
        category=found.category,
        colours=found.colours,
        tags=found.tags,
        processing_time_ms=milliseconds_since(started),
    )


async def _describe(
    parts: Collaborators, view: View, upload: bytes, crop: Crop | None
) -> Description:
    look = await parts.looker.look(view.embedder, upload, crop, classes=CLASSES, keep_image=True)
    return await parts.describer.describe(view, look)


def _predictions(one: Embedded | LookalikeError) -> list[PredictionAnswer] | None:
    if isinstance(one, LookalikeError):
        return None
    return [
        PredictionAnswer(label=found.label, score=share(found.score), source=found.source)
        for found in one.predictions
    ]


def _vector(one: Embedded | LookalikeError) -> list[float] | None:
    if isinstance(one, LookalikeError):
        return None
    rounded: list[float] = np.round(one.vector.astype(np.float64), _VECTOR_DIGITS).tolist()
    return rounded


def _errors(uploads: Files, found: list[Embedded | LookalikeError]) -> list[EmbeddingError]:
    return [
        EmbeddingError(
            index=index,
            filename=None if name is None else shown(name),
            code=one.code,
            detail=shown(str(one)),
        )
        for index, (name, one) in enumerate(zip(uploads.names, found, strict=True))
        if isinstance(one, LookalikeError)
    ]
