"""Typed clients of the service over HTTP, one that waits and one to await.

with LookalikeClient("http://127.0.0.1:8000") as shop:
    shop.find_similar("street.jpg", top_k=5, filters={"category": "shoes"}).matches

async with AsyncLookalikeClient("http://127.0.0.1:8000") as shop:
    (await shop.find_similar("street.jpg")).matches
"""

from __future__ import annotations

import json
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Generic, ParamSpec, Self, TypeVar, cast, overload

import httpx

from core.errors import LookalikeError
from service import calls
from service.schemas.runs import RunAnswer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from service.calls import Call

P = ParamSpec("P")
T = TypeVar("T")

_POLL_S: Final = 0.2
_EVENTS_TIMEOUT: Final = httpx.Timeout(30.0, read=60.0)  # events come every 15 s at least


class ServiceUnreachableError(LookalikeError):
    """No service answers at the address."""

    code = "service_unreachable"


class RefusedError(LookalikeError):
    """The service answered with a problem."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(problem.get("detail") or problem.get("title"))
        self.status = status
        self.problem_code: str = problem.get("code", "unknown")
        self.run_id: int | None = problem.get("run_id")


class _Asks(Generic[P, T]):
    """A client's method that sends the call which `build` makes of its arguments."""

    def __init__(self, build: Callable[P, Call[T]]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, client: LookalikeClient, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncLookalikeClient, owner: type) -> Callable[P, Awaitable[T]]: ...
    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    def __get__(self, client: LookalikeClient | AsyncLookalikeClient | None, owner: type) -> object:
        if client is None:
            return self

        def ask(*args: P.args, **kwargs: P.kwargs) -> object:
            return client.send(self._build(*args, **kwargs))

        ask.__doc__ = self.__doc__
        return ask


class _Routes:
    """The methods that both clients have; service/calls.py says what each does."""

    find_similar = _Asks(calls.find_similar)
    find_similar_batch = _Asks(calls.find_similar_batch)
    search_text = _Asks(calls.search_text)
    search = _Asks(calls.search)
    embeddings = _Asks(calls.embeddings)
    describe = _Asks(calls.describe)
    compare = _Asks(calls.compare)
    score_pairs = _Asks(calls.score_pairs)
    preprocess = _Asks(calls.preprocess)
    queue_run = _Asks(calls.queue_run)
    folder_status = _Asks(calls.folder_status)
    run = _Asks(calls.run)
    runs = _Asks(calls.runs)
    cancel_run = _Asks(calls.cancel_run)
    items = _Asks(calls.items)
    retry_items = _Asks(calls.retry_items)
    image = _Asks(calls.image)
    ping = _Asks(calls.ping)
    health = _Asks(calls.health)
    live = _Asks(calls.live)
    ready = _Asks(calls.ready)
    stats = _Asks(calls.stats)


class LookalikeClient(_Routes):
    """Asks one service; use it as a context manager or `close` it."""

    def __init__(self, url: str, timeout_s: float = 30.0, api_key: str | None = None) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=timeout_s, headers=_headers(api_key))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, call: Call[T]) -> T:
        """Send a call and read its answer.

        Raises:
            ServiceUnreachableError: nobody answers.
            RefusedError: the answer is a problem.
        """
        try:
            response = self._http.request(call.method, call.path, **call.options)
        except httpx.TransportError as error:
            raise _unreachable(self.url, error) from error
        return _read(call, response)

    def follow_run(self, run_id: int) -> Iterator[RunAnswer]:
        """Give a run whenever it has changed, until it ends."""
        path = _events_path(run_id)
        try:
            with self._http.stream("GET", path, timeout=_EVENTS_TIMEOUT) as response:
                if response.is_error:
                    response.read()
                    raise _refused(response)
                yield from filter(None, map(_event, response.iter_lines()))
        except httpx.TransportError as error:
            raise _unreachable(self.url, error) from error

    def wait_until_ready(self, seconds: float) -> None:
        """Wait until the service takes requests, at most so long; whether it does shows then."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                self.send(calls.ready())
            except (ServiceUnreachableError, RefusedError):
                time.sleep(min(_POLL_S, max(0.0, deadline - time.monotonic())))
            else:
                return


class AsyncLookalikeClient(_Routes):
    """Asks one service from a coroutine; use it as a context manager or `close` it."""

    def __init__(self, url: str, timeout_s: float = 30.0, api_key: str | None = None) -> None:
        self.url = url
        self._http = httpx.AsyncClient(base_url=url, timeout=timeout_s, headers=_headers(api_key))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
        """Send a call and read its answer; see `LookalikeClient.send`."""
        try:
            response = await self._http.request(call.method, call.path, **call.options)
        except httpx.TransportError as error:
            raise _unreachable(self.url, error) from error
        return _read(call, response)

    async def follow_run(self, run_id: int) -> AsyncIterator[RunAnswer]:
        """Give a run whenever it has changed, until it ends."""
        path = _events_path(run_id)
        try:
            async with self._http.stream("GET", path, timeout=_EVENTS_TIMEOUT) as response:
                if response.is_error:
                    await response.aread()
                    raise _refused(response)
                async for line in response.aiter_lines():
                    run = _event(line)
                    if run is not None:
                        yield run
        except httpx.TransportError as error:
            raise _unreachable(self.url, error) from error


def _headers(api_key: str | None) -> dict[str, str]:
    return {} if api_key is None else {"Authorization": f"Bearer {api_key}"}


def _events_path(run_id: int) -> str:
    return f"/api/v1/runs/{run_id}/events"


def _event(line: str) -> RunAnswer | None:
    """The run that a line of the event stream holds, if it holds one."""
    return RunAnswer.model_validate_json(line[5:]) if line.startswith("data:") else None


def _read(call: Call[T], response: httpx.Response) -> T:
    if response.status_code >= HTTPStatus.BAD_REQUEST:
        raise _refused(response)
    return call.read(response)


def _unreachable(url: str, error: httpx.TransportError) -> ServiceUnreachableError:
    return ServiceUnreachableError(
        f"No service answers at {url}: {error or type(error).__name__}. Start one with `lookalike "
        "serve`, or name another with --url."
    )


def _refused(response: httpx.Response) -> RefusedError:
    try:
        body = json.loads(response.content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        body = {"detail": f"{response.request.url} answered {response.status_code}."}
    return RefusedError(response.status_code, cast("dict[str, Any]", body))
