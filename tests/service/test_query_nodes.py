"""Services that answer from Milvus and have no store, and the coordinator behind them."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import requests
from starlette.testclient import TestClient

from core.errors import SettingsError
from core.settings import Settings
from service.app import create_app
from service.query_node import check_can_supervise, is_query_node
from tests.milvus import LiteServer, lite_server
from tests.service.conftest import Server, Shop, build_shop, draw, stock_labelled, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("pymilvus")
pytest.importorskip("milvus_lite")

KEYS = "seeker:search:search-key-0123456789abcdef,keeper:ingest:ingest-key-0123456789abcdef"
SEEKER = {"Authorization": "Bearer search-key-0123456789abcdef"}
KEEPER = {"X-API-Key": "ingest-key-0123456789abcdef"}


@pytest.fixture(scope="module")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiteServer]:
    with lite_server(tmp_path_factory.mktemp("milvus")) as server:
        yield server


def over(milvus: LiteServer, alias: str, **more: Any) -> dict[str, Any]:
    return {
        "index": "milvus",
        "milvus_uri": milvus.uri,
        "milvus_alias": alias,
        "milvus_structure": "FLAT",
        "milvus_timeout_s": 30,
        **more,
    }


@pytest.fixture(scope="module")
def carried(tmp_path_factory: pytest.TempPathFactory, milvus: LiteServer) -> Shop:
    """The labelled shop, in Milvus too; no test changes it."""
    shop = build_shop(tmp_path_factory.mktemp("carried"), **over(milvus, "carried"))
    stock_labelled(shop)
    return shop


@contextmanager
def node(shop: Shop, folder: Path, **changed: Any) -> Iterator[TestClient]:
    """A query node: the shop's settings, and no store."""
    settings = shop.with_settings(store_dir=folder / "no-store", **changed)
    with TestClient(create_app(settings)) as client:
        yield client
    assert not settings.store_dir.exists()


@pytest.fixture(scope="module")
def nodes(carried: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[TestClient]]:
    folder = tmp_path_factory.mktemp("nodes")
    with node(carried, folder) as one, node(carried, folder) as other:
        yield [one, other]


@pytest.fixture(scope="module")
def alone(carried: Shop) -> Iterator[TestClient]:
    """FAISS over the same store."""
    with carried.open(index="faiss") as client:
        yield client


ASKED: list[dict[str, Any]] = [
    {"threshold": -1, "top_k": 30},
    {"threshold": -1, "filter": "colour:red", "facets": True},
    {"threshold": -1, "filter": ["colour:red", "colour:blue", "category:shoes"], "facets": True},
    {"threshold": -1, "filter": "colour:a:b, c"},
    {"threshold": -1, "filter": 'colour:red" or 1 == 1 or "'},
    {"threshold": -1, "group_by": "product", "facets": True},
    {"threshold": 0.5, "facets": True},
    {"describe": True},
]


def found(client: TestClient, params: dict[str, Any], seed: int = 3) -> Any:
    answer = client.post("/api/v1/find-similar", params=params, files={"file": draw(seed)})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    del body["processing_time_ms"]
    for match in body["matches"]:
        match["similarity_score"] = round(match["similarity_score"], 4)
    return body


@pytest.mark.parametrize("params", ASKED, ids=str)
def test_every_node_answers_as_the_store_does(
    nodes: list[TestClient], alone: TestClient, params: dict[str, Any]
) -> None:
    for seed in (3, 40):
        expected = found(alone, params, seed)
        for client in nodes:
            assert found(client, params, seed) == expected


def test_items_and_known_pictures_come_from_milvus(
    nodes: list[TestClient], alone: TestClient
) -> None:
    query = {"images": [{"path": "p/4.jpg"}], "threshold": -1, "exclude": True}
    for client in nodes:
        answers = [one.post("/api/v1/search", json=query).json() for one in (client, alone)]
        paths = [[match["image_path"] for match in answer["matches"]] for answer in answers]
        assert paths[0] == paths[1]
        assert "p/4.jpg" not in paths[0]
        unknown = client.post("/api/v1/search", json={"images": [{"path": "p/400.jpg"}]})
        assert (unknown.status_code, unknown.json()["code"]) == (404, "image_not_found")
        vectors = [
            one.post("/api/v1/embeddings", files={"files": draw(4)}).json()["embeddings"]
            for one in (client, alone)
        ]
        assert vectors[0][0] == pytest.approx(vectors[1][0], abs=1e-6)
        assert (
            client.get("/api/v1/images/p/4.jpg").content
            == alone.get("/api/v1/images/p/4.jpg").content
        )
        assert client.get("/api/v1/images/p/4.jpg?size=32").status_code == 200
        assert client.get("/api/v1/images/products.csv").status_code == 404
        assert client.get("/api/v1/images/..%2Fstore%2Fcatalog.db").status_code == 404


