"""Takes requests in: their size, their pace, a place for the work, and the time for the answer."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers

from service.guard.refusals import refuse
from service.names import IMAGES_PREFIX, shown
from service.problems import problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from core.settings import Settings
    from service.guard.admission import Admission, Queue

log = logging.getLogger(__name__)

_FORM_BYTES: Final = 65_536  # what a multipart form may add to the file in it
_SLOWEST_BYTES_PER_S: Final = 50_000
_EVENTS: Final = "/events"
_WAITED_FOR: Final = ("/api/v1/preprocess",)  # answers when a run has ended, however long it takes

QUEUED: Final = frozenset(
    (
        "/api/v1/find-similar",
        "/api/v1/find-similar/batch",
        "/api/v1/search",
        "/api/v1/embeddings",
        "/api/v1/describe",
        "/similarity",
        "/compute",
        "/remote-picture",
        "/preview",
    )
)
"""Routes that decode a picture or run the model."""


@dataclass(frozen=True)
class BodyCap:
    """The largest body of a route's requests."""

    max_bytes: int
    setting: str  # what an operator changes to allow more


def body_caps(settings: Settings) -> dict[str, BodyCap]:
    """The largest body by path; "" stands for every other path."""
    several = BodyCap(settings.max_batch_bytes, "LOOKALIKE_MAX_BATCH_MB")
    return {
        "": _upload_cap(settings, files=1),
        "/api/v1/find-similar/batch": several,
        "/api/v1/embeddings": several,
        "/api/v1/search": several,
        "/similarity": BodyCap(settings.max_pairs_body_bytes, "LOOKALIKE_MAX_PAIRS_BODY_MB"),
        "/compute": _upload_cap(settings, files=2),
    }


def _upload_cap(settings: Settings, files: int) -> BodyCap:
    return BodyCap(files * settings.max_upload_bytes + _FORM_BYTES, "LOOKALIKE_MAX_UPLOAD_MB")


@dataclass(frozen=True)
class Times:
    """How long the parts of a request may take, in seconds."""

    body_s: float  # beside what the body's own size allows
    answer_s: float  # from the whole request to the start of the answer


class Intake:
    """Refuses what is too large, too slow or too much, and answers in time or says so."""

    def __init__(
        self, app: ASGIApp, caps: Mapping[str, BodyCap], times: Times, admission: Admission
    ) -> None:
        self._app = app
        self._caps = caps
        self._times = times
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what can be taken in."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        cap = self._caps.get(scope["path"], self._caps[""])
        queue = self._queue_of(scope)
        told = Headers(scope=scope).get("content-length", "")
        if told.isdecimal() and int(told) > cap.max_bytes:
            await refuse(too_large(cap), scope, receive, send)
        elif queue is not None and queue.full:
            queue.refused += 1
            await refuse(overloaded(queue), scope, receive, send)
        else:
            visit = _Visit(cap, self._times, queue, self._admission)
            try:
                await visit.serve(self._app, scope, receive, send)
            finally:
                visit.leave()

    def _queue_of(self, scope: Scope) -> Queue | None:
        path = scope["path"]
        if path in QUEUED and scope["method"] != "OPTIONS":
            return self._admission.uploads
        if path.endswith(_EVENTS):
            return self._admission.streams
        return self._admission.pictures if path.startswith(IMAGES_PREFIX) else None


