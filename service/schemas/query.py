"""A search for several things at once."""

from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from service.questions import Crop, GroupBy

MOST_TEXT_CHARACTERS = 1000
_MOST_WEIGHT = 100

SearchText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MOST_TEXT_CHARACTERS),
]
Weight = Annotated[float, Field(ge=-_MOST_WEIGHT, le=_MOST_WEIGHT, allow_inf_nan=False)]


def _crop(value: object) -> object:
    if value is None:
        return None
    if isinstance(value, str):
        return Crop.parse(value)
    if isinstance(value, list | tuple):
        if len(value) != 4 or not all(type(edge) in (int, float) for edge in value):
            raise ValueError("crop must be four numbers, x0,y0,x1,y1")
        return Crop.of(*value)
    raise ValueError("crop must be four numbers: [x0, y0, x1, y1]")


def _part(value: object) -> object:
    return {"image": value} if isinstance(value, str) else value


class QueryPart(BaseModel):
    """One thing to look for: exactly one of `image`, `path` and `text`."""

    model_config = ConfigDict(extra="forbid")

    image: str | None = Field(
        None, description="base64, a data URI (data:image/png;base64,...) or an http or https URL."
    )
    path: str | None = Field(
        None, description="`image_path` of a catalogue item: its stored vector is used."
    )
    text: SearchText | None = None
    at_ms: int | None = Field(None, ge=0, description="With `path`: the moment of a video.")
    weight: Weight = Field(1.0, description="How much it counts; negative: away from it.")
    crop: Annotated[
        Crop | None,
        BeforeValidator(_crop),
        WithJsonSchema({"type": "array", "items": {"type": "number"}}),
    ] = Field(None, description="The part of the picture that counts: [x0, y0, x1, y1], 0 to 1.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [name for name in ("image", "path", "text") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            raise ValueError(f"give one of image, path and text (found: {found})")
        if self.crop is not None and self.text is not None:
            raise ValueError("crop goes with image or path, not with text")
        return self


_Parts = list[Annotated[QueryPart, BeforeValidator(_part)]]


class SearchRequest(BaseModel):
    """What to look for: a text, pictures, or both; how many is LOOKALIKE_MAX_BATCH_FILES."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "text": "red canvas",
                "images": [
                    {"path": "shoes/p12.jpg", "weight": 1.0},
                    {"image": "https://shop.example/street.jpg", "crop": [0.1, 0.2, 0.8, 0.9]},
                ],
                "negatives": [{"text": "leather", "weight": 0.5}],
                "filter": ["category:shoes"],
                "top_k": 10,
                "exclude": True,
            }
        },
    )

    text: SearchText | None = None
    text_weight: Weight = Field(1.0, description="How much the text counts; negative: away from.")
    images: _Parts = Field(
        default_factory=list, description="What to look for; a plain string stands for `image`."
    )
    negatives: _Parts = Field(
        default_factory=list, description="What to stay away from, as if by a negative weight."
    )
    threshold: float | None = Field(
        None, ge=-1, le=1, allow_inf_nan=False, description="Least score; absent: the default."
    )
    top_k: int = Field(10, ge=1, le=100, description="Most matches.")
    filter: Annotated[
        list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)
    ] = Field(default_factory=list, description="key:value; any of a key's values, and every key.")
    group_by: GroupBy | None = Field(None, description="One match for each: its best photo.")
    facets: bool = Field(default=False, description="Count the attribute values of all matches.")
    exclude: bool = Field(
        default=False, description="Leave the items given by `path` out of the matches."
    )

    @field_validator("images", "negatives", mode="before")
    @classmethod
    def _not_too_many(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401
        most = (info.context or {}).get("max_parts")
        if most is not None and isinstance(value, list) and len(value) > most:
            raise ValueError(too_many_parts(len(value), most))
        return value

    @classmethod
    def parse(cls, body: bytes, max_parts: int) -> Self:
        """Read a request's body.

        Raises:
            ValidationError: it is no JSON, of another form, or holds more than `max_parts`.
        """
        return cls.model_validate_json(body, context={"max_parts": max_parts})


def too_many_parts(found: int, most: int) -> str:
    """The sentence that refuses a request of too many pictures."""
    return f"{found:,} are too many; the limit is {most:,} (LOOKALIKE_MAX_BATCH_FILES)"
