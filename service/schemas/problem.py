"""What an error looks like on the wire, and which errors a route may answer."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Problem(BaseModel):
    """A problem document as RFC 9457 describes it."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "example": {
                "type": "urn:lookalike:problem:not_an_image",
                "title": "The content is not a JPEG, PNG, WebP, BMP, TIFF or GIF picture",
                "status": 415,
                "detail": "The content is not a JPEG, PNG, WebP, BMP, TIFF or GIF picture.",
                "code": "not_an_image",
            }
        },
    )

    type: str
    title: str
    status: int
    detail: str
    code: str


def problems(**codes: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: each problem's code with its status."""
    by_status: dict[int, list[str]] = {}
    for code, status in {"invalid_request": 422, **codes}.items():
        by_status.setdefault(status, []).append(code)
    return {
        status: {
            "description": "Problem: " + ", ".join(f"`{code}`" for code in names),
            "content": {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            },
        }
        for status, names in by_status.items()
    }
