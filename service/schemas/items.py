"""What is told of single photos."""

from pydantic import BaseModel, ConfigDict, Field

from core.records import ItemState
from service.schemas.search import FacetValue


class ItemAnswer(BaseModel):
    """One photo of the catalogue and how it stands."""

    path: str
    state: ItemState
    reason: str | None = Field(description="Why it failed.")
    reason_code: str | None
    stale: bool = Field(description="Whether it is found by an earlier content of its file.")
    product_id: str
    attributes: dict[str, str]
    size_bytes: int
    updated_at: str | None = Field(description="ISO 8601, UTC.")
    image_url: str


class ItemList(BaseModel):
    """Photos in the order of their paths."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "items": [
                    {
                        "path": "bags/b3.jpg",
                        "state": "failed",
                        "reason": "The picture is damaged or cut short.",
                        "reason_code": "damaged_image",
                        "stale": False,
                        "product_id": "b3",
                        "attributes": {},
                        "size_bytes": 18233,
                        "updated_at": "2025-10-16T14:29:59.580+00:00",
                        "image_url": "/api/v1/images/bags/b3.jpg",
                    }
                ],
                "total": 1,
            }
        }
    )

    items: list[ItemAnswer]
    total: int
    facets: dict[str, list[FacetValue]] | None = Field(
        None,
        description="With `facets=true`: how often each attribute value occurs in the whole "
        "catalogue, the 100 most frequent values of each key.",
    )


class RetryRequest(BaseModel):
    """Which failed items to try again."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"paths": ["bags/b3.jpg"]}}
    )

    paths: list[str] | None = Field(None, description="Absent: all that have failed.")
