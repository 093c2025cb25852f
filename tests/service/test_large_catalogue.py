"""A hundred thousand photos: filters stay exact however little they leave, and facets true."""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from core.records import FileStat, ModelIdentity
from core.settings import Settings
from core.store.catalog import Catalog
from core.store.commit import Commit, IndexedFile, Label, NewSegment
from core.store.segments import SegmentRows, write_segment
from core.vision import models
from core.vision.models import ModelSource, load_embedder
from ingest.maintain import save_index
from service.app import create_app
from tests.tiny_model import DIMENSION, TINY_FAMILY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.service.conftest import Draw

COUNT = 100_000
FIND = "/api/v1/find-similar"


def attributes(number: int) -> dict[str, str]:
    rare = {"rare": "yes"} if number in (17, 50_000, 99_999) else {}
    return {"tenth": str(number % 10), "hundredth": str(number % 100), **rare}


@pytest.fixture(scope="module")
def vectors() -> NDArray[np.float32]:
    rows = np.random.default_rng(3).normal(size=(COUNT, DIMENSION)).astype(np.float32)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


@pytest.fixture(scope="module")
def client(
    tmp_path_factory: pytest.TempPathFactory, vectors: NDArray[np.float32]
) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("large")
    (folder / "images").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "FAMILIES", (*models.FAMILIES, TINY_FAMILY))
        fill(folder / "store", vectors)
        settings = Settings.load(
            image_dir=folder / "images", store_dir=folder / "store", model="tiny"
        )
        with TestClient(create_app(settings)) as client:
            yield client


def fill(store: Path, vectors: NDArray[np.float32]) -> None:
    embedder = load_embedder(ModelSource("tiny", None))
    identity = ModelIdentity("tiny", None, embedder.fingerprint, DIMENSION, 0.5)
    md5s = [hashlib.md5(str(number).encode()).digest() for number in range(COUNT)]
    stat = FileStat(1, 1, 1)
    with closing(Catalog(store)) as catalog:
        space = catalog.ensure_space(identity)
        rows = SegmentRows(
            embedding=vectors,
            md5=np.frombuffer(b"".join(md5s), np.uint8).reshape(-1, 16),
            at_ms=np.full(COUNT, -1, np.int32),
        )
        record = write_segment(store, catalog.next_segment_id(), space.id, space.fingerprint, rows)
        paths = [f"{number:06}.jpg" for number in range(COUNT)]
        files = [
            IndexedFile(path, stat, md5, racy=False) for path, md5 in zip(paths, md5s, strict=True)
        ]
        labels = [
            Label(path, f"product-{number // 4}", json.dumps(attributes(number)))
            for number, path in enumerate(paths)
        ]
        catalog.publish(space, Commit(segment=NewSegment(record, rows), indexed=files))
        catalog.publish(space, Commit(labels=labels))
        save_index(catalog, space, exact_up_to=1000)


def scores_of(
    client: TestClient, vectors: NDArray[np.float32], picture: bytes
) -> NDArray[np.float32]:
    embedder = client.app.state.collaborators.keeper.view.embedder
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    return vectors.astype(np.float32) @ embedder.embed(embedder.prepare(image)[None])[0]


def ask(client: TestClient, picture: bytes, **params: Any) -> Any:
    answer = client.post(FIND, files={"file": picture}, params={"threshold": -1, **params})
    assert answer.status_code == 200, answer.text
    return answer.json()


def numbers(answer: Any) -> list[int]:
    return [int(match["image_id"]) for match in answer["matches"]]


def test_the_index_is_a_graph(client: TestClient) -> None:
    assert client.get("/stats").json()["index"]["kind"].startswith("HNSW")


def test_a_filter_that_leaves_three_of_all_gives_those_three(
    client: TestClient, vectors: NDArray[np.float32], draw: Draw
) -> None:
    for seed in range(5):
        scores = scores_of(client, vectors, draw(seed))
        expected = sorted((17, 50_000, 99_999), key=lambda number: -scores[number])
        answer = ask(client, draw(seed), filter="rare:yes")
        assert numbers(answer) == expected
        for match in answer["matches"]:
            assert match["similarity_score"] == pytest.approx(
                scores[int(match["image_id"])], abs=1e-5
            )
        assert answer["total_compared"] == COUNT


@pytest.mark.parametrize(
    "filters", [["hundredth:7"], ["hundredth:7", "hundredth:8"], ["tenth:7", "hundredth:17"]]
)
def test_a_narrow_filter_finds_what_brute_force_finds(
    client: TestClient, vectors: NDArray[np.float32], draw: Draw, filters: list[str]
) -> None:
    wanted: dict[str, set[str]] = {}
    for text in filters:
        key, _, value = text.partition(":")
        wanted.setdefault(key, set()).add(value)
    passing = [
        number
        for number in range(COUNT)
        if all(attributes(number).get(key) in values for key, values in wanted.items())
    ]
    scores = scores_of(client, vectors, draw(6))
    expected = sorted(passing, key=lambda number: -scores[number])[:50]
    assert numbers(ask(client, draw(6), filter=filters, top_k=50)) == expected


def test_a_wide_filter_fills_the_answer_with_what_passes(client: TestClient, draw: Draw) -> None:
    answer = ask(client, draw(7), filter=[f"tenth:{digit}" for digit in range(5)], top_k=100)
    assert len(answer["matches"]) == 100
    assert all(int(match["attributes"]["tenth"]) < 5 for match in answer["matches"])


def test_facets_of_all_matches_equal_brute_force(
    client: TestClient, vectors: NDArray[np.float32], draw: Draw
) -> None:
    scores = scores_of(client, vectors, draw(8))
    for threshold, filters in ((0.2, []), (0.1, ["tenth:3", "tenth:4"]), (-1, ["rare:yes"])):
        passing = [
            number
            for number in np.flatnonzero(scores.round(6) >= threshold)
            if not filters
            or any(
                attributes(number).get(key) == value
                for key, _, value in (text.partition(":") for text in filters)
            )
        ]
        counted = Counter(attributes(number)["hundredth"] for number in passing)
        answer = ask(client, draw(8), threshold=threshold, filter=filters, facets=True)
        found = {one["value"]: one["count"] for one in answer["facets"]["hundredth"]}
        assert found == counted


def test_grouped_facets_equal_brute_force(
    client: TestClient, vectors: NDArray[np.float32], draw: Draw
) -> None:
    scores = scores_of(client, vectors, draw(9))
    best: dict[int, int] = {}
    for number in np.argsort(-scores, kind="stable"):
        if scores[number].round(6) >= 0.3:
            best.setdefault(int(number) // 4, int(number))
    counted = Counter(attributes(number)["tenth"] for number in best.values())
    answer = ask(client, draw(9), threshold=0.3, group_by="product", facets=True, top_k=1)
    assert {one["value"]: one["count"] for one in answer["facets"]["tenth"]} == counted
