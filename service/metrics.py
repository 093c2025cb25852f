"""What the service measures of itself while it works, in a registry of its own.

Names and labels are part of the interface: dashboards and alert rules in `deploy/` use them.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_PICTURES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_SEARCHES: Final = frozenset(
    ("/api/v1/find-similar", "/api/v1/find-similar/batch", "/api/v1/search")
)
_WINDOW_S: Final = 300.0
_MOST_REMEMBERED: Final = 20_000


@dataclass(frozen=True)
class QueryPace:
    """How searches went lately."""

    window_s: float
    count: int
    p50_s: float | None  # None: there were none
    p95_s: float | None


class Metrics:
    """The counters and histograms of one application."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._searches: deque[tuple[float, float]] = deque(maxlen=_MOST_REMEMBERED)
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "lookalike_http_requests",
            "Requests answered, by route template.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "lookalike_http_request_duration_seconds",
            "Time from a request's first byte to its answer's last.",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.in_progress = Gauge(
            "lookalike_http_requests_in_progress",
            "Requests being answered.",
            registry=self.registry,
        )
        self.stage_seconds = Histogram(
            "lookalike_stage_duration_seconds",
            "Time of one stage of a search: decode, queue, forward, search.",
            ("stage",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.batch_pictures = Histogram(
            "lookalike_batch_pictures",
            "Pictures that shared a forward pass.",
            buckets=_PICTURES,
            registry=self.registry,
        )

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure what the block does as a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.stage_seconds.labels(name).observe(time.perf_counter() - started)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        known = method if method in _METHODS else "other"
        self.requests.labels(known, route, str(status)).inc()
        self.request_seconds.labels(route).observe(seconds)
        if route in _SEARCHES and status < 400:
            self._searches.append((self._clock(), seconds))

    def query_pace(self) -> QueryPace:
        """How the searches of the last minutes went."""
        since = self._clock() - _WINDOW_S
        times = sorted(seconds for at, seconds in tuple(self._searches) if at >= since)
        return QueryPace(_WINDOW_S, len(times), _quantile(times, 0.5), _quantile(times, 0.95))


class RequestMetrics:
    """Measures each request; outermost, so that nothing of it is missed."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, then count."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        took_s: float | None = None
        status = 500

        async def note_start(message: Message) -> None:
            nonlocal status, took_s
            if message["type"] == "http.response.start":
                status = message["status"]
                if _is_stream(message):
                    took_s = time.perf_counter() - started  # the rest is the client's patience
            await send(message)

        self._metrics.in_progress.inc()
        try:
            await self._app(scope, receive, note_start)
        finally:
            self._metrics.in_progress.dec()
            took_s = time.perf_counter() - started if took_s is None else took_s
            self._metrics.answered(scope["method"], route_of(scope), status, took_s)


def route_of(scope: Scope) -> str:
    """The template of the route a request was for; never what a stranger typed."""
    route = scope.get("route")
    path = getattr(route, "path_format", None) or getattr(route, "path", None)
    if path is not None:
        return str(path)
    return "/static" if scope["path"].startswith("/static/") else "none"


def _is_stream(start: Message) -> bool:
    return any(
        key == b"content-type" and value.startswith(b"text/event-stream")
        for key, value in start["headers"]
    )


def _quantile(ordered: list[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None
