"""What every request passes through."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests
from starlette.requests import Request

from service.disconnect import unless_gone
from service.errors import ClientGoneError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.testclient import TestClient

    from tests.service.conftest import Draw, Server, Shop

FIND = "/api/v1/find-similar"
OVER = 1_200_000  # bytes; the server of these tests takes 1 MB


@pytest.mark.parametrize(
    "origin", ["http://localhost:3000", "http://localhost:8080", "http://127.0.0.1:5173"]
)
def test_pages_on_this_machine_may_call_by_default(client: TestClient, origin: str) -> None:
    preflight = client.options(
        FIND, headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
    )
    assert preflight.headers["access-control-allow-origin"] == origin
    answer = client.get("/nowhere", headers={"Origin": origin})
    assert answer.headers["access-control-allow-origin"] == origin


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://localhost.evil.example:80", "null"]
)
def test_other_pages_may_not(client: TestClient, origin: str) -> None:
    answer = client.get("/health", headers={"Origin": origin})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("setting", "origin", "allowed"),
    [
        (("*",), "https://any.example", True),
        (("https://*.shop.example",), "https://www.shop.example", True),
        (("https://*.shop.example",), "https://shop.example", False),
        (("https://*.shop.example",), "https://www.shop.example.evil.example", False),
        (("https://a.example", "https://b.example"), "https://b.example", True),
        ((), "http://localhost:3000", False),
    ],
)
def test_origins_are_a_setting_in_which_a_star_matches_anything(
    stocked: Shop, setting: tuple[str, ...], origin: str, allowed: bool
) -> None:
    with stocked.open(cors_origins=setting) as client:
        headers = client.get("/health", headers={"Origin": origin}).headers
    assert (headers.get("access-control-allow-origin") is not None) == allowed


def test_a_body_over_the_limit_is_refused_and_the_client_reads_why(server: Server) -> None:
    answer = requests.post(server.url + FIND, files={"file": b"x" * OVER}, timeout=20)
    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")
    assert "LOOKALIKE_MAX_UPLOAD_MB" in answer.json()["detail"]


def test_a_body_of_untold_length_is_refused_just_the_same(server: Server) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(OVER // 10_000):
            yield b"x" * 10_000

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = requests.post(server.url + FIND, data=chunks(), headers=headers, timeout=20)
    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")


def test_a_body_that_never_ends_is_cut_off_before_it_is_read(server: Server) -> None:
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(
            b"POST /api/v1/find-similar HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_a_file_just_under_the_limit_is_judged_by_its_content(server: Server) -> None:
    answer = requests.post(server.url + FIND, files={"file": b"x" * 1_000_000}, timeout=20)
    assert (answer.status_code, answer.json()["code"]) == (415, "not_an_image")
    answer = requests.post(server.url + FIND, files={"file": b"x" * 1_000_001}, timeout=20)
    assert (answer.status_code, answer.json()["code"]) == (413, "image_too_large")


def test_each_request_leaves_a_line_but_probes(
    client: TestClient, draw: Draw, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "service.middleware"):
        client.get("/health/live")
        client.post(FIND, files={"file": draw(1)})
    (record,) = caplog.records
    fields: dict[str, Any] = record.__dict__
    assert (fields["method"], fields["path"], fields["status"]) == ("POST", FIND, 200)
    assert fields["duration_ms"] > 0


def test_work_for_a_client_that_left_is_stopped() -> None:
    stopped = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            stopped.set()

    async def scenario() -> None:
        messages = iter(({"type": "http.request", "body": b""}, {"type": "http.disconnect"}))

        async def receive() -> dict[str, Any]:
            return next(messages)

        with pytest.raises(ClientGoneError):
            await unless_gone(Request({"type": "http"}, receive), work())
        await asyncio.sleep(0)
        assert stopped.is_set()

    asyncio.run(scenario())
