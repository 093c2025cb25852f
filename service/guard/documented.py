"""What the guard adds to the OpenAPI document: who may ask, and how one is turned away."""

from __future__ import annotations

from typing import Any, Final

from service.guard.scopes import ADMIN, OPEN, declared, takes_store

_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "session": {"type": "apiKey", "in": "cookie", "name": "lookalike_session"},
}
_PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_RETRY: Final = {
    "Retry-After": {"description": "When to try again, in seconds.", "schema": {"type": "integer"}}
}
_ANYWHERE: Final[dict[str, tuple[str, ...]]] = {
    "403": ("host_not_allowed",),
    "429": ("rate_limited",),
    "503": ("overloaded",),
    "504": ("timed_out",),
}
_KEYED: Final[dict[str, tuple[str, ...]]] = {"401": ("unauthorized",), "403": ("forbidden",)}
_STORES: Final[dict[str, tuple[str, ...]]] = {
    "421": ("needs_coordinator",),
    "503": ("coordinator_unavailable",),
}
"""Of query nodes, for what the coordinator answers."""
_WITH_BODY: Final[dict[str, tuple[str, ...]]] = {
    "400": ("bad_request", "malformed_request"),
    "403": ("cross_site",),
    "408": ("body_too_slow",),
    "413": ("upload_too_large",),
}


def document_guard(schema: dict[str, Any]) -> None:
    """Name the scope of every operation, and the problems that the guard answers with."""
    schema.setdefault("components", {})["securitySchemes"] = _SCHEMES
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            need = declared(method.upper(), path)
            need = ADMIN if need is None else need
            _add(operation, _ANYWHERE)
            if method != "get":
                _add(operation, _WITH_BODY)
            if takes_store(path):
                _add(operation, _STORES)
            if need is OPEN:
                operation["security"] = []
                continue
            scopes = sorted(need)
            operation["security"] = [{name: scopes} for name in _SCHEMES]
            operation["x-lookalike-scopes"] = scopes
            _add(operation, _KEYED)


def _add(operation: dict[str, Any], problems: dict[str, tuple[str, ...]]) -> None:
    responses = operation.setdefault("responses", {})
    for status, codes in problems.items():
        known = responses.setdefault(status, {"description": "Problem: ", "content": _PROBLEM})
        before = known["description"]
        missing = [f"`{code}`" for code in codes if f"`{code}`" not in before]
        if missing:
            comma = ", " if before.endswith("`") else ""
            known["description"] = before + comma + ", ".join(missing)
        if status in ("429", "503"):
            known.setdefault("headers", _RETRY)
