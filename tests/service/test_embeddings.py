"""Vectors and predictions of uploads, and what is said of one."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import requests
import timm
import torch
from PIL import Image

from core.errors import SettingsError
from service.app import create_app
from service.labels import SHOP_CATEGORIES, read_labels
from tests.service.conftest import Shop as AShop

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.testclient import TestClient

    from tests.service.conftest import Draw, Server, Shop

EMBED = "/api/v1/embeddings"
DESCRIBE = "/api/v1/describe"


def ask(client: TestClient, *contents: bytes, **params: Any) -> Any:
    files = [("files", (f"{number}.jpg", one)) for number, one in enumerate(contents)]
    return client.post(EMBED, files=files or None, params=params)


@pytest.fixture(scope="module")
def classifier_shop(labelled: Shop, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The labelled photos under a small timm backbone with seeded weights and its own classes."""
    folder = tmp_path_factory.mktemp("classifier")
    torch.manual_seed(2)
    weights = folder / "backbone.pt"
    torch.save(timm.create_model("resnet10t").state_dict(), weights)
    shop = AShop(
        labelled.with_settings(
            model="timm:resnet10t", model_weights=weights, device="cpu", store_dir=folder / "store"
        )
    )
    shop.ingest()
    return shop


def test_the_client_of_an_embedding_server_needs_no_change(
    server: Server, draw: Draw, tmp_path: Path
) -> None:
    for seed in (1, 2, 3):
        (tmp_path / f"{seed}.jpg").write_bytes(draw(seed))
    files = [
        ("files", (path.name, path.open("rb"), "image/jpeg")) for path in sorted(tmp_path.iterdir())
    ]
    answer = requests.post(server.url + EMBED, files=files, timeout=30).json()
    assert {"message", "predictions", "embeddings"} <= set(answer)
    assert len(answer["predictions"]) == len(answer["embeddings"]) == 3
    rows = np.array(answer["embeddings"])
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-4)
    assert answer["errors"] == []


def test_stored_vectors_come_without_a_pass_of_the_model(
    labelled_client: TestClient, draw: Draw
) -> None:
    batcher = labelled_client.app.state.collaborators.batcher
    snapshot = labelled_client.app.state.collaborators.keeper.view.snapshot
    before = batcher.pictures
    (row,) = ask(labelled_client, draw(5)).json()["embeddings"]
    assert batcher.pictures == before
    place = next(place for place in range(24) if snapshot.entries[place].path == "p/5.jpg")
    stored = snapshot.vectors.read(snapshot.entries.vector_ids[place : place + 1])[0]
    assert row == pytest.approx((stored / np.linalg.norm(stored)).tolist(), abs=1e-7)
    assert ask(labelled_client, draw(70), draw(70)).status_code == 200
    assert batcher.pictures == before + 1


def test_distances_of_pairs_are_those_of_the_vectors(
    labelled_client: TestClient, draw: Draw
) -> None:
    contents = [draw(5), draw(71)]
    one, other = np.array(ask(labelled_client, *contents).json()["embeddings"])
    coded = [base64.b64encode(content).decode() for content in contents]
    pair = {"reference_image": coded[0], "generated_image": coded[1]}
    (score,) = labelled_client.post("/similarity", json={"pairs": [pair]}).json()["scores"]
    assert score["distance"] == pytest.approx(1 - one @ other, abs=1e-5)


def test_neighbours_vote_on_the_category(labelled_client: TestClient, draw: Draw) -> None:
    (predictions,) = ask(labelled_client, draw(4)).json()["predictions"]
    assert {one["source"] for one in predictions} == {"neighbours"}
    assert {one["label"] for one in predictions} == {"bags", "shoes"}
    assert predictions[0]["label"] == "bags"  # it is a photo of a bag itself
    assert predictions[0]["score"] > predictions[1]["score"] > 0
    assert sum(one["score"] for one in predictions) == pytest.approx(1, abs=1e-3)


def test_a_catalogue_without_categories_names_nothing(client: TestClient, draw: Draw) -> None:
    assert ask(client, draw(4)).json()["predictions"] == [[]]


