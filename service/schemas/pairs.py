"""Pairs of pictures to score, and their scores."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

_PICTURE = "base64, a data URI (data:image/png;base64,...) or an http or https URL"


class PairRequest(BaseModel):
    """Two pictures."""

    model_config = ConfigDict(strict=True)

    reference_image: str = Field(description=_PICTURE)
    generated_image: str = Field(description=_PICTURE)
    pair_id: str | None = Field(default=None, description="Given back with the score.")


class PairsRequest(BaseModel):
    """Pairs to score; how many at most is LOOKALIKE_MAX_PAIRS."""

    model_config = ConfigDict(
        strict=True,
        json_schema_extra={
            "example": {
                "pairs": [
                    {
                        "reference_image": "https://shop.example/p12.jpg",
                        "generated_image": "data:image/png;base64,iVBORw0KGgo=",
                        "pair_id": "p12",
                    }
                ]
            }
        },
    )

    pairs: list[PairRequest] = Field(min_length=1)

    @field_validator("pairs", mode="before")
    @classmethod
    def _not_too_many(cls, value: object, info: ValidationInfo) -> object:
        most = (info.context or {}).get("max_pairs")
        if most is not None and isinstance(value, list) and len(value) > most:
            raise ValueError(too_many_pairs(len(value), most))
        return value

    @classmethod
    def parse(cls, body: bytes, max_pairs: int) -> Self:
        """Read a request's body.

        Raises:
            ValidationError: it is no JSON, of another form, or holds more than `max_pairs`.
        """
        return cls.model_validate_json(body, context={"max_pairs": max_pairs})


def too_many_pairs(found: int, most: int) -> str:
    """The sentence that refuses a request of too many pairs."""
    return f"{found:,} pairs are too many; the limit is {most:,} (LOOKALIKE_MAX_PAIRS)"


class PairError(BaseModel):
    """Why a pair has no score."""

    code: str = Field(description="As in a problem document.")
    detail: str


class PairScore(BaseModel):
    """The score of one pair, or why it has none."""

    distance: float | None = Field(
        default=None,
        description="1 - cosine of the two vectors: 0 for identical pictures, at most 2.",
    )
    similarity: float | None = Field(default=None, description="1 / (1 + distance).")
    pair_id: str | None = None
    error: PairError | None = Field(default=None, description="In the place of a score.")


class PairsAnswer(BaseModel):
    """The scores, in the order of the pairs."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "scores": [
                    {"distance": 0.1234, "similarity": 0.8901, "pair_id": "p12"},
                    {
                        "pair_id": "p13",
                        "error": {
                            "code": "fetch_failed",
                            "detail": "generated_image: The URL answers with status 404.",
                        },
                    },
                ],
                "processing_time_ms": 245.67,
            }
        }
    )

    scores: list[PairScore]
    processing_time_ms: float
