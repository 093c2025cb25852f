"""The parameters that several routes share, read once for all of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, File, Form, Query, UploadFile
from fastapi.exceptions import RequestValidationError
from pydantic import BeforeValidator

from service.collaborators import Parts
from service.questions import Crop, GroupBy, Question, parse_filters

PICTURE_PROBLEMS: Mapping[str, int] = {
    "empty_file": 415,
    "not_an_image": 415,
    "damaged_image": 415,
    "image_too_large": 413,
    "upload_too_large": 413,
    "decode_timeout": 422,
    "decoder_crashed": 422,
    "unusable_vector": 422,
    "model_error": 503,
    "out_of_device_memory": 503,
    "not_ready": 503,
    "index_unavailable": 503,
}
"""What may be wrong with an upload, or with the service it came to."""

URL_PROBLEMS: Mapping[str, int] = {
    "fetch_failed": 422,
    "fetch_refused": 422,
    "fetch_too_large": 422,
}

FILTER_PROBLEMS: Mapping[str, int] = {"malformed_filter": 422, "unknown_filter_key": 422}

Threshold = Annotated[
    Annotated[float, Query(ge=-1, le=1, allow_inf_nan=False)] | None,
    BeforeValidator(lambda value: None if value == "" else value),
    Query(description="Least score of a match, -1 to 1; empty: the service's default."),
]
TopK = Annotated[int, Query(ge=1, le=100, description="Most matches.")]


def invalid(where: str, field: str, message: str) -> RequestValidationError:
    """Refuse one field of a request."""
    entry: dict[str, Any] = {"type": "value_error", "loc": (where, field), "msg": message}
    return RequestValidationError([entry])


async def question_of(
    *,
    threshold: Threshold = None,
    top_k: TopK = 10,
    filters: Annotated[
        list[str] | None,
        Query(
            alias="filter",
            description="key:value, repeatable: any of a key's values, and so for every key.",
        ),
    ] = None,
    group_by: Annotated[
        GroupBy | None, Query(description="One match for each product: its best photo.")
    ] = None,
    facets: Annotated[
        bool, Query(description="Count the attribute values of all matches, not only the best.")
    ] = False,
) -> Question:
    """What is asked beside the picture or text."""
    return Question(
        top_k, threshold, parse_filters(filters or ()), group_by is GroupBy.PRODUCT, facets
    )


async def crop_of(
    crop: Annotated[
        str | None,
        Query(description="The part that counts: x0,y0,x1,y1 as shares of width and height."),
    ] = None,
) -> Crop | None:
    """The part of an upload that counts."""
    if not crop:
        return None
    try:
        return Crop.parse(crop)
    except ValueError as error:
        raise invalid("query", "crop", str(error)) from error


async def upload_of(
    parts: Parts,
    file: Annotated[
        UploadFile | None, File(description="JPEG, PNG, WebP, BMP, TIFF or GIF.")
    ] = None,
    url: Annotated[
        str | None, Form(description="In the place of a file: the picture's http(s) address.")
    ] = None,
) -> bytes:
    """The picture that came with the request, or that it names by its address."""
    if file is not None and url:
        raise invalid("body", "url", "Send a picture as file, or its address as url, not both.")
    if file is not None:
        return await file.read()
    if not url:
        raise invalid("body", "file", "Field required: a picture as file, or its address as url.")
    return await parts.fetcher.fetch(url)


@dataclass(frozen=True)
class Files:
    """The pictures that came with a request, and what they are called."""

    contents: list[bytes]
    names: list[str | None]


async def files_of(
    parts: Parts,
    files: Annotated[
        list[UploadFile] | None,
        File(description="Pictures, the field repeated; how many is LOOKALIKE_MAX_BATCH_FILES."),
    ] = None,
) -> Files:
    """The pictures that came with the request."""
    most = parts.settings.max_batch_files
    found = files or []
    if not 1 <= len(found) <= most:
        raise invalid(
            "body",
            "files",
            f"{len(found)} files were sent; 1 to {most} are taken (LOOKALIKE_MAX_BATCH_FILES).",
        )
    return Files([await file.read() for file in found], [file.filename for file in found])


AskedQuestion = Annotated[Question, Depends(question_of)]
AskedCrop = Annotated[Crop | None, Depends(crop_of)]
Upload = Annotated[bytes, Depends(upload_of)]
Uploads = Annotated[Files, Depends(files_of)]