def test_a_file_that_cannot_be_used_has_null_in_its_place(
    labelled_client: TestClient, draw: Draw
) -> None:
    answer = ask(labelled_client, b"hello", draw(1), b"").json()
    assert [row is None for row in answer["embeddings"]] == [True, False, True]
    assert [row is None for row in answer["predictions"]] == [True, False, True]
    assert [(one["index"], one["filename"], one["code"]) for one in answer["errors"]] == [
        (0, "0.jpg", "not_an_image"),
        (2, "2.jpg", "empty_file"),
    ]
    assert answer["message"] == "Embedded 1 of 3 pictures."


def test_where_every_file_fails_the_first_ones_problem_answers(
    labelled_client: TestClient,
) -> None:
    answer = ask(labelled_client, b"", b"hello")
    assert (answer.status_code, answer.json()["code"]) == (415, "empty_file")
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("count", [0, 33, 200])
def test_too_few_or_too_many_files_are_refused(
    labelled_client: TestClient, draw: Draw, count: int
) -> None:
    answer = ask(labelled_client, *[draw(1)] * count)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "1 to 32" in answer.json()["detail"]


def test_a_model_with_classes_of_its_own_names_them(classifier_shop: Shop, draw: Draw) -> None:
    with classifier_shop.open() as client:
        embedder = client.app.state.collaborators.keeper.view.embedder
        batcher = client.app.state.collaborators.batcher
        answer = ask(client, draw(80), draw(3), top=3).json()
        for seed, found in zip((80, 3), answer["predictions"], strict=True):
            image = Image.open(io.BytesIO(draw(seed))).convert("RGB")
            (expected,) = embedder.classify(embedder.prepare(image)[None], 3)
            assert [one["label"] for one in found] == [one.label for one in expected]
            assert {one["source"] for one in found} == {"classifier"}
        before = batcher.pictures
        assert ask(client, draw(3), top=3).json()["predictions"][0] == answer["predictions"][1]
        assert batcher.pictures == before  # neither its vector nor its classes were made again
        assert ask(client, draw(9), top=0).json()["predictions"] == [[]]
        assert batcher.pictures == before


def test_a_model_that_reads_text_chooses_among_labels(clip_shop: Shop, draw: Draw) -> None:
    with clip_shop.open(labels="red shoe, blue bag,green hat, red shoe") as client:
        embedder = client.app.state.collaborators.keeper.view.embedder
        (found,) = ask(client, draw(81)).json()["predictions"]
        assert {one["label"] for one in found} == {"red shoe", "blue bag", "green hat"}
        assert {one["source"] for one in found} == {"zero-shot"}
        assert sum(one["score"] for one in found) == pytest.approx(1, abs=1e-3)
        image = Image.open(io.BytesIO(draw(81))).convert("RGB")
        vector = embedder.embed(embedder.prepare(image)[None])[0]
        sentences = ("a photo of a {}.", "a product photo of a {}.")
        cosines = {}
        for label in ("red shoe", "blue bag", "green hat"):
            row = embedder.embed_texts([text.format(label) for text in sentences]).mean(axis=0)
            cosines[label] = float(row @ vector / np.linalg.norm(row))
        assert [one["label"] for one in found] == sorted(cosines, key=lambda at: -cosines[at])


def test_label_vectors_are_made_once(clip_client: TestClient, draw: Draw) -> None:
    embedder = clip_client.app.state.collaborators.keeper.view.embedder
    asked = list[int]()
    plain = embedder.embed_texts
    embedder.embed_texts = lambda texts: asked.append(len(texts)) or plain(texts)
    try:
        for seed in (82, 83, 84):
            assert ask(clip_client, draw(seed)).status_code == 200
    finally:
        del embedder.embed_texts
    assert len(asked) <= 1


def test_labels_come_from_the_setting_or_a_file(tmp_path: Path) -> None:
    assert read_labels("") == tuple(label.strip() for label in SHOP_CATEGORIES)
    assert len(set(read_labels(""))) == len(SHOP_CATEGORIES) > 100
    assert read_labels("a, b ,a") == ("a", "b")
    (tmp_path / "labels.txt").write_text("\ufeffred shoe\n\nbag, large\n", "utf-8")
    assert read_labels(str(tmp_path / "labels.txt")) == ("red shoe", "bag, large")


