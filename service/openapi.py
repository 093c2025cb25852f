"""The service's own description: with the form of every error, and a request to try."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

from fastapi.openapi.utils import get_openapi

from service.examples import add_curl_lines
from service.guard.documented import document_guard
from service.schemas.pairs import PairsRequest
from service.schemas.problem import Problem
from service.schemas.query import SearchRequest

if TYPE_CHECKING:
    from fastapi import FastAPI

_DESCRIPTION: Final = (
    "Every error is a problem document (RFC 9457) with a stable `code`. Each route names its own; "
    "any may also answer `not_found` (404), `method_not_allowed` (405), `bad_request` (400: a "
    "form that cannot be read), `upload_too_large` (413) or `internal_error` (500)."
)
_REFERENCE: Final = "#/components/schemas/{model}"


def describe(app: FastAPI) -> None:
    """Have `/openapi.json` name the form of every error."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title, version=app.version, summary=app.summary, routes=app.routes
            )
            parts = schema.setdefault("components", {}).setdefault("schemas", {})
            for model in (Problem, PairsRequest, SearchRequest):
                described = model.model_json_schema(ref_template=_REFERENCE)
                parts.update(described.pop("$defs", {}))
                parts[model.__name__] = described
            document_guard(schema)
            schema["info"]["description"] = _DESCRIPTION
            add_curl_lines(schema)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def version() -> str:
    """The installed version; of a checkout that was never installed, none."""
    try:
        return metadata.version("lookalike")
    except metadata.PackageNotFoundError:
        return "0.0.0"
