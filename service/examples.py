"""A request to try for every route of the service's own description, as a curl line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

BASE_URL: Final = "http://127.0.0.1:8000"

_PATH_VALUES: Final = {"run_id": "17", "path": "shoes/red-sneaker-1.jpg"}
_QUERY_VALUES: Final = {"text": "red canvas shoe"}
"""Of parameters that a request cannot do without."""


def add_curl_lines(document: Mapping[str, Any]) -> None:
    """Give every operation of an OpenAPI document an example of its request."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            line = curl_line(document, method, path, operation)
            operation["x-codeSamples"] = [{"lang": "Shell", "label": "curl", "source": line}]


def curl_line(
    document: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any]
) -> str:
    """A line to paste that asks one route."""
    parts = ["curl"]
    content = operation.get("requestBody", {}).get("content", {})
    if "multipart/form-data" in content:
        parts += _form_fields(document, content["multipart/form-data"]["schema"])
    elif "application/json" in content:
        schema = _resolved(document, content["application/json"]["schema"])
        body = json.dumps(schema["example"])
        parts.append(f"-H 'Content-Type: application/json' -d '{body}'")
    elif method == "post":
        parts.append("-X POST")
    parts.append(f"'{BASE_URL}{_filled(path)}{_query(operation)}'")
    return " ".join(parts)


def _form_fields(document: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    fields = _resolved(document, schema)["properties"]
    lines = list[str]()
    for name, field in fields.items():
        if name == "url":  # in the place of a file
            continue
        several = any(kind.get("type") == "array" for kind in [field, *field.get("anyOf", ())])
        photos = ("photo.jpg", "other.jpg") if several or name == "file2" else ("photo.jpg",)
        lines += [f"-F {name}=@{photo}" for photo in (photos if several else photos[-1:])]
    return lines


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema that a reference, or the first choice of several, leads to."""
    while "$ref" in schema or "anyOf" in schema:
        if "anyOf" in schema:
            schema = schema["anyOf"][0]
        else:
            name = schema["$ref"].rpartition("/")[2]
            schema = document["components"]["schemas"][name]
    return schema


def _filled(path: str) -> str:
    for name, value in _PATH_VALUES.items():
        path = path.replace("{" + name + "}", value)
    return path


def _query(operation: Mapping[str, Any]) -> str:
    needed = [
        parameter["name"]
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query" and parameter.get("required")
    ]
    pairs = [f"{name}={quote(_QUERY_VALUES[name])}" for name in needed]
    return "?" + "&".join(pairs) if pairs else ""
