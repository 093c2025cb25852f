"""Runs started over HTTP, as the contract's clients start them."""

from __future__ import annotations

import json
import os
import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING

from core.records import RunCounters, RunOptions, RunState
from core.store.catalog import Catalog
from core.store.runs import Outcome

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from tests.service.conftest import Draw, Shop, WaitFor

PREPROCESS = "/api/v1/preprocess"


def find(client: TestClient, content: bytes) -> list[str]:
    answer = client.post("/api/v1/find-similar", files={"file": content}).json()
    return [match["image_path"] for match in answer["matches"]]


def test_a_run_answers_in_the_words_of_the_contract_and_the_next_search_sees_it(
    shop: Shop, draw: Draw
) -> None:
    shop.put("a.jpg", draw(1))
    shop.put("b.jpg", draw(2))
    with shop.daemon(), shop.open() as client:
        answer = client.post(PREPROCESS)
        assert find(client, draw(2))[0] == "b.jpg"
    run = answer.json()
    assert answer.status_code == 200
    assert run["success"] is True
    assert (run["total_images"], run["new_images"]) == (2, 2)
    assert (run["removed_images"], run["failed_images"], run["moved_images"]) == (0, 0, 0)
    assert run["processing_time"] > 0
    assert run["message"] == "Successfully processed 2 new images"
    assert (run["id"], run["run_id"], run["state"], run["embedded"]) == (1, 1, "succeeded", 2)


def test_every_kind_of_change_is_counted_and_searchable_at_once(shop: Shop, draw: Draw) -> None:
    for seed in range(6):
        shop.put(f"{seed}.jpg", draw(seed))
    with shop.daemon(), shop.open() as client:
        client.post(PREPROCESS)
        shop.put("new.jpg", draw(10))
        shop.put("0.jpg", draw(11))
        (shop.folder / "1.jpg").rename(shop.folder / "moved.jpg")
        (shop.folder / "2.jpg").unlink()
        shop.put("broken.jpg", b"not a picture")
        run = client.post(PREPROCESS).json()
        assert (run["new_images"], run["removed_images"], run["moved_images"]) == (2, 1, 1)
        assert (run["failed_images"], run["embedded"], run["success"]) == (1, 2, True)
        assert find(client, draw(10))[0] == "new.jpg"
        assert find(client, draw(11))[0] == "0.jpg"
        assert find(client, draw(1))[0] == "moved.jpg"
        assert "2.jpg" not in find(client, draw(2))


def test_the_options_reach_the_run(shop: Shop, draw: Draw) -> None:
    shop.put("a.jpg", draw(1))
    with shop.daemon(), shop.open() as client:
        client.post(PREPROCESS)
        params = {"force_full": True, "verify": True, "batch_size": 7, "allow_mass_removal": True}
        run = client.post(PREPROCESS, params=params).json()
    assert run["options"] == params
    assert run["embedded"] == 1


def test_batch_size_is_bounded(client: TestClient) -> None:
    for size in (0, 129, "x"):
        assert client.post(PREPROCESS, params={"batch_size": size}).status_code == 422


def test_without_waiting_the_answer_names_a_run_to_follow(
    shop: Shop, draw: Draw, wait_for: WaitFor
) -> None:
    shop.put("a.jpg", draw(1))
    with shop.daemon(), shop.open() as client:
        answer = client.post(PREPROCESS, params={"wait": False})
        assert answer.status_code == 202
        run = answer.headers["location"]
        assert run == f"/api/v1/runs/{answer.json()['run_id']}"
        wait_for(lambda: client.get(run).json()["state"] == "succeeded")
        wait_for(lambda: find(client, draw(1)) == ["a.jpg"])


def test_a_run_in_progress_is_named_by_the_refusal(shop: Shop) -> None:
    with shop.open() as client:
        catalog = Catalog(shop.settings.store_dir)
        catalog.set_note("daemon", json.dumps({"pid": 1, "heartbeat_at": time.time()}))
        queued = client.post(PREPROCESS, params={"wait": False}).json()["run_id"]
        for state in (RunState.QUEUED, RunState.RUNNING):
            answer = client.post(PREPROCESS)
            assert (answer.status_code, answer.json()["code"]) == (409, "run_in_progress")
            assert answer.json()["run_id"] == queued
            assert answer.headers["location"] == f"/api/v1/runs/{queued}"
            if state is RunState.QUEUED:
                catalog.runs.claim()
        catalog.close()


def test_a_mass_removal_is_refused_naming_what_allows_it(shop: Shop, draw: Draw) -> None:
    for seed in range(60):
        shop.put(f"{seed}.jpg", draw(seed % 3))
    with shop.daemon(), shop.open() as client:
        client.post(PREPROCESS)
        for seed in range(59):
            (shop.folder / f"{seed}.jpg").unlink()
        refused = client.post(PREPROCESS)
        assert (refused.status_code, refused.json()["code"]) == (409, "mass_removal_refused")
        assert "allow_mass_removal" in refused.json()["detail"].replace("-", "_")
        assert refused.json()["run_id"] == 2
        allowed = client.post(PREPROCESS, params={"allow_mass_removal": True}).json()
        assert allowed["removed_images"] == 59


