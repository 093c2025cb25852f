"""What every request passes through before it meets a route, outermost first."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from service.names import shown
from service.problems import problem, unexpected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from core.settings import Settings

log = logging.getLogger(__name__)

_FORM_BYTES: Final = 65_536  # what a multipart form may add to the file in it
_DRAIN_S: Final = 5.0
_DRAIN_BYTES: Final = 256_000_000
_QUIET_PATHS: Final = ("/health", "/metrics")


def middleware_stack(settings: Settings) -> list[Middleware]:
    """The layers around the routes, outermost first."""
    return [
        Middleware(RequestLog),
        Middleware(
            CORSMiddleware,
            allow_origin_regex=origins_pattern(settings.cors_origins),
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["Location", "Retry-After", "ETag"],
        ),
        Middleware(ErrorBoundary),
        Middleware(BodyLimit, usual=_upload_cap(settings, files=1), by_path=_body_caps(settings)),
    ]


@dataclass(frozen=True)
class BodyCap:
    """The largest body of a route's requests."""

    max_bytes: int
    setting: str  # what an operator changes to allow more


def _upload_cap(settings: Settings, files: int) -> BodyCap:
    return BodyCap(files * settings.max_upload_bytes + _FORM_BYTES, "LOOKALIKE_MAX_UPLOAD_MB")


def _body_caps(settings: Settings) -> dict[str, BodyCap]:
    """The routes whose requests hold more than one picture."""
    several = BodyCap(settings.max_batch_bytes, "LOOKALIKE_MAX_BATCH_MB")
    return {
        "/api/v1/find-similar/batch": several,
        "/api/v1/embeddings": several,
        "/api/v1/search": several,
        "/similarity": BodyCap(settings.max_pairs_body_bytes, "LOOKALIKE_MAX_PAIRS_BODY_MB"),
        "/compute": _upload_cap(settings, files=2),
    }


def origins_pattern(origins: Sequence[str]) -> str:
    """A regular expression of the origins; `*` is any origin, inside one any name or port."""
    if "*" in origins:
        return r".*"
    if not origins:
        return r"(?!)"  # matches nothing
    return "|".join(re.escape(origin).replace(r"\*", r"[^/?#@]*") for origin in origins)


class RequestLog:
    """Logs a line for each request; probes only when debugging."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, then log."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note_status)
        finally:
            _log_request(scope, status, 1000 * (time.perf_counter() - started))


class ErrorBoundary:
    """Answers what no handler expected, inside the CORS layer so that browsers may read it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, or answer what went wrong."""
        started = False

        async def note_start(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, note_start)
        except Exception:
            if scope["type"] != "http" or started:
                raise
            log.exception("A request failed.", extra={"path": shown(scope["path"])})
            await unexpected()(scope, receive, send)


class BodyLimit:
    """Refuses a body over the limit while it is being read, whether its length was told or not."""

    def __init__(self, app: ASGIApp, usual: BodyCap, by_path: Mapping[str, BodyCap]) -> None:
        self._app = app
        self._usual = usual
        self._by_path = by_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what is small enough."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        cap = self._by_path.get(scope["path"], self._usual)
        told = Headers(scope=scope).get("content-length", "")
        if told.isdecimal() and int(told) > cap.max_bytes:
            await self._refuse(cap, scope, receive, send)
            return
        await self._count(cap, scope, receive, send)

    async def _count(self, cap: BodyCap, scope: Scope, receive: Receive, send: Send) -> None:
        got = 0
        over = False
        started = False

        async def counted() -> Message:
            nonlocal got, over
            message = await receive()
            got += len(message.get("body", b""))
            if got > cap.max_bytes:
                over = True
                raise _BodyTooLargeError
            return message

        async def unless_over(message: Message) -> None:
            nonlocal started
            # What the routes make of the broken-off body is not what the client should read.
            if not over or started:
                started = True
                await send(message)

        try:
            await self._app(scope, counted, unless_over)
        except _BodyTooLargeError:
            if started:
                raise
        if over and not started:
            await self._refuse(cap, scope, receive, send)

    async def _refuse(self, cap: BodyCap, scope: Scope, receive: Receive, send: Send) -> None:
        answer = problem(
            413,
            "upload_too_large",
            "The request's body is too large",
            f"A request may hold {cap.max_bytes:,} bytes ({cap.setting}).",
            {"Connection": "close"},
        )
        await _answer_then_drain(answer, scope, receive, send)


class _BodyTooLargeError(Exception):
    """The body went over the limit."""


async def _answer_then_drain(answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer at once, then throw away a bounded rest of the body.

    Closing while a client still writes resets the connection, and it would never see the answer.
    """

    async def leave_open(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "more_body": True}
        await send(message)

    await answer(scope, receive, leave_open)
    drained = 0
    try:
        async with asyncio.timeout(_DRAIN_S):
            while drained < _DRAIN_BYTES:
                message = await receive()
                drained += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body"):
                    break
    except TimeoutError:
        pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _log_request(scope: Scope, status: int, duration_ms: float) -> None:
    path = shown(scope["path"])
    level = logging.DEBUG if path.startswith(_QUIET_PATHS) else logging.INFO
    log.log(
        level,
        "%s %s: %d in %.1f ms.",
        scope["method"],
        path,
        status,
        duration_ms,
        extra={
            "method": scope["method"],
            "path": path,
            "status": status,
            "duration_ms": round(duration_ms, 1),
        },
    )
