"""The service follows the store, model and all."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from core.errors import ModelLoadError, StoreModelError
from service.snapshots import SnapshotKeeper

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.testclient import TestClient

    from core.settings import Settings
    from tests.service.conftest import Draw, Shop, WaitFor

TINY = "timm:test_resnet"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_weights(tmp_path_factory.mktemp("weights") / "tiny.pt", seed=0)


def make_weights(file: Path, seed: int) -> Path:
    """A checkpoint of a tiny network, as anyone would save theirs."""
    import timm  # noqa: PLC0415  # most tests of this folder never load torch
    import torch  # noqa: PLC0415

    torch.manual_seed(seed)
    torch.save(timm.create_model("test_resnet", pretrained=False).state_dict(), file)
    return file


def matches(client: TestClient, content: bytes) -> list[str]:
    answer = client.post("/api/v1/find-similar", files={"file": content}, params={"threshold": -1})
    assert answer.status_code == 200, answer.text
    return [match["image_id"] for match in answer.json()["matches"]]


def test_what_another_process_publishes_is_found_within_a_second(
    shop: Shop, draw: Draw, wait_for: WaitFor
) -> None:
    with shop.open() as client:
        shop.put("a.jpg", draw(1))
        shop.ingest()
        wait_for(lambda: matches(client, draw(1)) == ["a"], timeout_s=1)
        (shop.folder / "a.jpg").unlink()
        shop.ingest()
        wait_for(lambda: matches(client, draw(1)) == [], timeout_s=1)
        shop.put("a.jpg", draw(1))
        shop.ingest()
        wait_for(lambda: matches(client, draw(1)) == ["a"], timeout_s=1)


def test_searches_never_fail_while_the_store_moves_on(shop: Shop, draw: Draw) -> None:
    shop.put("fixed.jpg", draw(1))
    shop.ingest()
    stop = threading.Event()

    def search(client: TestClient) -> int:
        count = 0
        while not stop.is_set():
            assert "fixed" in matches(client, draw(1))[:3]
            count += 1
        return count

    with shop.open() as client, ThreadPoolExecutor(4) as pool:
        searches = [pool.submit(search, client) for _ in range(4)]
        for seed in range(2, 8):
            shop.put(f"{seed}.jpg", draw(seed))
            if seed % 2:
                (shop.folder / f"{seed - 1}.jpg").unlink()
            shop.ingest()
        stop.set()
        assert all(future.result() > 0 for future in searches)


def test_a_new_space_is_answered_by_its_own_model_once_it_is_live(
    shop: Shop, draw: Draw, weights: Path, wait_for: WaitFor
) -> None:
    for seed in range(3):
        shop.put(f"{seed}.jpg", draw(seed))
    shop.ingest()
    with shop.open() as client:
        assert client.get("/health").json()["model_type"] == "classic"
        shop.ingest(shop.with_settings(model=TINY, model_weights=weights))
        wait_for(lambda: client.get("/health").json()["model_type"] == TINY)
        assert matches(client, draw(2))[0] == "2"
        assert client.get("/health/ready").status_code == 200


def test_the_live_spaces_model_answers_though_another_is_chosen(
    shop: Shop, draw: Draw, weights: Path
) -> None:
    shop.put("a.jpg", draw(1))
    shop.ingest(shop.with_settings(model=TINY, model_weights=weights))
    with shop.open() as client:
        assert client.get("/health").json()["model_type"] == TINY
        assert matches(client, draw(1)) == ["a"]


def test_weights_that_moved_are_taken_from_where_the_settings_say(
    shop: Shop, draw: Draw, tmp_path: Path
) -> None:
    shop.put("a.jpg", draw(1))
    old = make_weights(tmp_path / "old.pt", seed=1)
    shop.ingest(shop.with_settings(model=TINY, model_weights=old))
    new = old.rename(tmp_path / "new.pt")
    with shop.open(model=TINY, model_weights=new) as client:
        assert matches(client, draw(1)) == ["a"]


def test_a_model_that_is_gone_stops_the_start_naming_the_settings(
    shop: Shop, draw: Draw, tmp_path: Path
) -> None:
    shop.put("a.jpg", draw(1))
    weights = make_weights(tmp_path / "w.pt", seed=2)
    shop.ingest(shop.with_settings(model=TINY, model_weights=weights))
    weights.unlink()
    for settings in (shop.settings, shop.with_settings(model=TINY, model_weights=weights)):
        message = refusal(settings, StoreModelError)
        for name in ("LOOKALIKE_MODEL", "LOOKALIKE_MODEL_WEIGHTS", "lookalike-ingest run"):
            assert name in message
    make_weights(weights, seed=3)
    assert "other vectors" in refusal(shop.settings, StoreModelError)


def test_an_empty_store_needs_the_chosen_model(shop: Shop, tmp_path: Path) -> None:
    settings = shop.with_settings(model=TINY, model_weights=tmp_path / "none.pt")
    assert "LOOKALIKE_MODEL_WEIGHTS" in refusal(settings, ModelLoadError)


def refusal(settings: Settings, kind: type[Exception]) -> str:
    keeper = SnapshotKeeper(settings)
    with pytest.raises(kind) as refused:
        keeper.load()
    keeper.stop()
    return str(refused.value)


def test_a_new_space_whose_model_is_gone_leaves_the_old_one_answering_and_is_reported(
    shop: Shop,
    draw: Draw,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop.put("a.jpg", draw(1))
    shop.ingest()
    weights = make_weights(tmp_path / "w.pt", seed=4)
    keeper = SnapshotKeeper(shop.settings)
    keeper.load()
    shop.ingest(shop.with_settings(model=TINY, model_weights=weights))
    weights.rename(tmp_path / "away.pt")
    with caplog.at_level(logging.ERROR):
        keeper.refresh()
        keeper.refresh()
    assert len(caplog.records) == 1
    assert keeper.view is not None
    assert keeper.view.embedder.spec == "classic"
    assert "LOOKALIKE_MODEL" in keeper.problems[0]
    (tmp_path / "away.pt").rename(weights)
    keeper.refresh()
    assert keeper.problems  # not tried at every look
    monkeypatch.setattr("service.snapshots._RETRY_S", 0.0)
    keeper._refused = (-1, 0.0)
    keeper.refresh()
    assert keeper.view.embedder.spec == TINY
    assert not keeper.problems
    keeper.stop()


def test_an_unexpected_error_does_not_end_the_watching(
    shop: Shop, draw: Draw, monkeypatch: pytest.MonkeyPatch, wait_for: WaitFor
) -> None:
    def fail(*_: Any) -> None:
        raise OSError("the disk is gone")

    with shop.open() as client:
        with monkeypatch.context() as patch:
            patch.setattr("service.snapshots.read_snapshot", fail)
            patch.setattr("service.snapshots._RETRY_S", 0.0)
            shop.put("a.jpg", draw(1))
            shop.ingest()
            wait_for(lambda: client.get("/health").json()["status"] == "degraded")
            assert client.get("/health/ready").json()["problems"] == ["the disk is gone"]
        wait_for(lambda: client.get("/health").json()["status"] == "healthy")
        assert matches(client, draw(1)) == ["a"]
