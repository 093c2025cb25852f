"""What a search answers."""

from pydantic import BaseModel, ConfigDict, Field


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


class FindSimilarAnswer(BaseModel):
    """The photos that look like an upload, best first."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
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
            }
        }
    )

    success: bool = True
    matches: list[Match]
    total_compared: int = Field(description="Searchable photos in the catalogue.")
    processing_time_ms: float
    threshold_used: float
    message: str | None = Field(None, description="Said where the catalogue is empty.")