def test_a_node_says_how_it_is(nodes: list[TestClient]) -> None:
    for client in nodes:
        assert client.get("/health/ready").status_code == 200
        assert client.get("/health").json()["total_products"] == 24
        stats = client.get("/stats").json()
        assert stats["index"] == {"kind": "Milvus FLAT", "vectors": 24, "recall": 1.0}
        assert stats["items"] == {"indexed": 24}
        assert (stats["memory_usage_mb"], stats["feature_file_size_mb"]) == (0, 0)
        metrics = client.get("/metrics").text
        assert "lookalike_ready 1.0" in metrics
        assert "lookalike_index_vectors 24.0" in metrics
        assert "lookalike_ingest_daemon_up" not in metrics
        assert client.get("/").status_code == 200
        unknown = client.post(
            "/api/v1/find-similar", params={"filter": "size:9"}, files={"file": draw(1)}
        )
        assert (unknown.status_code, unknown.json()["code"]) == (422, "unknown_filter_key")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/runs"),
        ("GET", "/api/v1/runs/3"),
        ("GET", "/api/v1/runs/3/events"),
        ("POST", "/api/v1/runs/3/cancel"),
        ("GET", "/api/v1/items"),
        ("POST", "/api/v1/items/retry"),
        ("POST", "/api/v1/preprocess"),
        ("GET", "/api/v1/preprocess/status"),
        ("GET", "/api/v1/duplicates"),
        ("GET", "/api/v1/operations"),
        ("GET", "/operations/charts"),
    ],
)
def test_what_takes_the_store_is_refused_by_the_coordinators_name(
    nodes: list[TestClient], method: str, path: str
) -> None:
    answer = nodes[0].request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (421, "needs_coordinator")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "LOOKALIKE_COORDINATOR_URL" in answer.json()["detail"]


