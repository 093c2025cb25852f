"""How the service is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from tests.service.conftest import Draw, Shop, WaitFor


def test_health_carries_the_fields_of_both_contracts(client: TestClient) -> None:
    answer = client.get("/health").json()
    assert answer == {
        "status": "healthy",
        "model_loaded": True,
        "features_loaded": True,
        "total_products": 12,
        "device": "cpu",
        "model_type": "classic",
        "problems": [],
    }


def test_stats_say_how_much_there_is(client: TestClient) -> None:
    answer = client.get("/stats").json()
    assert answer["total_products"] == 12
    assert answer["feature_dimension"] == answer["space"]["dimension"]
    assert answer["memory_usage_mb"] > 0
    assert answer["feature_file_size_mb"] > 0
    assert answer["model"] == "classic"
    assert answer["index"] == {"kind": "exact", "vectors": 12, "recall": None}
    assert answer["items"] == {"indexed": 12, "failed": 0, "missing": 0}


def test_probes_answer(client: TestClient) -> None:
    assert client.get("/health/live").json() == {"status": "alive"}
    assert client.get("/health/ready").json()["status"] == "ready"


def test_an_empty_store_is_ready_and_holds_nothing(shop: Shop) -> None:
    with shop.open() as client:
        assert client.get("/health/ready").status_code == 200
        health = client.get("/health").json()
        assert (health["model_loaded"], health["features_loaded"]) == (True, False)
        stats = client.get("/stats").json()
        assert (stats["space"], stats["index"], stats["total_products"]) == (None, None, 0)


def test_a_damaged_segment_makes_it_unready_naming_the_file_until_a_run_mends_it(
    shop: Shop, draw: Draw, wait_for: WaitFor
) -> None:
    shop.put("a.jpg", draw(1))
    shop.ingest()
    (segment,) = (shop.settings.store_dir / "segments").iterdir()
    segment.write_bytes(b"\x00" * segment.stat().st_size)
    with shop.open() as client:
        answer = client.get("/health/ready")
        assert answer.status_code == 503
        assert answer.json()["code"] == "not_ready"
        assert segment.name in answer.json()["problems"][0]
        assert client.get("/health").json()["status"] == "degraded"
        shop.ingest()
        wait_for(lambda: client.get("/health/ready").status_code == 200)
        found = client.post("/api/v1/find-similar", files={"file": draw(1)}).json()
        assert found["matches"][0]["image_id"] == "a"


def test_a_damaged_index_changes_no_answer(shop: Shop, draw: Draw) -> None:
    for seed in range(5):
        shop.put(f"{seed}.jpg", draw(seed))
    shop.ingest()
    for file in (shop.settings.store_dir / "index").iterdir():
        file.write_bytes(b"\x00" * file.stat().st_size)
    with shop.open() as client:
        ready = client.get("/health/ready")
        assert ready.status_code == 200
        assert ".faiss" in ready.json()["warnings"][0]
        found = client.post("/api/v1/find-similar", files={"file": draw(3)}).json()
        assert found["matches"][0]["image_id"] == "3"
