"""How much, how fast, how often: nobody can keep the service from answering the others."""

from __future__ import annotations

import io
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil
import pytest
import requests
from PIL import Image
from pydantic import SecretStr

from core.errors import SettingsError
from service.guard.rates import by_address, parse_limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.testclient import TestClient

    from tests.service.conftest import Draw, Server, Shop, WaitFor

FIND = "/api/v1/find-similar"
FORM = b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"Content-Type: multipart/form-data; boundary=b\r\nTransfer-Encoding: chunked\r\n\r\n"
HEAD = b"POST /api/v1/find-similar HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service with little patience."""
    from tests.service.conftest import Server, build_stocked_shop  # noqa: PLC0415

    with Server(
        build_stocked_shop(tmp_path_factory.mktemp("strict")),
        "--no-ingest",
        LOOKALIKE_HEADER_TIMEOUT_S="0.6",
        LOOKALIKE_BODY_TIMEOUT_S="0.6",
        LOOKALIKE_WRITE_TIMEOUT_S="1",
        LOOKALIKE_MAX_CONNECTIONS="40",
        LOOKALIKE_MAX_QUEUE="2",
    ) as server:
        yield server


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        yield connection


def answer_of(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    got = b""
    try:
        while more := connection.recv(65_536):
            got += more
    except ConnectionResetError:
        pass
    return got


def large_picture() -> bytes:
    buffer = io.BytesIO()
    Image.radial_gradient("L").resize((4000, 4000)).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.alone
@pytest.mark.parametrize(
    "sent", [b"", b"GET /health", b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: "]
)
def test_who_does_not_send_headers_is_hung_up_on(strict: Server, sent: bytes) -> None:
    with connected(strict) as connection:
        connection.sendall(sent)
        started = time.monotonic()
        assert answer_of(connection) == b""
        assert time.monotonic() - started < 3


@pytest.mark.alone
def test_headers_that_trickle_in_are_too_slow_though_each_byte_is_quick(strict: Server) -> None:
    with connected(strict) as connection:
        started = time.monotonic()
        try:
            for byte in b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"X-Y: z\r\n" * 100:
                connection.sendall(bytes((byte,)))
                time.sleep(0.02)
        except ConnectionError:
            pass
        assert time.monotonic() - started < 5


@pytest.mark.alone
def test_a_second_request_on_a_connection_is_waited_for_no_longer(strict: Server) -> None:
    with connected(strict) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in connection.recv(65_536)
        connection.sendall(b"GET /heal")
        started = time.monotonic()
        answer_of(connection)
        assert time.monotonic() - started < 3


def test_headers_without_end_are_refused(strict: Server) -> None:
    with connected(strict) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 70_000)
        answer = answer_of(connection)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")


def test_a_body_that_trickles_in_is_answered_408(strict: Server) -> None:
    with connected(strict) as connection:
        connection.sendall(HEAD + FORM % 9 + b"--b")
        answer = answer_of(connection)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"body_too_slow" in answer
    assert b"LOOKALIKE_BODY_TIMEOUT_S" in answer


def test_what_is_not_http_is_answered_with_a_problem_document(strict: Server) -> None:
    for sent in (
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"\x00" * 64 + b"\r\n\r\n",
    ):
        with connected(strict) as connection:
            connection.sendall(sent)
            answer = answer_of(connection)
        assert answer.startswith(b"HTTP/1.1 400"), sent
        assert b"application/problem+json" in answer
        assert b"nosniff" in answer


def test_a_chunk_that_is_none_ends_the_request_and_not_the_service(strict: Server) -> None:
    for chunk in (b"zz\r\n", b"-1\r\n", b"fffffffffffffffffffff\r\nx", b"5\r\nabc"):
        with connected(strict) as connection:
            connection.sendall(HEAD + CHUNKED + chunk)
            assert not answer_of(connection).startswith(b"HTTP/1.1 5")
    assert requests.get(f"{strict.url}/health/ready", timeout=5).status_code == 200


def test_a_request_that_breaks_while_it_is_answered_is_no_error_of_ours(
    shop: Shop, serve: type[Server]
) -> None:
    with serve(shop, "--no-ingest") as server:
        for _ in range(3):
            with connected(server) as connection:
                connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")
                assert answer_of(connection).startswith(b"HTTP/1.1 400")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=15) == 0
    assert "Traceback" not in "".join(server.log)


