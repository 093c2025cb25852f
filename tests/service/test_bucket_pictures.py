"""The service over photos in object storage."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING

import fsspec
import pytest
from PIL import Image
from starlette.testclient import TestClient

from core.records import RunOptions, RunState
from core.settings import Settings
from core.source import objects
from ingest.runner import run_now
from ingest.watch import watch_folder
from service.app import create_app
from tests.processes import wait_for
from tests.service.conftest import draw

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class MemoryShop:
    """Photos in memory, and the store made of them."""

    def __init__(self, store: Path) -> None:
        self.files = fsspec.filesystem("memory")
        self.store = store

    def settings(self, **chosen: object) -> Settings:
        base = {"image_dir": "memory://shop/photos", "store_dir": self.store, "decode_workers": 1}
        return Settings.load(**{**base, **chosen})

    def put(self, path: str, content: bytes) -> None:
        self.files.pipe(f"/shop/photos/{path}", content)

    def ingest(self) -> None:
        run = run_now(self.settings(), RunOptions(), "cli", threading.Event())
        assert run.state is RunState.SUCCEEDED, run.message

    def open(self, **chosen: object) -> TestClient:
        return TestClient(create_app(self.settings(**chosen)))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[MemoryShop]:
    made = MemoryShop(tmp_path / "store")
    for number in range(3):
        made.put(f"shoes/s {number}.jpg", draw(number))
    made.ingest()
    yield made
    made.files.store.clear()
    made.files.pseudo_dirs[:] = [""]


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that have been fetched."""
    asked = list[str]()
    fetch = objects.ObjectStore.fetch

    def counted(self: objects.ObjectStore, path: str, *rest: object) -> objects.Fetched:
        asked.append(path)
        return fetch(self, path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(objects.ObjectStore, "fetch", counted)
    return asked


def test_found_pictures_and_thumbnails_are_served_and_fetched_once(
    shop: MemoryShop, fetched: list[str]
) -> None:
    with shop.open() as client:
        found = client.post("/api/v1/find-similar", files={"file": draw(1)}).json()["matches"]
        url = found[0]["image_url"]
        assert url == "/api/v1/images/shoes/s%201.jpg"
        whole = client.get(url)
        assert (whole.status_code, whole.headers["content-type"]) == (200, "image/jpeg")
        assert Image.open(io.BytesIO(whole.content)).size == (120, 100)
        small = client.get(url, params={"size": 32})
        assert max(Image.open(io.BytesIO(small.content)).size) == 32
        part = client.get(url, headers={"Range": "bytes=0-9"})
        assert (part.status_code, part.content) == (206, whole.content[:10])
        tag = {"If-None-Match": whole.headers["etag"]}
        assert client.get(url, headers=tag).status_code == 304
        assert fetched == ["shoes/s 1.jpg"]
        for path in ("shoes/none.jpg", "../photos/shoes/s%200.jpg", "shoes/%2e%2e/x"):
            assert client.get(f"/api/v1/images/{path}").status_code == 404
        assert fetched == ["shoes/s 1.jpg"]


def test_the_cache_is_bounded_and_pictures_fetched_again_keep_their_etag(
    shop: MemoryShop, fetched: list[str]
) -> None:
    with shop.open(image_cache_mb=0.000001) as client:
        urls = [f"/api/v1/images/shoes/s {number}.jpg" for number in range(3)]
        tags = [client.get(url).headers["etag"] for url in urls]
        assert [client.get(url).headers["etag"] for url in urls] == tags
    assert len(fetched) == 6


def test_a_picture_whose_object_is_gone_or_whose_storage_is_down(
    shop: MemoryShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with shop.open() as client:
        shop.files.rm("/shop/photos/shoes/s 0.jpg")
        assert client.get("/api/v1/images/shoes/s 0.jpg").status_code == 404

        def broken(*_: object) -> objects.Fetched:
            raise OSError("not today")

        monkeypatch.setattr(objects.ObjectStore, "fetch", broken)
        answer = client.get("/api/v1/images/shoes/s 1.jpg")
        assert (answer.status_code, answer.json()["code"]) == (503, "image_folder_unreadable")
        assert "not today" in answer.json()["detail"]


def test_whole_pictures_can_be_had_elsewhere(shop: MemoryShop, fetched: list[str]) -> None:
    with shop.open(image_redirect="https://cdn.example/shop/") as client:
        url = "/api/v1/images/shoes/s 1.jpg"
        answer = client.get(url, follow_redirects=False)
        assert answer.status_code == 307
        assert answer.headers["location"] == "https://cdn.example/shop/shoes/s%201.jpg"
        assert not fetched
        assert client.get(url, params={"size": 16}).status_code == 200
        gone = client.get("/api/v1/images/none.jpg", follow_redirects=False)
        assert gone.status_code == 404


def test_the_folder_status_is_listed_once_for_many_who_ask(
    shop: MemoryShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks = list[int]()
    walk = objects.ObjectStore.walk

    def counted(self: objects.ObjectStore) -> object:
        walks.append(1)
        return walk(self)

    monkeypatch.setattr(objects.ObjectStore, "walk", counted)
    with shop.open() as client:
        shop.put("new.jpg", draw(9))
        for _ in range(3):
            status = client.get("/api/v1/preprocess/status").json()
            assert (status["total_images"], status["pending_images"]) == (4, 1)
        assert len(walks) == 1
        shop.ingest()
        status = client.get("/api/v1/preprocess/status").json()
        assert (status["total_images"], status["pending_images"]) == (4, 0)
        operations = client.get("/api/v1/operations").json()
        assert [disk["folder"] for disk in operations["disks"]] == ["store"]
        assert 'disk_free_bytes{folder="images"}' not in client.get("/metrics").text


def test_watching_lists_object_storage_and_runs_only_after_changes(shop: MemoryShop) -> None:
    stop = threading.Event()
    runs = list[int]()

    def watch() -> None:
        watched = watch_folder(shop.settings(), stop, 0.05, interval_s=0.05)
        runs.extend(run.counters.new for run in watched)

    thread = threading.Thread(target=watch)
    thread.start()
    wait_for(lambda: len(runs) == 1)
    stop.wait(0.5)
    shop.put("new.jpg", draw(9))
    wait_for(lambda: sum(runs) == 1)
    stop.set()
    thread.join(timeout=10)
    assert not thread.is_alive()
    assert len(runs) == 2
