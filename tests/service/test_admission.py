"""Places before the model and memory for bodies: taken, bounded, and given back."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from service.guard.admission import Admission, Budget, Queue
from service.guard.intake import BodyCap, Intake, Times

FIND = "/api/v1/find-similar"


async def drive(intake: Intake, messages: list[dict[str, Any]], path: str = FIND) -> list[Any]:
    """Run one request through; each message of the body comes at once, then nothing does."""
    sent = list[Any]()
    headers = [(b"transfer-encoding", b"chunked")] if messages else []
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop(0)
        await asyncio.sleep(30)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message.get("status"))

    await intake(scope, receive, send)
    return [status for status in sent if status]


def body(*parts: bytes) -> list[dict[str, Any]]:
    return [
        {"type": "http.request", "body": part, "more_body": n < len(parts)}
        for n, part in enumerate(parts, 1)
    ]


async def read_all(receive: Any) -> None:
    while (await receive())["more_body"]:
        pass


def test_a_place_is_taken_when_the_body_is_whole_and_given_back_in_the_end() -> None:
    queue = Queue(1)
    admission = Admission(queue, Queue(1), Queue(1), Budget(100))

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        first = await receive()
        assert queue.taken == (0 if first["more_body"] else 1)
        if first["more_body"]:
            await read_all(receive)
        assert queue.taken == 1
        await asyncio.sleep(0.1)
        await send({"type": "http.response.start", "status": 200})

    async def scenario() -> None:
        intake = Intake(app, {"": BodyCap(100, "X")}, Times(5, 5), admission)
        assert await drive(intake, body(b"a", b"b")) == [200]
        both = asyncio.gather(drive(intake, body(b"a")), drive(intake, body(b"a", b"b")))
        assert sorted(await both) == [[200], [503]]

    asyncio.run(scenario())
    assert (queue.taken, queue.refused, admission.bodies.held) == (0, 1, 0)


def test_bodies_take_a_bounded_memory_together_but_a_lone_one_is_always_taken() -> None:
    admission = Admission(Queue(9), Queue(9), Queue(9), Budget(100))

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await read_all(receive)
        await asyncio.sleep(0.1)
        await send({"type": "http.response.start", "status": 200})

    async def scenario() -> None:
        intake = Intake(app, {"": BodyCap(1000, "X")}, Times(5, 5), admission)
        assert await drive(intake, body(b"x" * 150, b"x" * 150)) == [200]
        both = [drive(intake, body(b"x" * 60)) for _ in range(2)]
        assert sorted(await asyncio.gather(*both)) == [[200], [503]]

    asyncio.run(scenario())
    assert admission.bodies.held == 0


def test_an_answer_that_takes_too_long_is_given_up_and_its_place_freed() -> None:
    admission = Admission(Queue(1), Queue(1), Queue(1), Budget(100))
    cancelled = threading.Event()

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        await read_all(receive)
        try:
            await asyncio.sleep(30)
        finally:
            cancelled.set()

    async def scenario() -> None:
        intake = Intake(app, {"": BodyCap(1000, "X")}, Times(5, 0.1), admission)
        assert await drive(intake, body(b"x")) == [504]

    asyncio.run(scenario())
    assert cancelled.is_set()
    assert admission.uploads.taken == 0


def test_an_answer_that_has_begun_and_a_run_that_is_waited_for_take_their_time() -> None:
    admission = Admission(Queue(1), Queue(1), Queue(1), Budget(100))

    async def begun(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await asyncio.sleep(0.3)

    async def waiting(_scope: Any, _receive: Any, send: Any) -> None:
        await asyncio.sleep(0.3)
        await send({"type": "http.response.start", "status": 200})

    async def scenario() -> None:
        for app, path in ((begun, "/x"), (waiting, "/api/v1/preprocess")):
            intake = Intake(app, {"": BodyCap(1000, "X")}, Times(5, 0.1), admission)
            assert await drive(intake, [], path) == [200]

    asyncio.run(scenario())


def test_coming_back_is_suggested_after_as_long_as_requests_take() -> None:
    now = 0.0
    queue = Queue(1, clock=lambda: now)
    assert queue.retry_after_s == 1
    for _ in range(60):
        place = queue.enter()
        assert place is not None
        assert queue.enter() is None
        now += 7
        queue.leave(place)
    assert queue.retry_after_s == 7