def test_a_folder_that_went_away_fails_the_run_and_leaves_the_catalogue(
    shop: Shop, draw: Draw
) -> None:
    shop.put("a.jpg", draw(1))
    with shop.daemon(), shop.open() as client:
        client.post(PREPROCESS)
        shop.folder.rename(shop.folder.with_name("unmounted"))
        answer = client.post(PREPROCESS)
        assert (answer.status_code, answer.json()["code"]) == (503, "image_folder_unreadable")
        assert client.get(f"{PREPROCESS}/status").status_code == 503
        assert find(client, draw(1)) == ["a.jpg"]


def test_without_a_daemon_no_run_is_queued(shop: Shop) -> None:
    with shop.open() as client:
        answer = client.post(PREPROCESS)
        assert (answer.status_code, answer.json()["code"]) == (503, "no_ingest_daemon")
        assert client.get("/api/v1/runs").json() == {"runs": [], "total": 0}


def test_a_daemon_not_heard_of_for_long_counts_as_none(shop: Shop) -> None:
    with shop.open() as client:
        catalog = Catalog(shop.settings.store_dir)
        catalog.set_note("daemon", json.dumps({"pid": 1, "heartbeat_at": time.time() - 16}))
        catalog.close()
        assert client.post(PREPROCESS).json()["code"] == "no_ingest_daemon"
        assert client.get("/stats").json()["ingest"]["alive"] is False


def test_a_run_cancelled_while_it_is_waited_for_is_a_problem(shop: Shop, wait_for: WaitFor) -> None:
    with shop.open() as client:
        catalog = Catalog(shop.settings.store_dir)
        catalog.set_note("daemon", json.dumps({"pid": 1, "heartbeat_at": time.time()}))
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(client.post(PREPROCESS)))
        waiting.start()
        wait_for(catalog.runs.active)
        assert client.post("/api/v1/runs/1/cancel").status_code == 202
        waiting.join()
        catalog.close()
    assert (answers[0].status_code, answers[0].json()["code"]) == (409, "run_cancelled")


def test_status_of_an_empty_shop_is_all_zero(shop: Shop) -> None:
    with shop.open() as client:
        assert client.get(f"{PREPROCESS}/status").json() == {
            "total_images": 0,
            "processed_images": 0,
            "pending_images": 0,
            "removed_images": 0,
            "feature_file_exists": False,
            "metadata_file_exists": True,
            "last_update": None,
        }


def test_status_counts_what_a_run_would_find_and_nothing_is_pending_after_it(
    shop: Shop, draw: Draw
) -> None:
    for seed in range(4):
        shop.put(f"{seed}.jpg", draw(seed))
    shop.put("broken.jpg", b"not a picture")
    shop.put("notes.txt", b"notes")
    shop.ingest()
    with shop.open() as client:
        status = client.get(f"{PREPROCESS}/status").json()
        assert (status["total_images"], status["processed_images"]) == (5, 5)
        assert (status["pending_images"], status["removed_images"]) == (0, 0)
        assert status["feature_file_exists"] is True
        updated = datetime.strptime(status["last_update"], "%Y-%m-%dT%H:%M:%S")  # noqa: DTZ007
        assert abs(time.time() - updated.timestamp()) < 60
        shop.put("new.png", draw(9, "PNG"))
        shop.put("more.txt", b"more notes")
        os.utime(shop.put("0.jpg", draw(8)), ns=(1, 1))
        (shop.folder / "1.jpg").unlink()
        status = client.get(f"{PREPROCESS}/status").json()
    assert (status["total_images"], status["processed_images"]) == (5, 3)
    assert (status["pending_images"], status["removed_images"]) == (2, 1)


def test_status_reads_names_and_stats_only(shop: Shop, draw: Draw) -> None:
    shop.put("a.jpg", draw(1))
    shop.ingest()
    (shop.folder / "a.jpg").write_bytes(b"x" * len(draw(1)))
    os.utime(shop.folder / "a.jpg", ns=(5, 5))
    with shop.open() as client:
        before = Catalog(shop.settings.store_dir)
        generation = before.generation()
        client.get(f"{PREPROCESS}/status")
        assert before.generation() == generation
        before.close()


def test_failed_runs_of_unknown_kind_are_ours(shop: Shop, wait_for: WaitFor) -> None:
    with shop.open() as client:
        catalog = Catalog(shop.settings.store_dir)
        catalog.set_note("daemon", json.dumps({"pid": 1, "heartbeat_at": time.time()}))
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(client.post(PREPROCESS)))
        waiting.start()
        wait_for(catalog.runs.active)
        run = catalog.runs.claim()
        outcome = Outcome(RunState.FAILED, "It broke.", "internal_error")
        catalog.runs.finish(run.id, outcome, RunCounters())
        waiting.join()
        assert catalog.runs.get(run.id).options == RunOptions()
        catalog.close()
    assert (answers[0].status_code, answers[0].json()["code"]) == (500, "internal_error")
    assert answers[0].json()["detail"] == "It broke."