def test_a_client_that_reads_nothing_is_hung_up_on(shop: Shop, serve: type[Server]) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4000, 3000)).save(buffer, "BMP")
    shop.put("large.png", buffer.getvalue())
    shop.ingest()
    with serve(shop, "--no-ingest", LOOKALIKE_WRITE_TIMEOUT_S="0.5") as server:
        address = urlsplit(server.url)
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect((address.hostname, address.port))
            connection.sendall(b"GET /api/v1/images/large.png HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(2.5)
            assert len(answer_of(connection)) < len(buffer.getvalue())


@pytest.mark.alone
def test_idle_connections_make_room_for_new_ones(strict: Server) -> None:
    with ExitStack() as stack:
        for _ in range(120):
            stack.enter_context(connected(strict))
        assert requests.get(f"{strict.url}/health/live", timeout=5).status_code == 200


@pytest.mark.alone
def test_uploads_that_never_end_make_room_for_new_connections(
    shop: Shop, serve: type[Server]
) -> None:
    with serve(shop, "--no-ingest", LOOKALIKE_MAX_CONNECTIONS="40") as server, ExitStack() as stack:
        for _ in range(120):
            connection = stack.enter_context(connected(server))
            connection.sendall(HEAD + FORM % 9000 + b"--b")
        for _ in range(3):
            assert requests.get(f"{server.url}/health/live", timeout=5).status_code == 200


def test_streams_of_events_are_bounded(shop: Shop, serve: type[Server]) -> None:
    request = b"GET /api/v1/operations/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with serve(shop, "--no-ingest") as server, ExitStack() as stack:
        statuses = set()
        for _ in range(140):
            connection = stack.enter_context(connected(server))
            connection.sendall(request)
            statuses.add(connection.recv(12))
        assert statuses == {b"HTTP/1.1 200", b"HTTP/1.1 503"}
        assert requests.get(f"{server.url}/health", timeout=5).status_code == 200


@pytest.mark.alone
def test_500_connections_do_not_keep_health_from_answering(server: Server) -> None:
    with ExitStack() as stack:
        for _ in range(500):
            connection = stack.enter_context(connected(server))
            connection.sendall(b"GET /hea")
        for _ in range(3):
            assert requests.get(f"{server.url}/health", timeout=5).status_code == 200


@pytest.mark.alone
def test_uploads_beyond_the_queue_are_told_to_come_back_while_health_answers(
    strict: Server,
) -> None:
    picture = large_picture()

    def ask(_: int) -> requests.Response:
        return requests.post(strict.url + FIND, files={"file": picture}, timeout=60)

    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(ask, number) for number in range(48)]
        healthy = []
        while not all(one.done() for one in asked):
            started = time.monotonic()
            healthy.append(requests.get(f"{strict.url}/health/ready", timeout=5).status_code)
            assert time.monotonic() - started < 2
        answers = [one.result() for one in asked]
    statuses = {answer.status_code for answer in answers}
    assert statuses == {200, 503}
    assert set(healthy) == {200}
    for answer in answers:
        if answer.status_code == 503:
            assert answer.json()["code"] == "overloaded"
            assert int(answer.headers["Retry-After"]) >= 1
    assert requests.post(strict.url + FIND, files={"file": picture}, timeout=30).ok


@pytest.mark.alone
def test_a_client_that_goes_away_frees_its_place(strict: Server) -> None:
    picture = large_picture()
    body = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        + picture
        + b"\r\n--b--\r\n"
    )
    for _ in range(6):
        with connected(strict) as connection:
            connection.sendall(HEAD + FORM % len(body) + body)
    time.sleep(1)
    assert requests.post(strict.url + FIND, files={"file": picture}, timeout=30).ok


@pytest.mark.alone
def test_a_hundred_quick_requests_are_not_throttled(server: Server, draw: Draw) -> None:
    picture = draw(4)

    def ask(_: int) -> int:
        return requests.post(server.url + FIND, files={"file": picture}, timeout=60).status_code

    with ThreadPoolExecutor(100) as pool:
        assert set(pool.map(ask, range(100))) == {200}


def _begin_well_before_a_minute_ends() -> None:
    """Windows begin with the clock's minutes, and from one to the next a request more is let in."""
    left_s = 60 - time.time() % 60
    if left_s < 5:
        time.sleep(left_s)


def test_an_address_that_asks_too_often_is_told_when_to_come_back(stocked: Shop) -> None:
    with stocked.open(rate_limit_address="5/minute") as client:
        _begin_well_before_a_minute_ends()
        statuses = [client.get("/stats").status_code for _ in range(8)]
        assert statuses == [200] * 5 + [429] * 3
        refused = client.get("/stats")
        assert refused.json()["code"] == "rate_limited"
        assert "LOOKALIKE_RATE_LIMIT_ADDRESS" in refused.json()["detail"]
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert client.get("/health/ready").status_code == 200


