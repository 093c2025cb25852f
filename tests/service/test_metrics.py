"""What Prometheus is told, and that dashboards and alerts speak of it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from service.metrics import Metrics
from tests.service.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.testclient import TestClient

    from tests.service.conftest import Draw, Shop

DASHBOARD = REPOSITORY / "deploy/grafana/lookalike.json"
ALERTS = REPOSITORY / "deploy/prometheus/alerts.yml"
ON_A_GPU = {"lookalike_gpu_memory_bytes"}

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(client: TestClient) -> Samples:
    """Every sample by name and labels."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[f"lookalike_{name}", tuple(sorted(labels.items()))]


def expressions() -> Iterator[str]:
    """All that the dashboard and the alert rules ask Prometheus."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


def test_requests_are_counted_by_route_template_and_status(shop: Shop, draw: Draw) -> None:
    shop.put("a.jpg", draw(1))
    shop.ingest()
    with shop.open() as client:
        assert client.post("/api/v1/find-similar", files={"file": draw(1)}).is_success
        client.post("/api/v1/find-similar", files={"file": b"words"})
        client.get("/api/v1/images/a.jpg")
        client.get("/made/up")
        client.get("/static/css/base.css")
        found = scrape(client)
    requests = "http_requests_total"
    search = {"method": "POST", "route": "/api/v1/find-similar"}
    assert value(found, requests, **search, status="200") == 1
    assert value(found, requests, **search, status="415") == 1
    image = {"method": "GET", "route": "/api/v1/images/{path}"}
    assert value(found, requests, **image, status="200") == 1
    assert value(found, requests, method="GET", route="none", status="404") == 1
    assert value(found, requests, method="GET", route="/static", status="200") == 1
    assert not any("made" in str(labels) for _, labels in found)


def test_a_search_is_measured_stage_by_stage(shop: Shop, draw: Draw) -> None:
    shop.put("a.jpg", draw(1))
    shop.ingest()
    with shop.open() as client:
        for _ in range(3):
            client.post("/api/v1/find-similar", files={"file": draw(2)})
        found = scrape(client)
    for stage in ("decode", "queue", "forward", "search"):
        assert value(found, "stage_duration_seconds_count", stage=stage) == 3
    assert value(found, "batch_pictures_sum") == 3
    assert value(found, "queue_depth") == 0


def test_the_store_and_its_runs_are_told(shop: Shop, draw: Draw) -> None:
    for seed in range(3):
        shop.put(f"{seed}.jpg", draw(seed))
    shop.put("torn.jpg", draw(9)[:900])
    run = shop.ingest()
    with shop.open() as client:
        found = scrape(client)
    assert value(found, "index_vectors") == value(found, "searchable_items") == 3
    assert value(found, "index_recall") == 1
    assert value(found, "generation") == run.generation
    assert value(found, "items", state="indexed") == 3
    assert value(found, "items", state="failed") == 1
    assert value(found, "runs_total", state="succeeded") == 1
    assert value(found, "ingest_files_total", what="embedded") == 3
    assert value(found, "ingest_files_total", what="failed") == 1
    assert value(found, "last_successful_run_timestamp_seconds") == run.finished_at
    assert value(found, "ready") == 1
    assert value(found, "store_problems") == value(found, "ingest_daemon_up") == 0
    assert value(found, "model_info", spec="classic", device="cpu") == 1


def test_a_damaged_store_shows(shop: Shop, draw: Draw) -> None:
    shop.put("a.jpg", draw(1))
    shop.ingest()
    segment = next((shop.settings.store_dir / "segments").iterdir())
    segment.write_bytes(b"not what was written")
    with shop.open() as client:
        found = scrape(client)
    assert value(found, "store_problems") >= 1
    assert value(found, "ready") == 0


def test_two_services_in_one_process_count_apart(shop: Shop) -> None:
    with shop.open() as one, shop.open() as other:
        one.get("/health/live")
        assert any("/health/live" in str(labels) for _, labels in scrape(one))
        assert not any("/health/live" in str(labels) for _, labels in scrape(other))


def test_searches_of_the_last_minutes_are_summed_up() -> None:
    now = [0.0]
    metrics = Metrics(clock=lambda: now[0])
    for milliseconds in range(1, 101):
        metrics.answered("POST", "/api/v1/find-similar", 200, milliseconds / 1000)
    metrics.answered("POST", "/api/v1/find-similar", 415, 9.0)
    metrics.answered("GET", "/stats", 200, 9.0)
    pace = metrics.query_pace()
    assert (pace.count, pace.p50_s, pace.p95_s) == (100, 0.051, 0.096)
    now[0] = 301.0
    assert metrics.query_pace().count == 0
    assert metrics.query_pace().p50_s is None


@pytest.mark.parametrize("source", [DASHBOARD, ALERTS], ids=lambda path: path.name)
def test_every_metric_that_a_dashboard_or_alert_names_exists(
    client: TestClient, draw: Draw, source: Any
) -> None:
    client.post("/api/v1/find-similar", files={"file": draw(1)})
    told = {name for name, _ in scrape(client)} | ON_A_GPU
    named = set(re.findall(r"lookalike_\w+", " ".join(expressions())))
    assert named <= told
    inside = set(re.findall(r"\blookalike_[a-z_]+", source.read_text()))
    assert inside <= told
