"""Several uploads in one request, each with its own result or error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from tests.service.conftest import Draw, Shop

BATCH = "/api/v1/find-similar/batch"


def ask(client: TestClient, *contents: bytes, **params: Any) -> Any:
    files = [("files", (f"{number}.jpg", one)) for number, one in enumerate(contents)]
    return client.post(BATCH, files=files or None, params=params)


def test_each_file_has_the_answer_it_would_have_alone(
    labelled_client: TestClient, draw: Draw
) -> None:
    asked = {"top_k": 3, "threshold": 0.2, "filter": "category:shoes", "facets": True}
    answer = ask(labelled_client, draw(0), draw(50), draw(7), **asked)
    assert answer.status_code == 200
    for number, (seed, result) in enumerate(zip((0, 50, 7), answer.json()["results"], strict=True)):
        alone = labelled_client.post(
            "/api/v1/find-similar", files={"file": draw(seed)}, params=asked
        ).json()
        assert (result["index"], result["filename"]) == (number, f"{number}.jpg")
        assert result["success"] is True
        assert [match["image_id"] for match in result["matches"]] == [
            match["image_id"] for match in alone["matches"]
        ]
        assert result["facets"] == alone["facets"]
    assert answer.json()["threshold_used"] == 0.2
    assert answer.json()["total_compared"] == 24


def test_a_file_that_cannot_be_used_fails_alone(labelled_client: TestClient, draw: Draw) -> None:
    answer = ask(labelled_client, b"", draw(1), b"hello", draw(2)[:600], draw(3), top_k=1)
    results = answer.json()["results"]
    codes = [result.get("error", {}).get("code") for result in results]
    assert codes == ["empty_file", None, "not_an_image", "damaged_image", None]
    assert [result["success"] for result in results] == [False, True, False, False, True]
    assert "matches" not in results[0]
    assert results[1]["matches"][0]["image_id"] == "p/1"


def test_all_files_may_fail_and_each_says_why(labelled_client: TestClient) -> None:
    answer = ask(labelled_client, b"one", b"two")
    assert answer.status_code == 200
    assert all("error" in result for result in answer.json()["results"])


def test_a_picture_may_be_cut_and_described(labelled_client: TestClient, draw: Draw) -> None:
    (result,) = ask(labelled_client, draw(1), crop="0,0,0.5,0.5", describe=True).json()["results"]
    assert set(result["description"]) == {"category", "colours", "tags"}


@pytest.mark.parametrize("count", [0, 33, 200])
def test_too_few_or_too_many_files_are_refused_naming_the_limit(
    labelled_client: TestClient, draw: Draw, count: int
) -> None:
    answer = ask(labelled_client, *[draw(1)] * count)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"][0]["field"] == "files"
    assert f"{count} files" in answer.json()["detail"]
    assert "1 to 32" in answer.json()["detail"]
    assert "LOOKALIKE_MAX_BATCH_FILES" in answer.json()["detail"]


def test_the_limit_is_a_setting(labelled: Shop, draw: Draw) -> None:
    with labelled.open(max_batch_files=2) as client:
        assert ask(client, draw(1), draw(2)).status_code == 200
        assert ask(client, draw(1), draw(2), draw(3)).status_code == 422


def test_several_files_may_be_larger_together_than_one_may_be(labelled: Shop, draw: Draw) -> None:
    picture = draw(1, "BMP", (300, 300))
    with labelled.open(max_upload_mb=0.3, max_batch_mb=3) as client:
        assert ask(client, *[picture] * 8, top_k=1).status_code == 200
        alone = ask(client, draw(1, "BMP", (400, 400)), picture).json()["results"]
        assert alone[0]["error"]["code"] == "image_too_large"
        assert alone[1]["success"] is True
        over = ask(client, *[picture] * 12)
        assert (over.status_code, over.json()["code"]) == (413, "upload_too_large")
        assert "LOOKALIKE_MAX_BATCH_MB" in over.json()["detail"]


def test_bad_parameters_refuse_the_whole_request(labelled_client: TestClient, draw: Draw) -> None:
    assert ask(labelled_client, draw(1), filter="x").json()["code"] == "malformed_filter"
    assert ask(labelled_client, draw(1), crop="1,1,0,0").status_code == 422
    assert ask(labelled_client, draw(1), top_k=0).status_code == 422


def test_an_empty_catalogue_says_so_once(shop: Shop, draw: Draw) -> None:
    with shop.open() as client:
        answer = ask(client, draw(1), draw(2)).json()
    assert "empty" in answer["message"]
    assert [result["matches"] for result in answer["results"]] == [[], []]
