"""Upload a photo, find what looks like it."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    import httpx
    from starlette.testclient import TestClient

    from tests.service.conftest import Draw, Shop

FIND = "/api/v1/find-similar"


def ask(
    client: TestClient, content: bytes, name: str = "query.jpg", **params: object
) -> httpx.Response:
    return client.post(FIND, files={"file": (name, content)}, params=params)


def test_a_photo_of_the_catalogue_finds_itself_first(client: TestClient, draw: Draw) -> None:
    answer = ask(client, draw(3)).json()
    best = answer["matches"][0]
    assert answer["success"] is True
    assert best["image_id"] == "shoes/s3"
    assert best["image_path"] == "shoes/s3.jpg"
    assert best["filename"] == "s3.jpg"
    assert best["image_url"] == "/api/v1/images/shoes/s3.jpg"
    assert best["similarity_score"] > 0.999
    assert answer["processing_time_ms"] > 0


def test_an_answer_holds_exactly_the_fields_of_the_contract_and_ours(
    client: TestClient, draw: Draw
) -> None:
    answer = ask(client, draw(0)).json()
    assert set(answer) == {
        "success", "matches", "total_compared", "processing_time_ms", "threshold_used",
    }  # fmt: skip
    assert set(answer["matches"][0]) == {
        "image_id", "image_path", "filename", "similarity_score", "image_url", "product_id",
        "attributes",
    }  # fmt: skip


def test_product_data_comes_with_a_match(client: TestClient, draw: Draw) -> None:
    best = ask(client, draw(0), top_k=1).json()["matches"][0]
    assert best["product_id"] == "runner"
    assert best["attributes"] == {"colour": "red"}


def test_matches_are_sorted_and_none_is_below_the_threshold(client: TestClient, draw: Draw) -> None:
    answer = ask(client, draw(5), threshold=0.3, top_k=100).json()
    scores = [match["similarity_score"] for match in answer["matches"]]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) >= 0.3
    assert answer["threshold_used"] == 0.3
    assert answer["total_compared"] == 12


def test_a_threshold_of_minus_one_matches_everything_up_to_top_k(
    client: TestClient, draw: Draw
) -> None:
    assert len(ask(client, draw(5), threshold=-1, top_k=100).json()["matches"]) == 12
    assert len(ask(client, draw(5), threshold=-1, top_k=4).json()["matches"]) == 4


def test_scores_equal_brute_force_over_the_stored_vectors(client: TestClient, draw: Draw) -> None:
    answer = ask(client, draw(7), threshold=-1, top_k=100).json()
    view = client.app.state.collaborators.keeper.view
    entries, vectors = view.snapshot.entries, view.snapshot.vectors
    image = Image.open(io.BytesIO(draw(7))).convert("RGB")
    query = view.embedder.embed(view.embedder.prepare(image)[None])[0]
    expected = {
        entries[place].path: float(vectors.read(np.array([vector_id]))[0] @ query)
        for place, vector_id in enumerate(entries.vector_ids)
    }
    found = {match["image_path"]: match["similarity_score"] for match in answer["matches"]}
    assert found.keys() == expected.keys()
    assert all(abs(found[path] - expected[path]) < 2e-3 for path in found)


def test_an_empty_threshold_means_the_default(
    client: TestClient, stocked: Shop, draw: Draw
) -> None:
    default = client.get("/stats").json()["space"]["default_threshold"]
    assert ask(client, draw(1), threshold="").json()["threshold_used"] == default
    with stocked.open(threshold=0.25) as chosen:
        assert ask(chosen, draw(1), threshold="").json()["threshold_used"] == 0.25


def test_files_that_differ_only_in_suffix_are_told_apart_by_their_id(
    client: TestClient, draw: Draw
) -> None:
    answer = ask(client, draw(20), threshold=-1, top_k=100).json()
    ids = {match["image_id"] for match in answer["matches"]}
    assert {"twin.jpg", "twin.png", "shoes/s1"} <= ids


@pytest.mark.parametrize("name", ["noise.txt", "photo", "x.gif"])
def test_content_decides_what_an_upload_is(client: TestClient, draw: Draw, name: str) -> None:
    content = draw(2, "PNG")
    answer = client.post(FIND, files={"file": (name, content, "text/plain")})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"top_k": 0}, "top_k"),
        ({"top_k": 101}, "top_k"),
        ({"top_k": "many"}, "top_k"),
        ({"threshold": "nan"}, "threshold"),
        ({"threshold": 1.01}, "threshold"),
        ({"threshold": -1.01}, "threshold"),
        ({"threshold": "inf"}, "threshold"),
    ],
)
def test_bad_parameters_are_refused_by_name(
    client: TestClient, draw: Draw, query: dict[str, object], field: str
) -> None:
    answer = ask(client, draw(1), **query)
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_request"
    assert answer.json()["errors"][0]["field"].startswith(field)


def test_a_request_without_a_file_is_refused(client: TestClient) -> None:
    answer = client.post(FIND)
    assert answer.status_code == 422
    assert "file" in answer.json()["detail"]


def test_what_is_no_picture_is_refused_with_its_kind(client: TestClient, draw: Draw) -> None:
    broken = draw(1)[:700]
    for content, code in (
        (b"", "empty_file"),
        (b"hello", "not_an_image"),
        (broken, "damaged_image"),
    ):
        answer = ask(client, content)
        assert (answer.status_code, answer.json()["code"]) == (415, code)


def test_a_picture_of_too_many_pixels_is_refused_naming_the_setting(
    stocked: Shop, draw: Draw
) -> None:
    with stocked.open(max_image_megapixels=0.001) as client:
        answer = ask(client, draw(1))
    assert (answer.status_code, answer.json()["code"]) == (413, "image_too_large")
    assert "LOOKALIKE_MAX_IMAGE_MEGAPIXELS" in answer.json()["detail"]


def test_an_empty_catalogue_answers_and_says_that_it_is_empty(shop: Shop, draw: Draw) -> None:
    with shop.open() as client:
        answer = ask(client, draw(1))
    assert answer.status_code == 200
    assert answer.json()["matches"] == []
    assert answer.json()["total_compared"] == 0
    assert "empty" in answer.json()["message"]


def test_a_copy_is_an_item_of_its_own(shop: Shop, draw: Draw) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        shop.put(name, draw(1))
    shop.ingest()
    with shop.open() as client:
        answer = ask(client, draw(1), top_k=2).json()
    assert [match["image_id"] for match in answer["matches"]] == ["a", "b"]
    assert answer["total_compared"] == 3


def test_odd_names_come_back_exactly_and_their_urls_lead_to_the_picture(
    shop: Shop, draw: Draw
) -> None:
    names = ["ümläut & 100%.jpg".encode(), b"a b#c?.png", b"caf\xe9.jpg"]
    for seed, name in enumerate(names):
        shop.put(name, draw(seed, "PNG"))
    shop.ingest()
    with shop.open() as client:
        for seed, name in enumerate(names):
            best = ask(client, draw(seed, "PNG"), top_k=1).json()["matches"][0]
            assert best["image_path"] == name.decode("utf-8", "backslashreplace")
            assert best["image_url"] == "/api/v1/images/" + quote(name)
            assert client.get(best["image_url"]).content == draw(seed, "PNG")


def test_an_edited_file_that_is_no_picture_any_more_is_found_stale(shop: Shop, draw: Draw) -> None:
    shop.put("a.jpg", draw(1))
    shop.ingest()
    shop.put("a.jpg", b"\xff\xd8\xff oh no")
    os.utime(shop.folder / "a.jpg", ns=(1, 1))
    shop.ingest()
    with shop.open() as client:
        best = ask(client, draw(1)).json()["matches"][0]
    assert best["image_id"] == "a"
    assert best["stale"] is True
