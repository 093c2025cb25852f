"""Turning a request away before a route has seen it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import Message, Receive, Scope, Send

_DRAIN_S: Final = 5.0
_DRAIN_BYTES: Final = 256_000_000


async def refuse(answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer without reading the body, in a way that its sender sees the answer."""
    headers = Headers(scope=scope)
    length = headers.get("content-length", "0")
    if length == "0" and "transfer-encoding" not in headers:
        await answer(scope, receive, send)
        return
    answer.headers["Connection"] = "close"
    await answer_then_drain(answer, scope, receive, send)


async def answer_then_drain(answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
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
