"""What a query node cannot answer by itself: asked of the coordinator, or refused by its name.

Passed on are method, path and query as they came, the body as it comes, and the headers that say
what is asked and by whom. A key goes along, so the coordinator decides for itself; a session does
not, for its cookie is this service's own: in its place goes LOOKALIKE_CLIENT_KEY, once the gate
here has found the session good for what is asked. The answer comes back as it is, a stream as a
stream, with a `Location` that leads here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import StreamingResponse

from service.errors import CoordinatorGoneError, NeedsCoordinatorError
from service.guard.scopes import declared, takes_store
from service.names import IMAGES_PREFIX
from service.problems import problem_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from core.settings import Settings

# What is passed on is listed rather than what is not: headers about the connection, the host and
# the browser's session are of this hop alone.
_ASKED: Final = (
    "accept",
    "accept-encoding",
    "authorization",
    "content-length",
    "content-type",
    "if-match",
    "if-none-match",
    "last-event-id",
    "range",
    "user-agent",
    "x-api-key",
)
_ANSWERED: Final = (
    "accept-ranges",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-length",
    "content-range",
    "content-security-policy",
    "content-type",
    "etag",
    "last-modified",
    "location",
    "retry-after",
    "vary",
    "www-authenticate",
    "x-accel-buffering",
)
_CONNECT_S: Final = 5.0
_MOST_CONNECTIONS: Final = 256  # a page that follows a run holds one


class Coordinator:
    """Answers a query node's requests for what only the store knows."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._base = httpx.URL(settings.coordinator_url) if settings.coordinator_url else None
        self._key = settings.client_key.get_secret_value() if settings.client_key else None
        # A node without the photos has the coordinator show them.
        folder = settings.image_dir
        elsewhere = isinstance(folder, Path) and not folder.is_dir()
        self._pictures = self._base is not None and elsewhere
        # How long an answer takes is watched by the layers around; events go on for ever.
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(None, connect=_CONNECT_S),
            limits=httpx.Limits(max_connections=_MOST_CONNECTIONS),
            follow_redirects=False,
            trust_env=False,  # no proxy of the environment shall see the keys
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what is the coordinator's; the rest goes on to the routes here."""
        if scope["type"] != "http" or not self._is_coordinators(scope):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        if self._base is None:
            answer: Response = problem_of(NeedsCoordinatorError())
        else:
            answer = await self._ask(self._base, request)
        await answer(scope, receive, send)

    def _is_coordinators(self, scope: Scope) -> bool:
        path: str = scope["path"]
        if scope["method"] == "OPTIONS" or declared(scope["method"], path) is None:
            return False  # nothing that any of us would answer
        if self._pictures and path.startswith(IMAGES_PREFIX):
            return True
        return takes_store(path)

    async def _ask(self, base: httpx.URL, request: Request) -> Response:
        query = request.scope["query_string"]
        target = base.raw_path.rstrip(b"/") + request.scope["raw_path"]
        url = base.copy_with(raw_path=target + (b"?" + query if query else b""))
        body = request.stream() if _has_body(request) else None
        asked = self._client.build_request(
            request.method, url, headers=self._headers(request), content=body
        )
        try:
            answer = await self._client.send(asked, stream=True)
        except httpx.HTTPError as error:
            gone = CoordinatorGoneError(
                f"The coordinator at LOOKALIKE_COORDINATOR_URL={base} does not answer: "
                f"{error or type(error).__name__}."
            )
            return problem_of(gone)
        headers = {name: answer.headers[name] for name in _ANSWERED if name in answer.headers}
        if "location" in headers:
            headers["location"] = _local(headers["location"], base)
        return StreamingResponse(
            _body(answer), answer.status_code, headers, background=BackgroundTask(answer.aclose)
        )

    def _headers(self, request: Request) -> dict[str, str]:
        headers = {name: request.headers[name] for name in _ASKED if name in request.headers}
        caller = request.scope.get("state", {}).get("caller")
        if caller is not None and caller.by_session and self._key is not None:
            headers["authorization"] = f"Bearer {self._key}"
        if request.client is not None:
            headers["x-forwarded-for"] = request.client.host
        headers["x-forwarded-proto"] = request.url.scheme
        return headers


async def _body(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for part in answer.aiter_raw():
            yield part
    finally:
        await answer.aclose()


def _has_body(request: Request) -> bool:
    length = request.headers.get("content-length", "0")
    return length != "0" or "transfer-encoding" in request.headers


def _local(location: str, base: httpx.URL) -> str:
    """Where the coordinator points to, as a place of this service."""
    target = httpx.URL(base).join(location)
    if (target.scheme, target.netloc) != (base.scheme, base.netloc):
        return location
    prefix = base.path.rstrip("/")
    path = target.raw_path.decode("ascii")
    return path.removeprefix(prefix) if prefix else path
