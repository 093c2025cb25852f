"""What a search answers."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from service.schemas.describe import DescriptionAnswer

_EXAMPLE: dict[str, Any] = {
    "success": True,
    "matches": [
        {
            "image_id": "shoes/p12",
            "image_path": "shoes/p12.jpg",
            "filename": "p12.jpg",
            "similarity_score": 0.9234,
            "image_url": "/api/v1/images/shoes/p12.jpg",
            "product_id": "p12",
            "attributes": {"category": "shoes", "colour": "red"},
        }
    ],
    "total_compared": 3000,
    "processing_time_ms": 14.32,
    "threshold_used": 0.84,
    "facets": {"category": [{"value": "shoes", "count": 12}, {"value": "boots", "count": 3}]},
}


class Match(BaseModel):
    """One photo that looks like the upload."""

    image_id: str = Field(description="The path without its suffix, unless two photos share that.")
    image_path: str = Field(description="Path relative to the image folder.")
    filename: str
    similarity_score: float = Field(description="Cosine of the two vectors, at most 1.")
    image_url: str = Field(description="Where the photo is served.")
    product_id: str
    attributes: dict[str, str]
    at_ms: int | None = Field(None, description="The moment of a video; absent for a photo.")
    stale: bool | None = Field(
        None, description="Whether it was found by an earlier content of its file; absent if not."
    )


class FacetValue(BaseModel):
    """How many matches have a value."""

    value: str
    count: int


class FindSimilarAnswer(BaseModel):
    """The photos that look like what was asked for, best first."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    success: bool = True
    matches: list[Match]
    total_compared: int = Field(description="Searchable photos in the catalogue.")
    processing_time_ms: float
    threshold_used: float
    facets: dict[str, list[FacetValue]] | None = Field(
        None,
        description="With `facets=true`: how often each attribute value occurs among all matches "
        "at or above the threshold, not only the `top_k` best. The 100 most frequent values of "
        "each key, most frequent first.",
    )
    description: DescriptionAnswer | None = Field(None, description="With `describe=true`.")
    message: str | None = Field(None, description="Said where the catalogue is empty.")


class FileError(BaseModel):
    """Why a file could not be used."""

    code: str = Field(description="As in a problem document.")
    detail: str


class BatchResult(BaseModel):
    """What was found for one file, or why nothing was."""

    success: bool = Field(description="Whether the file could be used.")
    index: int = Field(description="Place of the file in the request, from 0.")
    filename: str | None = Field(description="Name of the file as it was sent.")
    matches: list[Match] | None = None
    facets: dict[str, list[FacetValue]] | None = None
    description: DescriptionAnswer | None = None
    error: FileError | None = Field(default=None, description="In the place of matches.")


class BatchAnswer(BaseModel):
    """The results, in the order of the files."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "success": True,
                "results": [
                    {
                        "success": True,
                        "index": 0,
                        "filename": "street.jpg",
                        "matches": _EXAMPLE["matches"],
                    },
                    {
                        "success": False,
                        "index": 1,
                        "filename": "notes.txt",
                        "error": {"code": "not_an_image", "detail": "The content is no picture."},
                    },
                ],
                "total_compared": 3000,
                "processing_time_ms": 41.7,
                "threshold_used": 0.84,
            }
        }
    )

    success: bool = Field(default=True, description="Whether the request was answered.")
    results: list[BatchResult]
    total_compared: int = Field(description="Searchable photos in the catalogue.")
    processing_time_ms: float
    threshold_used: float
    message: str | None = Field(None, description="Said where the catalogue is empty.")
