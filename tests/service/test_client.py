"""The Python client, to wait for and to await, against the service as a process."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, Self

import pytest

from service import calls
from service.client import (
    AsyncLookalikeClient,
    LookalikeClient,
    RefusedError,
    ServiceUnreachableError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.service.conftest import Draw, Server


class Waited:
    """The asynchronous client, used as if it were the other one."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = AsyncLookalikeClient(url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run_until_complete(self._client.close())
        self._loop.close()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return lambda *args, **named: self._loop.run_until_complete(method(*args, **named))

    def follow_run(self, run_id: int) -> list[Any]:
        async def collect() -> list[Any]:
            return [run async for run in self._client.follow_run(run_id)]

        return self._loop.run_until_complete(collect())


@pytest.fixture(params=[LookalikeClient, Waited])
def shop(request: pytest.FixtureRequest, server: Server) -> Any:
    with request.param(server.url) as client:
        yield client


def test_searches(shop: Any, draw: Draw, tmp_path: Path) -> None:
    (tmp_path / "q.jpg").write_bytes(draw(6))
    for picture in (draw(6), tmp_path / "q.jpg", str(tmp_path / "q.jpg")):
        found = shop.find_similar(picture, top_k=1)
        assert found.matches[0].image_id == "shoes/s6"
    found = shop.find_similar(
        draw(6), 5, -1, filters={"colour": ["red", "blue"]}, group_by="product", facets=True,
        crop=(0, 0, 1, 0.5), describe=True,
    )  # fmt: skip
    assert {match.product_id for match in found.matches} == {"runner"}
    assert found.facets["colour"][0].count == 1
    assert found.description.colours
    batch = shop.find_similar_batch([draw(1), b"hello"], 1, filters={"colour": "red"})
    assert [result.success for result in batch.results] == [True, False]
    assert batch.results[1].error.code == "not_an_image"
    item = found.matches[0].image_path
    like = shop.search(images=[{"path": item}], top_k=3, threshold=-1, exclude=True, facets=True)
    assert item not in {match.image_path for match in like.matches}
    with pytest.raises(RefusedError) as refused:
        shop.search_text("a shoe")
    assert (refused.value.status, refused.value.problem_code) == (501, "no_text_tower")


def test_pictures(shop: Any, draw: Draw) -> None:
    assert shop.describe(draw(1), crop=(0, 0, 0.5, 0.5)).colours
    answer = shop.embeddings([draw(1), draw(2)], top=1)
    assert len(answer.embeddings) == 2
    assert shop.compare(draw(1), draw(1)).similarity_score == 1.0
    (score,) = shop.score_pairs([{"reference_image": "?", "generated_image": "?"}]).scores
    assert score.error.code == "invalid_base64"
    best = shop.find_similar(draw(6), top_k=1).matches[0]
    assert shop.image(best.image_url) == draw(6)
    assert shop.image(best.image_url, size=32).startswith(b"\xff\xd8")


def test_runs_and_items(shop: Any) -> None:
    assert shop.preprocess(verify=True).hashed == 12
    run = shop.queue_run(batch_size=4)
    seen = list(shop.follow_run(run.id))
    assert seen[-1].state == "succeeded"
    assert shop.run(run.id).finished_at
    assert shop.runs(limit=1).runs[0].id == run.id
    assert shop.folder_status().total_images == 12
    assert shop.items("indexed", limit=3).total == 12
    with pytest.raises(RefusedError, match="ended already"):
        shop.cancel_run(run.id)
    with pytest.raises(RefusedError) as refused:
        shop.retry_items(["none.jpg"])
    assert refused.value.problem_code == "nothing_to_retry"
    with pytest.raises(RefusedError) as unknown:
        list(shop.follow_run(10_000))
    assert unknown.value.problem_code == "unknown_run"


def test_health(shop: Any) -> None:
    assert shop.ping().message == "pong"
    assert shop.live()
    assert shop.ready().generation >= 1
    assert shop.health().model_loaded
    assert shop.stats().items["indexed"] == 12


def test_where_nobody_answers_the_address_is_named() -> None:
    with LookalikeClient("http://127.0.0.1:1") as client:
        with pytest.raises(ServiceUnreachableError, match=r"127\.0\.0\.1:1"):
            client.health()
        client.wait_until_ready(0.1)
    with Waited("http://127.0.0.1:1") as waited, pytest.raises(ServiceUnreachableError):
        waited.health()


def test_both_clients_have_every_call() -> None:
    made = {
        name
        for name, function in inspect.getmembers(calls, inspect.isfunction)
        if not name.startswith("_") and function.__module__ == calls.__name__
    }
    for client in (LookalikeClient, AsyncLookalikeClient):
        assert made <= set(dir(client))
        for name in made:
            assert getattr(client, name).__doc__


def test_a_key_travels_with_every_request() -> None:
    with LookalikeClient("http://127.0.0.1:1", api_key="secret") as client:
        assert client._http.headers["Authorization"] == "Bearer secret"
