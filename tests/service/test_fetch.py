"""A stranger's URL reaches public addresses only; a sentinel on loopback counts its visitors."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from service.addresses import is_public
from service.errors import FetchError, FetchRefusedError, FetchTooLargeError
from service.fetch import Fetcher, FetchLimits, resolve_host

if TYPE_CHECKING:
    from collections.abc import Iterator

OPEN = FetchLimits(max_bytes=1000, timeout_s=5.0, allow_private=True, allowed_hosts=())
GUARDED = replace(OPEN, allow_private=False)


class Sentinel(BaseHTTPRequestHandler):
    """Answers by path, and counts."""

    hits = 0

    def do_GET(self) -> None:
        type(self).hits += 1
        handler = getattr(self, "answer" + self.path.split("?")[0].replace("/", "_"), None)
        if handler is None:
            self._send(404, b"")
        else:
            handler()

    def answer_picture(self) -> None:
        self._send(200, b"picture")

    def answer_large(self) -> None:
        self._send(200, b"x" * 1001)

    def answer_endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"x" * 100)
        except OSError:
            pass

    def answer_slow(self) -> None:
        time.sleep(1.5)
        self._send(200, b"late")

    def answer_zipped(self) -> None:
        self._send(200, gzip.compress(b"x" * 100_000), {"Content-Encoding": "gzip"})

    def answer_loop(self) -> None:
        self._send(302, b"", {"Location": "/loop"})

    def answer_hop(self) -> None:
        self._send(302, b"", {"Location": "/picture"})

    def answer_tofile(self) -> None:
        self._send(302, b"", {"Location": "file:///etc/passwd"})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sentinel)
    Sentinel.hits = 0
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(url: str, limits: FetchLimits, resolve: Any = resolve_host) -> bytes:
    async def once() -> bytes:
        fetcher = Fetcher(limits, resolve)
        try:
            return await fetcher.fetch(url)
        finally:
            await fetcher.close()

    return asyncio.run(once())


def test_a_picture_is_fetched_and_a_redirect_followed(port: int) -> None:
    assert fetch(f"http://127.0.0.1:{port}/picture", OPEN) == b"picture"
    assert fetch(f"http://localhost:{port}/hop", OPEN) == b"picture"


@pytest.mark.parametrize(
    ("path", "error", "says"),
    [
        ("large", FetchTooLargeError, "LOOKALIKE_MAX_UPLOAD_MB"),
        ("endless", FetchTooLargeError, "LOOKALIKE_MAX_UPLOAD_MB"),
        ("absent", FetchError, "404"),
        ("loop", FetchError, "redirects more than 3 times"),
        ("tofile", FetchRefusedError, "scheme"),
        ("zipped", FetchError, "compresses"),
    ],
)
def test_an_answer_that_is_no_picture_is_a_typed_error(
    port: int, path: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        fetch(f"http://127.0.0.1:{port}/{path}", OPEN)


@pytest.mark.alone
def test_a_slow_server_costs_no_more_than_the_timeout(port: int) -> None:
    started = time.monotonic()
    with pytest.raises(FetchError, match="LOOKALIKE_URL_FETCH_TIMEOUT_S"):
        fetch(f"http://127.0.0.1:{port}/slow", replace(OPEN, timeout_s=0.3))
    assert time.monotonic() - started < 1.4


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "127.000.000.001",
        "0.0.0.0",  # noqa: S104
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fe80::1%25lo]",
        "[::1%25lo]",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "169.254.169.254",
        "10.0.0.1",
        "100.100.100.200",
        "224.0.0.1",
        "[ff02::1]",
        "255.255.255.255",
    ],
)
def test_no_spelling_of_a_private_address_gets_through(port: int, host: str) -> None:
    with pytest.raises(FetchError):
        fetch(f"http://{host}:{port}/picture", replace(GUARDED, timeout_s=2.0))
    assert Sentinel.hits == 0


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://127.0.0.1:70/_x",
        "ftp://127.0.0.1/x",
        "data:image/png;base64,AAAA",
        "http://user:secret@127.0.0.1/x",
        "http://public.example@127.0.0.1/x",
        "http://",
        "//127.0.0.1/x",
        "http://[::1/x",
        "http://" + "a" * 5000,
        "",
    ],
)
def test_a_url_that_is_not_plain_http_is_refused(url: str) -> None:
    with pytest.raises(FetchRefusedError):
        fetch(url, GUARDED)


def test_a_name_with_one_private_answer_among_public_ones_is_refused(port: int) -> None:
    async def mixed(_host: str, _port: int) -> list[str]:
        return ["93.184.216.34", "127.0.0.1"]

    with pytest.raises(FetchRefusedError, match="not public"):
        fetch(f"http://mixed.example:{port}/picture", GUARDED, mixed)
    assert Sentinel.hits == 0


def test_a_name_that_changes_its_answer_is_connected_to_as_it_was_checked(port: int) -> None:
    answers = iter([["127.0.0.2"], ["127.0.0.1"]])

    async def rebinding(_host: str, _port: int) -> list[str]:
        return next(answers)

    # Nothing listens on the address that was checked; a second look-up would find the sentinel.
    with pytest.raises(FetchError):
        fetch(f"http://rebinding.example:{port}/picture", OPEN, rebinding)
    assert Sentinel.hits == 0
    assert next(answers) == ["127.0.0.1"]


def test_proxy_variables_are_ignored(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")

    async def nowhere(_host: str, _port: int) -> list[str]:
        return ["127.0.0.2"]

    with pytest.raises(FetchError):
        fetch("http://shop.example/picture", OPEN, nowhere)
    assert Sentinel.hits == 0


def test_only_hosts_on_the_list_are_asked_where_there_is_one(port: int) -> None:
    listed = replace(OPEN, allowed_hosts=("127.0.0.1", "*.shop.example"))
    assert fetch(f"http://127.0.0.1:{port}/picture", listed) == b"picture"
    with pytest.raises(FetchRefusedError, match="LOOKALIKE_URL_ALLOWED_HOSTS"):
        fetch(f"http://localhost:{port}/picture", listed)


def test_public_addresses_are_told_from_all_others() -> None:
    for public in ("93.184.216.34", "1.1.1.1", "2606:4700:4700::1111"):
        assert is_public(ipaddress.ip_address(public)), public
    for private in ("64:ff9b::7f00:1", "2002:7f00:1::", "::127.0.0.1", "ff0e::1", "192.0.2.1"):
        assert not is_public(ipaddress.ip_address(private)), private