def test_which_service_is_a_query_node(carried: Shop, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert not is_query_node(carried.settings, supervises=False)
    assert is_query_node(carried.with_settings(store_dir=missing), supervises=False)
    assert not is_query_node(carried.with_settings(store_dir=missing), supervises=True)
    assert is_query_node(carried.with_settings(coordinator_url="http://c"), supervises=False)
    assert not is_query_node(Settings.load(store_dir=missing), supervises=False)
    with pytest.raises(SettingsError, match="LOOKALIKE_MILVUS_FALLBACK"):
        create_app(carried.with_settings(store_dir=missing, milvus_fallback="faiss"))
    with pytest.raises(SettingsError, match="one process at a time"):
        check_can_supervise(carried.with_settings(milvus_uri=str(tmp_path / "lite.db")))


def test_near_duplicates_take_the_vectors_in_memory(carried: Shop) -> None:
    with carried.open() as client:
        answer = client.get("/api/v1/duplicates")
        assert (answer.status_code, answer.json()["code"]) == (501, "needs_local_vectors")
        assert client.get("/api/v1/operations").status_code == 200
        facets = client.get("/api/v1/items", params={"facets": True}).json()["facets"]
        assert {"value": "shoes", "count": 9} in facets["category"]
    with carried.open(milvus_fallback="faiss") as client:
        assert client.get("/api/v1/duplicates").status_code == 200
        assert client.get("/api/v1/items", params={"facets": True}).json()["facets"] == facets


def test_milvus_gone_is_a_problem_that_passes(tmp_path: Path) -> None:
    with lite_server(tmp_path / "milvus") as milvus:
        shop = build_shop(tmp_path, **over(milvus, "gone", milvus_timeout_s=1))
        shop.put("a.jpg", draw(1))
        shop.ingest()
        with (
            node(shop, tmp_path) as client,
            shop.open(milvus_fallback="faiss") as falling_back,
        ):
            query = {"threshold": -1}
            expected = found(client, query)
            milvus.kill()
            answer = client.post("/api/v1/find-similar", params=query, files={"file": draw(3)})
            assert (answer.status_code, answer.json()["code"]) == (503, "index_unavailable")
            assert "LOOKALIKE_MILVUS_URI" in answer.json()["detail"]
            assert found(falling_back, query) == expected
            wait_for(lambda: client.get("/health/ready").status_code == 503)
            wait_for(lambda: falling_back.get("/health/ready").json()["warnings"])
            ready = falling_back.get("/health/ready").json()
            assert "LOOKALIKE_MILVUS_FALLBACK" in ready["warnings"][0]
            assert client.get("/health/live").status_code == 200
            assert client.get("/health").json()["status"] == "degraded"
            assert client.get("/metrics").status_code == 200
            shop.put("b.jpg", draw(2))
            shop.ingest()  # which cannot be carried over, and is found all the same
            wait_for(lambda: found(falling_back, query)["total_compared"] == 2)
            milvus.start()
            wait_for(lambda: client.get("/health/ready").status_code == 200)
            assert found(client, query) == expected
            shop.ingest()
            wait_for(lambda: found(client, query)["total_compared"] == 2)
            wait_for(lambda: not falling_back.get("/health/ready").json()["warnings"])


def test_a_node_that_starts_before_milvus_waits_for_it(tmp_path: Path) -> None:
    with lite_server(tmp_path / "milvus") as milvus:
        shop = build_shop(tmp_path, **over(milvus, "early", milvus_timeout_s=1))
        shop.put("a.jpg", draw(1))
        shop.ingest()
        milvus.kill()
        with node(shop, tmp_path) as client:
            assert client.get("/health/ready").status_code == 503
            answer = client.post("/api/v1/find-similar", files={"file": draw(1)})
            assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
            assert "LOOKALIKE_MILVUS_URI" in answer.json()["detail"]
            milvus.start()
            wait_for(lambda: client.get("/health/ready").status_code == 200)
            assert found(client, {"threshold": -1})["total_compared"] == 1


@pytest.mark.alone
def test_a_milvus_that_hangs_costs_a_deadline(tmp_path: Path) -> None:
    with lite_server(tmp_path / "milvus") as milvus:
        shop = build_shop(tmp_path, **over(milvus, "hangs", milvus_timeout_s=1))
        shop.put("a.jpg", draw(1))
        shop.ingest()
        with node(shop, tmp_path) as client:
            milvus.pause()
            started = time.monotonic()
            answer = client.post("/api/v1/find-similar", files={"file": draw(1)})
            assert (answer.status_code, answer.json()["code"]) == (503, "index_unavailable")
            assert time.monotonic() - started < 4
            milvus.resume()
            wait_for(lambda: client.get("/health/ready").status_code == 200)


def test_the_first_photos_and_another_model_reach_a_node(
    tmp_path: Path,
    milvus: LiteServer,
    other_model: None,  # noqa: ARG001  # registers it
) -> None:
    shop = build_shop(tmp_path, **over(milvus, "changing"))
    with node(shop, tmp_path) as client:
        assert client.get("/health/ready").json()["generation"] == 0
        assert found(client, {})["total_compared"] == 0
        shop.put("a.jpg", draw(1))
        shop.ingest()
        wait_for(lambda: found(client, {})["total_compared"] == 1)
        before = client.get("/stats").json()["space"]["fingerprint"]
        shop.ingest(shop.with_settings(model="other"))
        wait_for(lambda: client.get("/stats").json()["space"]["fingerprint"] != before)
        assert client.get("/stats").json()["model"] == "other"
        assert found(client, {"threshold": 0.9}, 1)["matches"][0]["image_path"] == "a.jpg"


@pytest.mark.slow
def test_two_nodes_answer_while_the_coordinator_publishes(
    tmp_path: Path, milvus: LiteServer
) -> None:
    shop = build_shop(tmp_path, **over(milvus, "scaled"))
    for seed in range(6):
        shop.put(f"{seed}.jpg", draw(seed))
    shared = {
        **{
            f"LOOKALIKE_{name.upper()}": str(value)
            for name, value in over(milvus, "scaled").items()
        },
        "LOOKALIKE_API_KEYS": KEYS,
        "LOOKALIKE_SESSION_SECRET": "the same everywhere 0123456789",
    }
    with Server(shop, **shared) as coordinator:
        wait_for(lambda: _run(coordinator.url).status_code == 200, 30)
        stateless = {
            **shared,
            "LOOKALIKE_STORE_DIR": str(tmp_path / "none"),
            "LOOKALIKE_COORDINATOR_URL": coordinator.url,
        }
        with (
            Server(shop, "--no-ingest", **stateless) as one,
            Server(
                shop, "--no-ingest", **stateless, LOOKALIKE_CLIENT_KEY=KEEPER["X-API-Key"]
            ) as other,
        ):
            _answers_go_on(shop, [one.url, other.url])
            _passes_on(one.url, coordinator.url)
            # A session is the node's own; the node speaks for it where it was given a key.
            assert _asked_by_session(one.url).status_code == 401
            assert _asked_by_session(other.url).status_code == 200
            coordinator.process.kill()
            gone = requests.get(f"{one.url}/api/v1/runs", headers=KEEPER, timeout=10)
            assert (gone.status_code, gone.json()["code"]) == (503, "coordinator_unavailable")
            assert "LOOKALIKE_COORDINATOR_URL" in gone.json()["detail"]
            answer = requests.post(
                f"{one.url}/api/v1/find-similar",
                files={"file": draw(0)},
                headers=SEEKER,
                timeout=30,
            )
            assert answer.status_code == 200
    assert not (tmp_path / "none").exists()


def _asked_by_session(url: str) -> requests.Response:
    with requests.Session() as browser:
        browser.post(f"{url}/login", data={"key": KEEPER["X-API-Key"]}, timeout=10)
        return browser.get(f"{url}/api/v1/runs", timeout=10)


def _run(url: str) -> requests.Response:
    return requests.post(f"{url}/api/v1/preprocess", headers=KEEPER, timeout=60)


def _answers_go_on(shop: Shop, urls: list[str]) -> None:
    wrong, counts = list[str](), list[int]()
    stop = threading.Event()

    def ask(url: str) -> None:
        while not stop.is_set():
            answer = requests.post(
                f"{url}/api/v1/find-similar?threshold=-1",
                files={"file": draw(0)},
                headers=SEEKER,
                timeout=30,
            )
            if answer.status_code != 200 or answer.json()["matches"][0]["image_path"] != "0.jpg":
                wrong.append(answer.text)
            else:
                counts.append(answer.json()["total_compared"])

    threads = [threading.Thread(target=ask, args=(url,)) for url in urls]
    for thread in threads:
        thread.start()
    for seed in range(6, 12):
        shop.put(f"{seed}.jpg", draw(seed))
        assert _run(urls[seed % 2]).status_code == 200  # through a node, which passes it on
    wait_for(lambda: counts and counts[-1] == 12)
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert {6, 12} <= set(counts)


def _passes_on(node_url: str, coordinator_url: str) -> None:
    listed = requests.get(f"{node_url}/api/v1/runs?limit=2", headers=KEEPER, timeout=10)
    assert len(listed.json()["runs"]) == 2
    # The gate of the node, and behind it that of the coordinator.
    assert requests.get(f"{node_url}/api/v1/runs", timeout=10).status_code == 401
    assert requests.get(f"{node_url}/api/v1/runs", headers=SEEKER, timeout=10).status_code == 403
    missing = requests.get(f"{node_url}/api/v1/runs/999", headers=KEEPER, timeout=10)
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown_run")
    assert missing.headers["content-type"] == "application/problem+json"
    queued = requests.post(f"{node_url}/api/v1/preprocess?wait=false", headers=KEEPER, timeout=10)
    assert queued.status_code == 202
    assert queued.headers["location"].startswith("/api/v1/runs/")
    events = requests.get(
        f"{node_url}{queued.headers['location']}/events", headers=KEEPER, stream=True, timeout=20
    )
    assert events.headers["content-type"].startswith("text/event-stream")
    lines = [line for line in events.iter_lines() if line.startswith(b"data:")]
    assert b'"state":"succeeded"' in lines[-1]
    bad = requests.post(
        f"{node_url}/api/v1/items/retry", json={"paths": ["x"]}, headers=KEEPER, timeout=10
    )
    direct = requests.post(
        f"{coordinator_url}/api/v1/items/retry", json={"paths": ["x"]}, headers=KEEPER, timeout=10
    )
    assert (bad.status_code, bad.json()) == (direct.status_code, direct.json())
