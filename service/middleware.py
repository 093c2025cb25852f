"""What every request passes through before it meets a route, outermost first."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from service.guard.gate import Gate
from service.guard.headers import AnswerHeaders
from service.guard.intake import Intake, Times, body_caps
from service.guard.origins import origins_pattern
from service.guard.rates import RateLimit, by_address, by_key
from service.names import shown
from service.problems import unexpected

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from core.settings import Settings
    from service.guard.guard import Guard

log = logging.getLogger(__name__)

_QUIET_PATHS: Final = ("/health", "/metrics")


def middleware_stack(settings: Settings, guard: Guard) -> list[Middleware]:
    """The layers around the routes, outermost first."""
    return [
        Middleware(RequestLog),
        Middleware(AnswerHeaders),
        Middleware(
            CORSMiddleware,
            allow_origin_regex=origins_pattern(settings.cors_origins),
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["Location", "Retry-After", "ETag"],
        ),
        Middleware(ErrorBoundary),
        Middleware(
            RateLimit,
            setting="LOOKALIKE_RATE_LIMIT_ADDRESS",
            limits=guard.address_limits,
            identify=by_address,
        ),
        Middleware(Gate, settings=settings, ring=guard.ring, sessions=guard.sessions),
        Middleware(
            RateLimit, setting="LOOKALIKE_RATE_LIMIT_KEY", limits=guard.key_limits, identify=by_key
        ),
        Middleware(
            Intake,
            caps=body_caps(settings),
            times=Times(settings.body_timeout_s, settings.request_timeout_s),
            admission=guard.admission,
        ),
    ]


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


def _log_request(scope: Scope, status: int, duration_ms: float) -> None:
    path = shown(scope["path"])
    level = logging.DEBUG if path.startswith(_QUIET_PATHS) else logging.INFO
    caller = scope.get("state", {}).get("caller")
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
            **({"key": caller.name} if caller and caller.name else {}),
        },
    )
