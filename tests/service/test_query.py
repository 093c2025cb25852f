"""Search by text, by several pictures, by items, and away from others."""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    import httpx
    from numpy.typing import NDArray
    from starlette.testclient import TestClient

    from tests.service.conftest import Draw, Shop

SEARCH = "/api/v1/search"
ALL = {"threshold": -1, "top_k": 100}


def coded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def ask(client: TestClient, **body: Any) -> httpx.Response:
    return client.post(SEARCH, json={**ALL, **body})


def scores(answer: httpx.Response) -> dict[str, float]:
    assert answer.status_code == 200, answer.text
    return {match["image_id"]: match["similarity_score"] for match in answer.json()["matches"]}


def stored(client: TestClient) -> dict[str, NDArray[np.float32]]:
    snapshot = client.app.state.collaborators.keeper.view.snapshot
    ids = snapshot.entries.vector_ids
    rows = snapshot.vectors.read(ids)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return {snapshot.entries[place].path: rows[place] for place in range(len(ids))}


def embedded(client: TestClient, content: bytes) -> NDArray[np.float32]:
    embedder = client.app.state.collaborators.keeper.view.embedder
    image = Image.open(io.BytesIO(content)).convert("RGB")
    return embedder.embed(embedder.prepare(image)[None])[0]


def assert_searched(client: TestClient, answer: httpx.Response, total: NDArray[Any]) -> None:
    """The answer is that of a brute-force search by the direction of `total`."""
    query = total / np.linalg.norm(total)
    expected = {path[:-4]: float(row @ query) for path, row in stored(client).items()}
    assert scores(answer) == pytest.approx(expected, abs=3e-3)


def test_an_item_finds_what_is_like_it_without_the_model(labelled_client: TestClient) -> None:
    batcher = labelled_client.app.state.collaborators.batcher
    before = batcher.pictures
    answer = ask(labelled_client, images=[{"path": "p/4.jpg"}])
    assert batcher.pictures == before
    assert answer.json()["matches"][0]["image_id"] == "p/4"
    assert_searched(labelled_client, answer, stored(labelled_client)["p/4.jpg"])


def test_items_given_by_path_can_be_left_out(labelled_client: TestClient) -> None:
    given = [{"path": "p/4.jpg"}, {"path": "p/9.jpg"}]
    every = scores(ask(labelled_client, images=given))
    rest = scores(ask(labelled_client, images=given, exclude=True))
    assert rest == {name: score for name, score in every.items() if name not in ("p/4", "p/9")}
    few = ask(labelled_client, images=given, exclude=True, top_k=3).json()["matches"]
    assert [match["image_id"] for match in few] == list(rest)[:3]


def test_left_out_items_do_not_count(labelled_client: TestClient) -> None:
    body = {"images": [{"path": "p/4.jpg"}], "exclude": True, "facets": True}
    answer = ask(labelled_client, **body, filter=["category:bags", "category:shoes"]).json()
    assert sum(one["count"] for one in answer["facets"]["category"]) == 17
    grouped = ask(labelled_client, **body, group_by="product").json()["matches"]
    best = next(match for match in grouped if match["product_id"] == "product-1")
    assert best["image_id"] in ("p/3", "p/5")


def test_pictures_add_up_by_their_weights(labelled_client: TestClient, draw: Draw) -> None:
    answer = ask(
        labelled_client,
        images=[
            {"path": "p/1.jpg", "weight": 2},
            {"image": coded(draw(60)), "weight": 0.5},
            "data:image/jpeg;base64," + coded(draw(61)),
        ],
        negatives=[{"image": coded(draw(62)), "weight": 0.7}],
    )
    one, two, three = (embedded(labelled_client, draw(seed)) for seed in (60, 61, 62))
    total = 2 * stored(labelled_client)["p/1.jpg"] + 0.5 * one + two - 0.7 * three
    assert_searched(labelled_client, answer, total)


def test_a_negative_weight_is_a_negative(labelled_client: TestClient, draw: Draw) -> None:
    away = {"image": coded(draw(62)), "weight": 0.7}
    first = ask(labelled_client, images=[{"path": "p/1.jpg"}], negatives=[away])
    second = ask(labelled_client, images=[{"path": "p/1.jpg"}, {**away, "weight": -0.7}])
    third = ask(labelled_client, images=[{"path": "p/1.jpg"}], negatives=[{**away, "weight": -0.7}])
    assert scores(first) == scores(second) == scores(third)


