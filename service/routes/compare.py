"""Compare two uploads, and say that the service is there."""

import base64
from typing import Annotated

from fastapi import APIRouter, File, Request, UploadFile

from service.collaborators import Parts
from service.comparer import Upload
from service.disconnect import unless_gone
from service.schemas.compare import CompareAnswer, PingAnswer
from service.schemas.problem import problems

router = APIRouter(tags=["pairs"])

_DIGITS = 8  # of the score


@router.get("/ping")
async def ping() -> PingAnswer:
    """Answer at once."""
    return PingAnswer()


@router.post(
    "/compute",
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
async def compare(
    request: Request,
    parts: Parts,
    file1: Annotated[UploadFile, File(description="A picture; the map has its size.")],
    file2: Annotated[UploadFile, File(description="A picture to compare with it.")],
) -> CompareAnswer:
    """Score how alike two pictures are, and draw where they differ."""
    uploads = Upload("file1", await file1.read()), Upload("file2", await file2.read())
    found = await unless_gone(request, parts.comparer.compare(*uploads))
    picture = base64.b64encode(found.heat_map).decode("ascii")
    return CompareAnswer(
        similarity_score=round(found.similarity, _DIGITS),
        visualization=f"data:image/png;base64,{picture}",
    )
