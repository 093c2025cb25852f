"""Who gets in: every route, every scope, with and without a key; sessions, pages, host names."""

# ruff: noqa: S104  # addresses of other machines are what is tested

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.routing import APIRoute
from pydantic import SecretStr
from starlette.testclient import TestClient

from core.errors import SettingsError
from service.app import ROUTERS, create_app
from service.guard.keys import Key, Scope
from service.guard.origins import HostCheck
from service.guard.scopes import NEEDS, OPEN, PAGES, declared
from service.guard.sessions import COOKIE, Sessions
from service.server import bind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.service.conftest import Draw, Server, Shop

KEYS = {
    "searcher": ("search", "search-only-key-0123456789"),
    "runner": ("ingest", "ingest-only-key-0123456789"),
    "both": ("search+ingest", "search-and-ingest-key-0123456789"),
    "boss": ("admin", "admin-key-with-a-colon:0123456789"),
}
API_KEYS = SecretStr(",".join(f"{name}:{scope}:{key}" for name, (scope, key) in KEYS.items()))
STRANGER = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}


@pytest.fixture(scope="module")
def keyed(stocked: Shop) -> Iterator[TestClient]:
    with stocked.open(api_keys=API_KEYS) as client:
        yield client


def key_of(name: str) -> dict[str, str]:
    return {"X-API-Key": KEYS[name][1]}


def operations(client: TestClient) -> list[tuple[str, str, dict[str, Any]]]:
    paths = client.get("/openapi.json").json()["paths"]
    return [
        (method, re.sub(r"\{[^}]*\}", "999999", path), operation)
        for path, methods in paths.items()
        for method, operation in methods.items()
    ]


def test_every_route_has_its_row_in_the_table_and_every_row_its_route() -> None:
    routes = {
        f"{method} {route.path}"
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    rows = {*NEEDS, *PAGES}
    assert routes - rows == set()
    assert rows - routes <= {"GET /openapi.json", "GET /static/{path:path}"}


def test_every_route_but_the_probes_turns_away_who_shows_no_key_or_a_wrong_one(
    keyed: TestClient,
) -> None:
    opened = set[str]()
    for method, path, operation in operations(keyed):
        for headers in (
            {},
            {"X-API-Key": "wrong"},
            {"Authorization": "Bearer wrong"},
            {"Authorization": "Basic c2VhcmNoLW9ubHkta2V5LTAxMjM0NTY3ODk="},
            {"Cookie": f"{COOKIE}=forged.ffffffffff.signature"},
            {"X-API-Key": KEYS["boss"][1] + "x"},
            {"X-API-Key": KEYS["boss"][1][:-1]},
        ):
            answer = keyed.request(method, path, headers=headers)
            if operation["security"] == []:
                opened.add(path)
                assert answer.status_code != 401 or path == "/login"
                continue
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), path
            assert answer.headers["www-authenticate"].startswith("Bearer")
    assert opened == {"/health/live", "/health/ready", "/login", "/logout", "/api/v1/session"}


@pytest.mark.parametrize("name", KEYS)
def test_every_route_takes_the_scopes_it_names_and_no_others(keyed: TestClient, name: str) -> None:
    held = set(KEYS[name][0].split("+"))
    for method, path, operation in operations(keyed):
        if operation["security"] == []:
            continue
        if path.endswith("/preprocess"):
            path += "?wait=false"  # noqa: PLW2901
        wanted = set(operation["x-lookalike-scopes"])
        enough = bool(held & (wanted | {"admin"}))
        if enough and "text/event-stream" in str(operation["responses"]):
            continue  # answers for as long as one listens
        for headers in (key_of(name), {"Authorization": f"bearer {KEYS[name][1]}"}):
            answer = keyed.request(method, path, headers=headers)
            if enough:
                assert answer.status_code not in (401, 403), path
            else:
                assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), path


def test_a_stranger_learns_neither_what_exists_nor_what_is_wrong(keyed: TestClient) -> None:
    same = []
    for path in ("/api/v1/images/shoes/s1.jpg", "/api/v1/images/nothing.jpg", "/nowhere"):
        same.append(keyed.get(path).content)
        assert keyed.get(path, headers=key_of("runner")).status_code == (
            404 if path == "/nowhere" else 403
        )
    assert len(set(same)) == 1
    broken = {"content": b"{", "headers": {"Content-Type": "application/json"}}
    assert keyed.post("/similarity", **broken).status_code == 401
    assert keyed.post("/api/v1/find-similar?top_k=x").status_code == 401
    assert keyed.post("/api/v1/runs/1/cancel", headers=key_of("searcher")).status_code == 403
    assert keyed.head("/stats").status_code == 401
    assert keyed.get("//stats").status_code == 401
    assert keyed.get("/stats/").status_code == 401
    assert keyed.put("/api/v1/find-similar").status_code == 401


def test_a_route_without_a_row_is_for_the_admin_alone(stocked: Shop) -> None:
    app = create_app(stocked.with_settings(api_keys=API_KEYS))
    app.get("/made-up")(lambda: "secret")
    assert declared("GET", "/made-up") is None
    with TestClient(app) as client:
        assert client.get("/made-up", headers=key_of("both")).status_code == 403
        assert client.get("/made-up", headers=key_of("boss")).status_code == 200


