"""What is said of a picture."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

_EXAMPLE: dict[str, Any] = {
    "category": [{"value": "shoes", "score": 0.93, "source": "neighbours"}],
    "colours": [
        {"name": "red", "score": 0.71, "source": "pixels"},
        {"name": "white", "score": 0.18, "source": "pixels"},
    ],
    "tags": [
        {"key": "brand", "value": "Norda", "score": 0.62, "source": "neighbours"},
        {"value": "running shoe", "score": 0.41, "source": "classifier"},
    ],
}


class TraitAnswer(BaseModel):
    """One thing said of a picture."""

    value: str
    score: float = Field(description="Share of the vote or of belief, 0 to 1.")
    source: str = Field(
        description="neighbours (voted by the nearest photos), zero-shot (compared with words) or "
        "classifier (the model's own classes)."
    )


class TagAnswer(TraitAnswer):
    """A tag; one of the neighbours' attributes has its key."""

    key: str | None = Field(None, description="The attribute; absent where the model names it.")


class ColourAnswer(BaseModel):
    """One colour of what a picture shows."""

    name: str = Field(description="Plain English.")
    score: float = Field(description="Share of the subject's pixels, 0 to 1.")
    source: str = Field(description="pixels")


class DescriptionAnswer(BaseModel):
    """What is said of a picture, best first."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    category: list[TraitAnswer] = Field(
        description="Voted by the nearest photos with a `category`; where the catalogue has none, "
        "from the model's words or classes; empty where it has neither."
    )
    colours: list[ColourAnswer]
    tags: list[TagAnswer]


class DescribeAnswer(DescriptionAnswer):
    """What is said of an upload, best first."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"success": True, **_EXAMPLE, "processing_time_ms": 21.4}}
    )

    success: bool = True
    processing_time_ms: float