def test_each_key_has_its_own_share(stocked: Shop) -> None:
    keys = SecretStr(f"a:search:{'a' * 20},b:search:{'b' * 20}")
    with stocked.open(api_keys=keys, rate_limit_key="3/minute") as client:
        _begin_well_before_a_minute_ends()

        def status(letter: str) -> int:
            return client.get("/stats", headers={"X-API-Key": letter * 20}).status_code

        assert [status("a") for _ in range(4)] == [200, 200, 200, 429]
        assert status("b") == 200
        assert status("c") == 401


@pytest.mark.parametrize(
    ("client", "who"),
    [
        (("192.0.2.7", 1), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),
        (("2001:db8:1:2:ffff::1", 1), "2001:db8:1:2::/64"),
        (("::ffff:192.0.2.7", 1), "192.0.2.7"),
        (("testclient", 1), "testclient"),
        (None, None),
    ],
)
def test_an_ipv6_customer_counts_once_however_many_addresses_it_has(
    client: tuple[str, int] | None, who: str | None
) -> None:
    assert by_address({"client": client}) == who


def test_rates_have_units() -> None:
    assert [limit.amount for limit in parse_limits("X", "20/second;600/minute")] == [20, 600]
    assert parse_limits("X", " ") == ()
    for text in ("600", "many/minute", "0/minute", "6/fortnight", "-1/minute"):
        with pytest.raises(SettingsError, match="LOOKALIKE_RATE_LIMIT_KEY"):
            parse_limits("LOOKALIKE_RATE_LIMIT_KEY", text)


def test_a_form_of_countless_parts_is_refused(client: TestClient) -> None:
    for count, name in ((5000, "file"), (1001, "files")):
        files = [(name, (f"{n}", b"x")) for n in range(count)]
        answer = client.post("/api/v1/embeddings", files=files)
        assert answer.status_code == 400, answer.text
    answer = client.post(FIND, data={f"f{n}": "x" for n in range(300)}, files={"file": b"x"})
    assert answer.status_code == 400
    answer = client.post(FIND, data={"f": "x" * 70_000}, files={"file": b"x"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


def test_on_its_way_out_the_service_says_so_and_finishes_what_it_has(
    shop: Shop, serve: type[Server], draw: Draw
) -> None:
    shop.put("a.jpg", draw(1))
    shop.ingest()
    picture = large_picture()
    with serve(shop, "--no-ingest", LOOKALIKE_SHUTDOWN_DELAY_S="1") as server:
        with ThreadPoolExecutor(8) as pool:
            asked = [
                pool.submit(requests.post, server.url + FIND, files={"file": picture}, timeout=30)
                for _ in range(4)
            ]
            time.sleep(0.2)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            ready = requests.get(f"{server.url}/health/ready", timeout=5)
            assert (ready.status_code, ready.json()["code"]) == (503, "not_ready")
            assert requests.get(f"{server.url}/health/live", timeout=5).status_code == 200
            assert [one.result().status_code for one in asked] == [200] * 4
        assert server.process.wait(timeout=15) == 0


def test_a_client_that_leaves_before_its_body_is_no_error_of_ours(
    shop: Shop, serve: type[Server]
) -> None:
    with serve(shop, "--no-ingest") as server:
        for path in (b"/similarity", b"/api/v1/find-similar", b"/api/v1/search"):
            with connected(server) as connection:
                connection.sendall(
                    b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n" % path
                    + b"Content-Type: application/json\r\n\r\n{"
                )
                time.sleep(0.1)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=15) == 0
    assert "Traceback" not in "".join(server.log)


@pytest.mark.alone
def test_memory_of_large_pictures_is_given_back(
    shop: Shop, serve: type[Server], wait_for: WaitFor
) -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (4000, 4000), (1, 2, 3, 4)).save(buffer, "PNG")
    with serve(shop, "--no-ingest") as server:
        process = psutil.Process(server.process.pid)
        before = process.memory_info().rss
        with ThreadPoolExecutor(4) as pool:
            asked = [
                pool.submit(
                    requests.post, server.url + FIND, files={"file": buffer.getvalue()}, timeout=60
                )
                for _ in range(8)
            ]
            assert {one.result().status_code for one in asked} == {200}
        wait_for(lambda: process.memory_info().rss - before < 150_000_000)