def test_a_part_of_a_picture_or_of_an_item_may_be_meant(
    labelled_client: TestClient, draw: Draw
) -> None:
    whole = Image.open(io.BytesIO(draw(63, "PNG")))
    part = io.BytesIO()
    whole.crop((30, 25, 90, 75)).save(part, "PNG")
    crop = [0.25, 0.25, 0.75, 0.75]
    picture = {"image": coded(draw(63, "PNG")), "crop": crop}
    assert_searched(
        labelled_client,
        ask(labelled_client, images=[picture]),
        embedded(labelled_client, part.getvalue()),
    )
    assert scores(ask(labelled_client, images=[{**picture, "crop": "0.25,0.25,0.75,0.75"}]))
    item = ask(labelled_client, images=[{"path": "p/2.jpg", "crop": crop}], exclude=True)
    assert "p/2" not in scores(item)


def test_a_picture_may_be_named_by_its_address(labelled: Shop, photos: str) -> None:
    with labelled.open(url_allow_private=True) as client:
        answer = ask(client, images=[f"{photos}/3.jpg"])
        assert answer.json()["matches"][0]["image_id"] == "p/3"
        gone = ask(client, images=["data:image/png;base64,AAAA", f"{photos}/none.jpg"])
        assert gone.status_code in (415, 422)
        assert gone.json()["detail"].startswith("images.")


def test_filters_groups_and_facets_are_those_of_an_upload(
    labelled_client: TestClient, draw: Draw
) -> None:
    upload = labelled_client.post(
        "/api/v1/find-similar",
        files={"file": draw(2)},
        params={**ALL, "filter": "category:shoes", "group_by": "product", "facets": True},
    ).json()
    body = {"group_by": "product", "facets": True, "images": [{"path": "p/2.jpg"}]}
    for filters in (["category:shoes"], "category:shoes"):
        answer = ask(labelled_client, **body, filter=filters).json()
        assert answer["facets"] == upload["facets"]
        assert [match["image_id"] for match in answer["matches"]] == [
            match["image_id"] for match in upload["matches"]
        ]