def test_pages_lead_to_the_form_and_everything_else_is_told(keyed: TestClient) -> None:
    browser = {"Accept": "text/html,*/*"}
    for row in PAGES:
        path = row.partition(" ")[2]
        answer = keyed.get(path, params={"q": "a b"}, headers=browser, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (
            303,
            f"/login?next={path}%3Fq%3Da%2Bb".replace("/login?next=//", "/login?next=/"),
        )
        assert keyed.get(path).status_code == 401
    assert keyed.get("/stats", headers=browser).status_code == 401


def signed_in(client: TestClient, name: str, **form: str) -> Any:
    return client.post("/login", data={"key": KEYS[name][1], **form}, follow_redirects=False)


def test_a_key_opens_a_session_that_scripts_cannot_read(stocked: Shop) -> None:
    with stocked.open(api_keys=API_KEYS) as client:
        assert client.get("/stats").status_code == 401
        answer = signed_in(client, "searcher")
        assert answer.json() == {"keys_required": True, "name": "searcher", "scopes": ["search"]}
        cookie = answer.headers["set-cookie"]
        for part in ("HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"):
            assert part in cookie
        assert "Secure" not in cookie
        assert KEYS["searcher"][1] not in cookie
        assert client.get("/stats").status_code == 200
        assert client.get("/api/v1/session").json()["name"] == "searcher"
        assert client.get("/api/v1/runs").status_code == 403
        own = {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}
        assert client.post("/logout", headers=own).status_code == 204
        assert client.get("/stats").status_code == 401


def test_over_https_the_cookie_travels_over_https_only(stocked: Shop) -> None:
    app = create_app(stocked.with_settings(api_keys=API_KEYS))
    with TestClient(app, base_url="https://testserver") as client:
        assert "Secure" in signed_in(client, "both").headers["set-cookie"]


@pytest.mark.parametrize(
    ("wanted", "led_to"),
    [
        ("/operations?tab=1", "/operations?tab=1"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/a\r\nSet-Cookie: x=y", "/"),
        ("javascript:alert(1)", "/"),
        ("/ü", "/"),
    ],
)
def test_signing_in_leads_to_pages_of_this_service_only(
    stocked: Shop, wanted: str, led_to: str
) -> None:
    with stocked.open(api_keys=API_KEYS) as client:
        answer = signed_in(client, "both", next=wanted)
        assert (answer.status_code, answer.headers["location"]) == (303, led_to)
        wrong = client.post("/login", data={"key": "wrong", "next": wanted}, follow_redirects=False)
        assert (wrong.status_code, wrong.headers["location"]) == (303, "/login?failed=true")
        assert "set-cookie" not in wrong.headers


def test_a_session_changes_things_from_our_own_pages_only(stocked: Shop, draw: Draw) -> None:
    with stocked.open(api_keys=API_KEYS) as client:
        signed_in(client, "boss")
        own = {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}
        for headers, status in (
            (own, 200),
            ({"Origin": "http://testserver"}, 200),
            ({"Sec-Fetch-Site": "same-origin"}, 200),
            ({}, 403),
            (STRANGER, 403),
            ({"Origin": "null"}, 403),
            ({"Sec-Fetch-Site": "same-site"}, 403),
            ({"Origin": "http://localhost:3000"}, 403),  # may call, but not as who is signed in
            ({"Origin": "http://testserver.evil.example"}, 403),
        ):
            answer = client.post("/api/v1/find-similar", files={"file": draw(1)}, headers=headers)
            assert answer.status_code == status, headers
        assert answer.json()["code"] == "cross_site"
        for method, path, _ in operations(client):
            if method != "get":
                assert client.request(method, path, headers=STRANGER).status_code == 403


def test_a_key_in_a_header_is_worth_the_same_from_any_page(keyed: TestClient, draw: Draw) -> None:
    answer = keyed.post(
        "/api/v1/find-similar",
        files={"file": draw(1)},
        headers={**key_of("searcher"), **STRANGER},
    )
    assert answer.status_code == 200


def test_a_strangers_page_can_sign_nobody_in(keyed: TestClient) -> None:
    answer = keyed.post("/login", data={"key": KEYS["boss"][1]}, headers=STRANGER)
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")


def test_sessions_end_with_their_time_their_key_and_their_secret(stocked: Shop) -> None:
    settings = stocked.with_settings(session_secret=SecretStr("of the tests"), session_hours=1)
    key = Key.of("k", {Scope.SEARCH}, b"secret")
    hour = 3600
    now = time.time()
    cookie = Sessions(settings, lambda: now).issue(key)
    assert Sessions(settings, lambda: now + hour - 2).key_id(cookie) == key.id
    assert Sessions(settings, lambda: now + hour + 2).key_id(cookie) is None
    other = stocked.with_settings(session_secret=SecretStr("another"))
    assert Sessions(other).key_id(cookie) is None
    named, _, signature = cookie.rpartition(".")
    for forged in (
        "",
        ".",
        "..",
        f"x{cookie}",
        f"{named}0.{signature}",
        f"{named}.é",
        "\udcff.1.2",
    ):
        assert Sessions(settings).key_id(forged) is None


def test_without_keys_a_strangers_page_changes_nothing(client: TestClient, draw: Draw) -> None:
    upload = {"file": draw(1)}
    for headers, status in (
        ({}, 200),
        ({"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://localhost:3000", "Sec-Fetch-Site": "cross-site"}, 200),
        (STRANGER, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ):
        answer = client.post("/api/v1/find-similar", files=upload, headers=headers)
        assert answer.status_code == status, headers
    assert client.get("/health", headers=STRANGER).status_code == 200


@pytest.mark.parametrize(
    ("host", "trusted"),
    [
        ("localhost:8000", True),
        ("127.0.0.1:8000", True),
        ("[::1]:8000", True),
        ("192.168.1.7", True),
        ("testserver", True),
        ("shop.localhost", True),
        ("", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example:8000", False),
        ("localhost.evil.example", False),
        ("evil.example.", False),
        ("a" * 300, False),
    ],
)
def test_without_keys_no_name_that_a_stranger_may_own_leads_here(
    client: TestClient, host: str, *, trusted: bool
) -> None:
    assert HostCheck(()).trusts(host) == trusted
    if host:
        answer = client.get("/health", headers={"Host": host})
        assert answer.status_code == (200 if trusted else 403)
        assert client.get("/health/live", headers={"Host": host}).status_code == 200


def test_host_names_are_a_setting(stocked: Shop) -> None:
    with stocked.open(allowed_hosts=("*.shop.example",)) as client:
        for host, status in (("a.shop.example", 200), ("shop.example", 403), ("10.0.0.1", 200)):
            assert client.get("/health", headers={"Host": host}).status_code == status
    with stocked.open(api_keys=API_KEYS) as client:
        headers = {**key_of("both"), "Host": "any.example"}
        assert client.get("/health", headers=headers).status_code == 200


def test_without_keys_other_machines_are_let_in_only_where_that_was_said() -> None:
    for host in ("0.0.0.0", "::"):
        with pytest.raises(SettingsError, match="LOOKALIKE_ALLOW_ANONYMOUS"):
            bind(host, 0, only_loopback=True)
    for host in ("127.0.0.1", "127.0.0.9", "localhost"):
        bind(host, 0, only_loopback=True).close()
    bind("0.0.0.0", 0).close()


def test_serving_other_machines_without_keys_is_refused_in_a_sentence(shop: Shop) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service", "serve", "--port", "0", "--no-ingest"],
        env={
            **os.environ,
            "LOOKALIKE_HOST": "0.0.0.0",
            "LOOKALIKE_STORE_DIR": str(shop.settings.store_dir),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    for name in ("LOOKALIKE_HOST", "LOOKALIKE_API_KEYS", "LOOKALIKE_ALLOW_ANONYMOUS"):
        assert name in done.stderr


@pytest.mark.parametrize(
    "environment",
    [{"LOOKALIKE_ALLOW_ANONYMOUS": "true"}, {"LOOKALIKE_API_KEYS": f"a:search:{'k' * 32}"}],
)
def test_keys_or_the_flag_let_the_service_answer_other_machines(
    shop: Shop, serve: type[Server], environment: dict[str, str]
) -> None:
    with serve(shop, "--no-ingest", LOOKALIKE_HOST="0.0.0.0", **environment) as server:
        port = int(server.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.2", port), timeout=5) as connection:
            connection.sendall(b"GET /health/live HTTP/1.0\r\n\r\n")
            assert b"200" in connection.recv(100)


def test_every_answer_carries_the_headers_that_bound_it(client: TestClient, draw: Draw) -> None:
    answers = [
        client.get("/health"),
        client.get("/nowhere"),
        client.put("/health"),
        client.get("/"),
        client.get("/docs"),
        client.get("/static/css/base.css"),
        client.get("/api/v1/images/twin.png"),
        client.get("/api/v1/images/twin.png", params={"size": 32}),
        client.get("/api/v1/images/nothing"),
        client.post("/api/v1/find-similar"),
        client.post("/api/v1/find-similar", files={"file": b"x" * 30_000_000}),
        client.post("/api/v1/find-similar", files={"file": draw(1)}, headers=STRANGER),
        client.options("/", headers={"Origin": "http://localhost:1"}),
        client.get("/health", headers={"Host": "evil.example"}),
    ]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "cache-control" in answer.headers
        assert not {"server", "x-powered-by"} & set(answer.headers)


def test_the_document_names_the_scopes_of_every_route() -> None:
    assert declared("HEAD", "/stats") == declared("GET", "/stats")
    assert declared("GET", "/api/v1/runs/7/events") == {Scope.INGEST}
    assert declared("GET", "/api/v1/runs/7/8/events") is None
    assert declared("GET", "/api/v1/images/a/b\n.jpg") == {Scope.SEARCH}
    assert declared("GET", "/health/live") is OPEN
