"""The history of runs, one of them, its progress, an end to it."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

from core.records import RunCounters, RunOptions, RunState
from core.store.catalog import Catalog
from core.store.runs import Outcome

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from tests.service.conftest import Draw, Shop


def test_runs_are_listed_newest_first_command_line_ones_included(shop: Shop, draw: Draw) -> None:
    shop.put("a.jpg", draw(1))
    shop.ingest()
    shop.ingest(verify=True)
    with shop.open() as client:
        answer = client.get("/api/v1/runs").json()
        assert answer["total"] == 2
        assert [run["id"] for run in answer["runs"]] == [2, 1]
        first = answer["runs"][1]
        assert (first["state"], first["trigger"], first["embedded"]) == ("succeeded", "cli", 1)
        assert client.get("/api/v1/runs/1").json() == first
        page = client.get("/api/v1/runs", params={"limit": 1, "offset": 1}).json()
        assert [run["id"] for run in page["runs"]] == [1]
        assert client.get("/api/v1/runs", params={"state": "failed"}).json()["runs"] == []


def test_events_tell_every_change_until_the_run_ends(shop: Shop) -> None:
    catalog = Catalog(shop.settings.store_dir)
    run = catalog.runs.queue(RunOptions(), "api")
    states = []

    def follow(client: TestClient) -> None:
        with client.stream("GET", f"/api/v1/runs/{run.id}/events") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    told = json.loads(line.removeprefix("data:"))
                    states.append((told["state"], told["embedded"]))

    with shop.open() as client:
        follower = threading.Thread(target=follow, args=(client,))
        follower.start()
        time.sleep(0.3)
        catalog.runs.claim()
        time.sleep(0.3)
        catalog.runs.progress(run.id, RunCounters(planned=10, settled=4, embedded=4))
        time.sleep(0.3)
        catalog.runs.finish(run.id, Outcome(RunState.SUCCEEDED, "done"), RunCounters(embedded=10))
        follower.join(timeout=10)
        assert not follower.is_alive()
    assert states == [("queued", 0), ("running", 0), ("running", 4), ("succeeded", 10)]
    catalog.close()


def test_a_queued_run_is_cancelled_at_once_and_a_running_one_asked(shop: Shop) -> None:
    catalog = Catalog(shop.settings.store_dir)
    with shop.open() as client:
        catalog.runs.queue(RunOptions(), "api")
        answer = client.post("/api/v1/runs/1/cancel")
        assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")
        catalog.runs.queue(RunOptions(), "api")
        catalog.runs.claim()
        answer = client.post("/api/v1/runs/2/cancel")
        assert (answer.json()["state"], answer.json()["cancel_requested"]) == ("running", True)
        over = client.post("/api/v1/runs/1/cancel")
        assert (over.status_code, over.json()["code"]) == (409, "run_over")
        assert client.post("/api/v1/runs/9/cancel").status_code == 404
    catalog.close()
