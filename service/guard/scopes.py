"""The one table of who may ask for what.

Each route has a row. A route without one is open to `admin` alone, and a test finds it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

from starlette.routing import Match

from service.guard.keys import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.routing import BaseRoute
    from starlette.types import Scope as AsgiScope

Need: TypeAlias = frozenset[Scope]
"""Scopes of which a key needs one; none: no key is asked for. `admin` is always enough."""

OPEN: Final[Need] = frozenset()
SEARCH: Final[Need] = frozenset({Scope.SEARCH})
INGEST: Final[Need] = frozenset({Scope.INGEST})
ADMIN: Final[Need] = frozenset({Scope.ADMIN})
ANY: Final[Need] = frozenset(Scope)

NEEDS: Final[Mapping[str, Need]] = {
    # Probes, and what is the same in every copy of this program.
    "GET /health/live": OPEN,
    "GET /health/ready": OPEN,
    "GET /openapi.json": OPEN,
    "GET /docs": OPEN,
    "GET /redoc": OPEN,
    "GET /static/{path:path}": OPEN,
    "GET /login": OPEN,
    "POST /login": OPEN,
    "POST /logout": OPEN,
    "GET /api/v1/session": OPEN,
    # Asking the catalogue.
    "POST /api/v1/find-similar": SEARCH,
    "POST /api/v1/find-similar/batch": SEARCH,
    "GET /api/v1/search": SEARCH,
    "POST /api/v1/search": SEARCH,
    "POST /api/v1/embeddings": SEARCH,
    "POST /api/v1/describe": SEARCH,
    "POST /similarity": SEARCH,
    "POST /compute": SEARCH,
    "POST /remote-picture": SEARCH,
    "POST /preview": SEARCH,
    "GET /api/v1/images/{path:path}": SEARCH,
    "GET /ping": ANY,
    "GET /health": ANY,
    "GET /stats": ANY,
    "GET /metrics": ANY,
    # Changing it, and seeing what its photos and runs look like from inside.
    "POST /api/v1/preprocess": INGEST,
    "GET /api/v1/preprocess/status": INGEST,
    "GET /api/v1/runs": INGEST,
    "GET /api/v1/runs/{run_id}": INGEST,
    "GET /api/v1/runs/{run_id}/events": INGEST,
    "POST /api/v1/runs/{run_id}/cancel": INGEST,
    "GET /api/v1/operations": INGEST,
    "GET /api/v1/operations/events": INGEST,
    "GET /operations/charts": INGEST,
    "GET /api/v1/duplicates": INGEST,
    "GET /api/v1/items": INGEST,
    "POST /api/v1/items/retry": INGEST,
}

PAGES: Final[Mapping[str, Need]] = {
    "GET /": SEARCH,
    "GET /compare": SEARCH,
    "GET /catalogue": INGEST,
    "GET /operations": INGEST,
}
"""Pages for people: who has not signed in is led to `/login`."""


STORE_ROUTES: Final = (
    "/api/v1/preprocess",
    "/api/v1/runs",
    "/api/v1/items",
    "/api/v1/duplicates",
    "/api/v1/operations",
    "/operations/charts",
)
"""Routes, with all below them, that take the store; a query node has the coordinator asked."""


def takes_store(path: str) -> bool:
    """Whether a route cannot be answered without the store."""
    return any(path == route or path.startswith(f"{route}/") for route in STORE_ROUTES)


def declared(method: str, path: str, table: Mapping[str, Need] = NEEDS) -> Need | None:
    """What the table says of a request; None where it has no row."""
    method = "GET" if method == "HEAD" else method
    exact = table.get(f"{method} {path}")
    if exact is not None:
        return exact
    for pattern, need in _PATTERNS.get(method, ()) if table is NEEDS else ():
        if pattern.fullmatch(path):
            return need
    return None


def need_of(scope: AsgiScope, routes: Iterable[BaseRoute]) -> Need:
    """What a request needs, decided from its method and path alone."""
    method, path = scope["method"], scope["path"]
    need = declared(method, path)
    if need is None:
        need = declared(method, path, PAGES)
    if need is not None:
        return need
    # Any key may be told that there is nothing; what exists without a row is the admin's.
    exists = any(route.matches(scope)[0] is Match.FULL for route in routes)
    return ADMIN if exists else ANY


def allows(held: Iterable[Scope], need: Need) -> bool:
    """Whether scopes are enough."""
    held = frozenset(held)
    return not need or Scope.ADMIN in held or bool(held & need)


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"(\{[^}]*\})", template)
    return re.compile(
        "".join(
            re.escape(part)
            if not part.startswith("{")
            else ".*"
            if part.endswith(":path}")
            else "[^/]+"
            for part in parts
        ),
        re.DOTALL,
    )


_PATTERNS: Final = {
    method: tuple(
        (_pattern(path), need)
        for row, need in NEEDS.items()
        for verb, _, path in (row.partition(" "),)
        if verb == method and "{" in path
    )
    for method in ("GET", "POST")
}