@pytest.mark.parametrize(
    ("body", "status", "code", "said"),
    [
        ({}, 422, "empty_query", "text or images"),
        ({"images": []}, 422, "empty_query", "text or images"),
        ({"images": [{"path": "p/1.jpg", "weight": 0}]}, 422, "empty_query", "weight"),
        (
            {"images": [{"path": "p/1.jpg"}], "negatives": [{"path": "p/1.jpg"}]},
            422, "empty_query", "cancel",
        ),
        ({"images": [{"path": "none.jpg"}]}, 404, "image_not_found", "images.0"),
        ({"images": [{"path": "../p/1.jpg"}]}, 404, "image_not_found", "images.0"),
        ({"images": [{"path": "p/1.jpg", "image": "x"}]}, 422, "invalid_request", "images.0"),
        ({"images": [{"weight": 1}]}, 422, "invalid_request", "one of image, path and text"),
        ({"images": [{"image": "?? no base64"}]}, 422, "invalid_base64", "images.0"),
        ({"images": ["data:text/plain;base64,AAAA"]}, 422, "unsupported_data_uri", "images.0"),
        ({"images": ["aGVsbG8="]}, 415, "not_an_image", "images.0"),
        ({"images": ["http://127.0.0.1/x.jpg"]}, 422, "fetch_refused", "images.0"),
        (
            {"images": [{"path": "p/1.jpg"}], "negatives": ["aGVsbG8="]},
            415, "not_an_image", "negatives.0",
        ),
        ({"images": [{"path": "p/1.jpg", "weight": 1e9}]}, 422, "invalid_request", "weight"),
        ({"images": [{"path": "p/1.jpg", "crop": [0, 0, 2, 1]}]}, 422, "invalid_request", "crop"),
        ({"images": [{"path": "p/1.jpg", "crop": [1, 0, 0, 1]}]}, 422, "invalid_request", "crop"),
        ({"images": [{"path": "p/1.jpg", "crop": "1,2"}]}, 422, "invalid_request", "crop"),
        ({"images": [{"path": "p/1.jpg", "crop": [True, 0, 1]}]}, 422, "invalid_request", "crop"),
        ({"images": [{"path": "p/1.jpg"}], "top_k": 0}, 422, "invalid_request", "top_k"),
        ({"images": [{"path": "p/1.jpg"}], "threshold": 2}, 422, "invalid_request", "threshold"),
        ({"images": [{"path": "p/1.jpg"}], "group_by": "x"}, 422, "invalid_request", "group_by"),
        ({"images": [{"path": "p/1.jpg"}], "filter": ["x"]}, 422, "malformed_filter", "key:value"),
        ({"images": [{"path": "p/1.jpg"}], "filter": ["x:y"]}, 422, "unknown_filter_key", "colour"),
        ({"pictures": []}, 422, "invalid_request", "pictures"),
        ({"images": ["x"] * 33}, 422, "invalid_request", "LOOKALIKE_MAX_BATCH_FILES"),
        ({"text": " "}, 422, "invalid_request", "text"),
        ({"text": "x" * 1001}, 422, "invalid_request", "1000"),
        ({"text": "a shoe"}, 501, "no_text_tower", "LOOKALIKE_MODEL"),
        ({"images": [{"text": "a shoe"}]}, 501, "no_text_tower", "LOOKALIKE_MODEL"),
    ],
)  # fmt: skip
def test_what_makes_no_query_is_refused_with_its_reason(
    labelled_client: TestClient, body: Any, status: int, code: str, said: str
) -> None:
    answer = ask(labelled_client, **body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b'{"images": 3}',
        b'{"images": [{"path": "p/1.jpg", "weight": NaN}]}',
        b'{"images": [{"path": "p/1.jpg", "crop": [NaN, 0, 1, 1]}]}',
        b'{"images": ' + b"[" * 3000 + b"]" * 3000 + b"}",
        b'{"text": ' + b'{"a":' * 400 + b"1" + b"}" * 400 + b"}",
        json.dumps({"images": [{"path": "p/1.jpg"}] * 10_000}).encode(),
    ],
)  # fmt: skip
def test_a_body_of_another_form_is_refused(labelled_client: TestClient, body: bytes) -> None:
    answer = labelled_client.post(SEARCH, content=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert len(answer.content) < 20_000


def test_a_text_finds_what_its_vector_is_near(clip_client: TestClient) -> None:
    view = clip_client.app.state.collaborators.keeper.view
    query = view.embedder.embed_texts(["a red shoe"])[0]
    answer = clip_client.get(SEARCH, params={"text": "  a red shoe ", **ALL})
    assert_searched(clip_client, answer, query)
    assert answer.json()["total_compared"] == 24


def test_a_text_has_a_threshold_of_its_own(clip_shop: Shop, clip_client: TestClient) -> None:
    own = clip_client.get(SEARCH, params={"text": "shoe"}).json()["threshold_used"]
    assert own < clip_client.get("/stats").json()["space"]["default_threshold"]
    with clip_shop.open(text_threshold=0.11, threshold=0.9) as client:
        assert client.get(SEARCH, params={"text": "shoe"}).json()["threshold_used"] == 0.11
        assert client.post(SEARCH, json={"text": "a"}).json()["threshold_used"] == 0.11
        by_picture = client.post(SEARCH, json={"images": [{"path": "p/1.jpg"}]})
        assert by_picture.json()["threshold_used"] == 0.9


def test_texts_and_pictures_add_up(clip_client: TestClient) -> None:
    embedder = clip_client.app.state.collaborators.keeper.view.embedder
    wanted, unwanted = embedder.embed_texts(["canvas", "leather"])
    answer = ask(
        clip_client,
        text="canvas",
        text_weight=0.5,
        images=[{"path": "p/1.jpg"}],
        negatives=[{"text": "leather", "weight": 0.25}],
    )
    total = 0.5 * wanted + stored(clip_client)["p/1.jpg"] - 0.25 * unwanted
    assert_searched(clip_client, answer, total)


def test_a_text_takes_filters_and_facets(clip_client: TestClient) -> None:
    answer = clip_client.get(
        SEARCH, params={"text": "shoe", **ALL, "filter": "category:shoes", "facets": True}
    ).json()
    assert {match["attributes"]["category"] for match in answer["matches"]} == {"shoes"}
    assert answer["facets"]["category"] == [{"value": "shoes", "count": 9}]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "text"),
        ({"text": ""}, "text"),
        ({"text": "  "}, "text"),
        ({"text": "x" * 1001}, "1000"),
        ({"text": "x", "threshold": "nan"}, "threshold"),
    ],
)
def test_a_bad_text_is_refused(clip_client: TestClient, params: Any, said: str) -> None:
    answer = clip_client.get(SEARCH, params=params)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert said in answer.json()["detail"]


def test_a_model_that_reads_no_text_says_which_does(labelled_client: TestClient) -> None:
    answer = labelled_client.get(SEARCH, params={"text": "a shoe"})
    assert (answer.status_code, answer.json()["code"]) == (501, "no_text_tower")
    assert "open_clip" in answer.json()["detail"]


def test_odd_texts_are_only_texts(clip_client: TestClient) -> None:
    for text in ("\u00fcml\u00e4ut \U0001f45f", "<script>", "x " * 400, "\x00"):
        assert clip_client.get(SEARCH, params={"text": text, **ALL}).status_code == 200