@pytest.mark.parametrize("labels", ["one", "no-such-file.txt", "a," + "b" * 200, ", ,"])
def test_labels_of_no_use_stop_the_start(shop: Shop, labels: str) -> None:
    with pytest.raises(SettingsError, match="LOOKALIKE_LABELS"):
        create_app(shop.with_settings(labels=labels))


def test_a_description_has_category_colours_and_tags(
    labelled_client: TestClient, draw: Draw
) -> None:
    answer = labelled_client.post(DESCRIBE, files={"file": draw(4)})
    assert answer.status_code == 200
    said = answer.json()
    assert said["category"][0]["value"] == "bags"
    assert {one["source"] for one in said["category"]} == {"neighbours"}
    assert {one["source"] for one in said["colours"]} == {"pixels"}
    for one in said["category"] + said["tags"]:
        assert one["value"]
        assert 0 <= one["score"] <= 1
    for colour in said["colours"]:
        assert colour["name"].isalpha()
        assert 0 < colour["score"] <= 1


def test_tags_are_what_neighbours_share_but_no_numbers_or_sentences(shop: Shop, draw: Draw) -> None:
    rows = ["path,category,brand,price,description"]
    for seed in range(6):
        shop.put(f"{seed}.jpg", draw(seed))
        rows.append(f"{seed}.jpg,shoes,Norda,59.00,{'a long sentence about it ' * 3}")
    shop.put("products.csv", "\n".join(rows).encode())
    shop.ingest()
    with shop.open() as client:
        said = client.post(DESCRIBE, files={"file": draw(90)}).json()
    assert said["tags"] == [
        {"key": "brand", "value": "Norda", "score": 1.0, "source": "neighbours"}
    ]
    assert said["category"] == [{"value": "shoes", "score": 1.0, "source": "neighbours"}]


def test_the_nearest_labelled_photos_vote_however_far_they_are(shop: Shop, draw: Draw) -> None:
    for seed in range(60):
        shop.put(f"{seed:02}.jpg", draw(seed))
    shop.put("products.csv", b"path,category\n59.jpg,hats\n")
    shop.ingest()
    with shop.open() as client:
        said = client.post(DESCRIBE, files={"file": draw(1)}).json()
    assert said["category"] == [{"value": "hats", "score": 1.0, "source": "neighbours"}]


def test_without_labelled_photos_the_model_names_the_category(
    clip_shop: Shop, stocked: Shop, draw: Draw, tmp_path: Path
) -> None:
    clip = clip_shop.settings
    with stocked.open(
        **{**clip.model_dump(), "image_dir": stocked.folder, "store_dir": tmp_path / "s"}
    ) as client:
        said = client.post(DESCRIBE, files={"file": draw(1)}).json()
    assert [one["source"] for one in said["category"]][:1] == ["zero-shot"]
    assert said["tags"] == []


def test_a_plain_red_thing_is_red(labelled_client: TestClient) -> None:
    image = Image.new("RGB", (200, 200), "white")
    image.paste((200, 20, 30), (60, 60, 140, 140))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    said = labelled_client.post(DESCRIBE, files={"file": buffer.getvalue()}).json()
    assert said["colours"][0]["name"] == "red"
    white = labelled_client.post(
        DESCRIBE, files={"file": buffer.getvalue()}, params={"crop": "0,0,0.2,0.2"}
    ).json()
    assert white["colours"][0]["name"] == "white"


def test_a_search_may_describe_as_well(labelled_client: TestClient, draw: Draw) -> None:
    said = labelled_client.post(DESCRIBE, files={"file": draw(4)}).json()
    answer = labelled_client.post(
        "/api/v1/find-similar", files={"file": draw(4)}, params={"describe": "true"}
    ).json()
    assert answer["description"] == {key: said[key] for key in ("category", "colours", "tags")}


def test_what_cannot_be_described_is_refused(labelled_client: TestClient) -> None:
    for content, code in ((b"", "empty_file"), (b"hello", "not_an_image")):
        answer = labelled_client.post(DESCRIBE, files={"file": content})
        assert (answer.status_code, answer.json()["code"]) == (415, code)
    answer = labelled_client.post(DESCRIBE)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "file")
