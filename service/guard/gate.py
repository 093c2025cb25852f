"""The gate: who asks, whether that is enough, and whether a page may ask for it at all.

It stands before the routes and decides from method, path and headers alone, so a stranger learns
neither whether a thing exists nor what is wrong with a request.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse

from service.guard.keys import Scope
from service.guard.origins import (
    SAFE_METHODS,
    HostCheck,
    from_a_strangers_page,
    from_own_page,
    origins_pattern,
)
from service.guard.refusals import refuse
from service.guard.scopes import OPEN, PAGES, allows, declared, need_of
from service.guard.sessions import session_cookie
from service.problems import problem

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Send
    from starlette.types import Scope as AsgiScope

    from core.settings import Settings
    from service.guard.key_ring import KeyRing
    from service.guard.keys import Key
    from service.guard.scopes import Need
    from service.guard.sessions import Sessions

_PROBES: Final = ("/health/live", "/health/ready")
_BEARER: Final = "bearer "


@dataclass(frozen=True)
class Caller:
    """Who sends a request."""

    name: str | None  # of the key; None: nobody in particular
    scopes: frozenset[Scope]
    by_session: bool = False  # a browser's cookie, which it sends for any page
    key_id: str | None = None


NOBODY: Final = Caller(None, frozenset())
ANYBODY: Final = Caller(None, frozenset({Scope.ADMIN}))
"""The caller where no key is asked for."""


class Gate:
    """Lets a request in, or turns it away; `scope["state"]["caller"]` says who was let in."""

    def __init__(self, app: ASGIApp, settings: Settings, ring: KeyRing, sessions: Sessions) -> None:
        self._app = app
        self._ring = ring
        self._sessions = sessions
        self._origins = re.compile(origins_pattern(settings.cors_origins))
        self._hosts = host_check(settings, ring)

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Serve whoever may ask."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        caller = self._caller(headers)
        scope.setdefault("state", {})["caller"] = caller
        need = need_of(scope, scope["app"].routes)
        answer = (
            self._wrong_host(scope, headers)
            or self._not_enough(scope, headers, caller, need)
            or self._cross_site(scope, headers, caller, need)
        )
        if answer is None:
            await self._app(scope, receive, send)
        else:
            await refuse(answer, scope, receive, send)

    def _caller(self, headers: Headers) -> Caller:
        if not self._ring.required:
            return ANYBODY
        secret = shown_key(headers)
        if secret is not None:
            return _caller_of(self._ring.find(secret))
        cookie = session_cookie(headers.get("cookie", ""))
        key_id = self._sessions.key_id(cookie) if cookie else None
        return _caller_of(self._ring.by_id(key_id), by_session=True) if key_id else NOBODY

    def _wrong_host(self, scope: AsgiScope, headers: Headers) -> Response | None:
        if self._hosts is None or scope["path"] in _PROBES:
            return None
        if self._hosts.trusts(headers.get("host", "")):
            return None
        return problem(
            403,
            "host_not_allowed",
            "The service is not known by this host name",
            "LOOKALIKE_ALLOWED_HOSTS lists the host names it answers to.",
        )

    def _not_enough(
        self, scope: AsgiScope, headers: Headers, caller: Caller, need: Need
    ) -> Response | None:
        if need is OPEN:
            return None
        if not caller.scopes:
            if wants_page(scope, headers):
                return RedirectResponse(f"/login?next={quote(_target(scope))}", 303)
            return unauthorized()
        if allows(caller.scopes, need):
            return None
        wanted = " or ".join(sorted(need))
        return problem(
            403,
            "forbidden",
            "The key does not allow this",
            f"This needs a key with the scope {wanted}; the one shown has "
            f"{', '.join(sorted(caller.scopes))}.",
        )

    def _cross_site(
        self, scope: AsgiScope, headers: Headers, caller: Caller, need: Need
    ) -> Response | None:
        if scope["method"] in SAFE_METHODS:
            return None
        if caller.by_session and need is not OPEN:
            refused = not from_own_page(headers)
        elif caller.by_session or caller.name is None:
            refused = from_a_strangers_page(headers, self._origins)
        else:
            refused = False  # no page can make a browser send a key it does not have
        if not refused:
            return None
        return problem(
            403,
            "cross_site",
            "A page of another site may not do this",
            "LOOKALIKE_CORS_ORIGINS lists the origins whose pages may call the service; with a "
            "session only the service's own pages may.",
        )


def host_check(settings: Settings, ring: KeyRing) -> HostCheck | None:
    """What holds strangers' names off; None where a key does that already."""
    if settings.allowed_hosts:
        return HostCheck(settings.allowed_hosts)
    return None if ring.required else HostCheck((settings.host,))


def unauthorized() -> Response:
    """Nobody knows this caller."""
    return problem(
        401,
        "unauthorized",
        "A key is needed",
        "Send a key as `Authorization: Bearer <key>` or `X-API-Key: <key>`.",
        {"WWW-Authenticate": 'Bearer realm="lookalike"'},
    )


def shown_key(headers: Headers) -> bytes | None:
    """The key in a request's headers, byte by byte as it came."""
    authorization = headers.get("authorization", "")
    if authorization[: len(_BEARER)].lower() == _BEARER:
        return authorization[len(_BEARER) :].strip().encode("latin-1")
    shown = headers.get("x-api-key")
    return shown.strip().encode("latin-1") if shown is not None else None


def wants_page(scope: AsgiScope, headers: Headers) -> bool:
    """Whether a browser asks for a page that a person would sign in for."""
    row = declared(scope["method"], scope["path"], PAGES)
    return row is not None and "text/html" in headers.get("accept", "")


def _caller_of(key: Key | None, *, by_session: bool = False) -> Caller:
    if key is None:
        return NOBODY
    return Caller(key.name, key.scopes, by_session, key.id)


def _target(scope: AsgiScope) -> str:
    query = scope["query_string"].decode("latin-1")
    return f"{scope['path']}?{query}" if query else str(scope["path"])
