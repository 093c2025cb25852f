"""Who is signed in."""

from pydantic import BaseModel, ConfigDict, Field


class SessionAnswer(BaseModel):
    """What the caller may do."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"keys_required": True, "name": "shop", "scopes": ["search"]}}
    )

    keys_required: bool = Field(description="Whether anything needs a key at all.")
    name: str | None = Field(description="Of the key; null without one.")
    scopes: list[str] = Field(description="search, ingest, admin; admin is good for everything.")
