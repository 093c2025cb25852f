"""Connections: how many, and how long one may keep us waiting.

uvicorn waits for ever for a request's headers and for a client that does not read.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.guard.headers import HEADERS
from service.problems import problem

if TYPE_CHECKING:
    import asyncio

    from core.settings import Settings


@dataclass(frozen=True)
class ConnectionLimits:
    """What connections may take."""

    most: int
    header_s: float  # from a connection, or the first byte of its next request, to whole headers
    write_s: float  # in which a client must read something

    @classmethod
    def from_settings(cls, settings: Settings) -> ConnectionLimits:
        """The limits an operator set."""
        return cls(settings.max_connections, settings.header_timeout_s, settings.write_timeout_s)


def protocol_of(limits: ConnectionLimits) -> type[H11Protocol]:
    """The protocol that holds connections to the limits, for uvicorn to use."""
    return type("LimitedProtocol", (_LimitedProtocol,), {"limits": limits})


class _LimitedProtocol(H11Protocol):
    """HTTP/1.1 with an end to waiting."""

    limits: ConnectionLimits

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # uvicorn's own
        super().__init__(*args, **kwargs)
        self.idle_since = time.monotonic()
        self._headers_due: asyncio.TimerHandle | None = None
        self._read_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_headers()
        if len(self.connections) > self.limits.most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unset(self._headers_due)
        self._unset(self._read_due)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            if self._headers_due is None:
                self._await_headers()
        else:
            self._unset(self._headers_due)
            self._headers_due = None

    def on_response_complete(self) -> None:
        self.idle_since = time.monotonic()
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._read_due = self.loop.call_later(self.limits.write_s, self.transport.abort)

    def resume_writing(self) -> None:
        self._unset(self._read_due)
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()  # an answer is on its way: there is no place for another
            return
        answer = problem(400, "malformed_request", "The request is not HTTP", msg)
        headers = [*answer.raw_headers, (b"connection", b"close")]
        headers += [(name.lower().encode(), value.encode()) for name, value in HEADERS]
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=bytes(answer.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        if not self.idle:
            self.cycle.disconnected = True  # what the request's handler still sends goes nowhere
            self.cycle.message_event.set()
        self.transport.close()

    def _make_room(self) -> None:
        """Close a connection at rest or, if there is none, one whose request is still coming in.

        The one that has been so for longest goes; where all are being answered, the new one does.
        """
        others = [
            other
            for other in self.connections
            if isinstance(other, _LimitedProtocol) and other is not self
        ]
        idle = [other for other in others if other.idle]
        waiting = idle or [other for other in others if other.cycle.more_body]
        min(waiting, key=lambda other: other.idle_since, default=self).transport.abort()

    @property
    def idle(self) -> bool:
        """Whether no request has come in that is not answered."""
        return self.cycle is None or self.cycle.response_complete

    def _await_headers(self) -> None:
        self._headers_due = self.loop.call_later(self.limits.header_s, self.transport.abort)

    @staticmethod
    def _unset(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()