class _RefusedError(Exception):
    """The rest of the body is not wanted."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer


class _Visit:
    """One request on its way through."""

    def __init__(
        self, cap: BodyCap, times: Times, queue: Queue | None, admission: Admission
    ) -> None:
        self._cap = cap
        self._times = times
        self._queue = queue
        self._bodies = admission.bodies
        self._got = 0  # bytes of the body
        self._whole = False
        self._place: int | None = None
        self._started = False
        self._refusal: Response | None = None
        self._limit: asyncio.Timeout | None = None

    async def serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application; what it makes of a body broken off is not what is answered."""
        self._began = asyncio.get_running_loop().time()

        async def watched() -> Message:
            try:
                return await self._receive(receive)
            except _RefusedError as error:
                self._refusal = error.answer
                raise

        async def unless_refused(message: Message) -> None:
            if self._refusal is None or self._started:
                self._started = True
                if self._limit is not None:
                    self._limit.reschedule(None)
                await send(message)

        try:
            async with self._timed(scope):
                if not _has_body(scope):
                    self._came_whole()
                await app(scope, watched, unless_refused)
        except _RefusedError as error:
            self._refusal = error.answer
            if self._started:
                raise
        if self._refusal is not None and not self._started:
            await self._refuse(self._refusal, scope, receive, send)

    async def _refuse(self, answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
        if self._whole or answer.status_code == HTTPStatus.REQUEST_TIMEOUT:
            # There is nothing to drain, or nobody who sends it.
            if not self._whole:
                answer.headers["Connection"] = "close"
            await answer(scope, receive, send)
        else:
            await refuse(answer, scope, receive, send)

    def leave(self) -> None:
        """Give back what the request held."""
        self._bodies.give_back(self._got)
        if self._queue is not None and self._place is not None:
            self._queue.leave(self._place)

    @asynccontextmanager
    async def _timed(self, scope: Scope) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(None) as limit:
                if scope["path"] not in _WAITED_FOR:
                    self._limit = limit
                yield
        except TimeoutError:
            if not limit.expired() or self._started:
                raise
            log.warning("A request took too long.", extra={"path": shown(scope["path"])})
            raise _RefusedError(timed_out(self._times)) from None

    async def _receive(self, receive: Receive) -> Message:
        if self._whole:
            return await receive()
        allowed_s = self._times.body_s + self._got / _SLOWEST_BYTES_PER_S
        try:
            async with asyncio.timeout_at(self._began + allowed_s):
                message = await receive()
        except TimeoutError:
            raise _RefusedError(too_slow()) from None
        self._whole = message["type"] == "http.request" and not message.get("more_body")
        self._count(len(message.get("body", b"")))
        if self._whole:
            self._came_whole()
        return message

    def _count(self, size: int) -> None:
        if self._got + size > self._cap.max_bytes:
            raise _RefusedError(too_large(self._cap))
        if not self._bodies.take(size, self._got):
            raise _RefusedError(overloaded(self._queue))
        self._got += size

    def _came_whole(self) -> None:
        self._whole = True
        if self._limit is not None and not self._started:
            now = asyncio.get_running_loop().time()
            self._limit.reschedule(now + self._times.answer_s)
        if self._queue is not None:
            self._place = self._queue.enter()
            if self._place is None:
                raise _RefusedError(overloaded(self._queue))


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def too_large(cap: BodyCap) -> Response:
    """The body is over its limit."""
    detail = f"A request may hold {cap.max_bytes:,} bytes ({cap.setting})."
    return problem(413, "upload_too_large", "The request's body is too large", detail)


def too_slow() -> Response:
    """The body takes too long to come."""
    detail = "The body did not come in time (LOOKALIKE_BODY_TIMEOUT_S)."
    return problem(408, "body_too_slow", "The request's body came too slowly", detail)


def timed_out(times: Times) -> Response:
    """The answer takes too long."""
    detail = f"There was no answer within {times.answer_s:g} s (LOOKALIKE_REQUEST_TIMEOUT_S)."
    return problem(504, "timed_out", "The answer took too long", detail)


def overloaded(queue: Queue | None) -> Response:
    """There is more to do than the service can take on."""
    wait_s = queue.retry_after_s if queue else 1
    return problem(
        503,
        "overloaded",
        "The service has as much to do as it can take on",
        f"Try again in {wait_s} s (LOOKALIKE_MAX_QUEUE, LOOKALIKE_MAX_QUEUE_MB).",
        {"Retry-After": str(wait_s)},
    )
