"""Filters, groups, facets and crops of a search by upload."""

from __future__ import annotations

import io
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

if TYPE_CHECKING:
    import httpx
    from starlette.testclient import TestClient

    from tests.service.conftest import Draw, Shop

FIND = "/api/v1/find-similar"
ALL = {"threshold": -1, "top_k": 100}


def ask(client: TestClient, content: bytes, params: Any = None) -> httpx.Response:
    return client.post(FIND, files={"file": content}, params=params)


def matches(client: TestClient, content: bytes, **params: Any) -> list[dict[str, Any]]:
    answer = ask(client, content, {**ALL, **params})
    assert answer.status_code == 200, answer.text
    return answer.json()["matches"]


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [match["image_id"] for match in found]


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        (["category:shoes"], {"category": {"shoes"}}),
        (["category:shoes", "category:bags"], {"category": {"shoes", "bags"}}),
        (["category:shoes", "colour:red"], {"category": {"shoes"}, "colour": {"red"}}),
        (
            ["colour:blue", "category:bags", "colour:a:b, c"],
            {"category": {"bags"}, "colour": {"blue", "a:b, c"}},
        ),
        (["note:only here"], {"note": {"only here"}}),
        (["category:hats"], {"category": {"hats"}}),
        (["category:"], {"category": {""}}),
        (["category: shoes"], {"category": {" shoes"}}),
    ],
)
def test_any_of_a_keys_values_and_every_key(
    labelled_client: TestClient, draw: Draw, filters: list[str], wanted: dict[str, set[str]]
) -> None:
    every = matches(labelled_client, draw(1))
    expected = [
        match
        for match in every
        if all(match["attributes"].get(key) in values for key, values in wanted.items())
    ]
    assert matches(labelled_client, draw(1), filter=filters) == expected


def test_a_value_may_hold_colons_and_commas(labelled_client: TestClient, draw: Draw) -> None:
    found = matches(labelled_client, draw(1), filter="colour:a:b, c")
    assert {match["product_id"] for match in found} == {"product-2", "product-5"}


def test_a_filter_without_a_colon_is_refused_with_its_form(
    labelled_client: TestClient, draw: Draw
) -> None:
    for text in ("shoes", "", ":shoes"):
        answer = ask(labelled_client, draw(1), {"filter": text})
        assert (answer.status_code, answer.json()["code"]) == (422, "malformed_filter")
        assert "key:value" in answer.json()["detail"]


def test_an_unknown_key_is_refused_naming_the_known_ones(
    labelled_client: TestClient, draw: Draw
) -> None:
    answer = ask(labelled_client, draw(1), {"filter": "brand:x"})
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_filter_key")
    assert "category, colour, note" in answer.json()["detail"]


def test_an_empty_catalogue_knows_no_wrong_key(shop: Shop, draw: Draw) -> None:
    with shop.open() as client:
        assert matches(client, draw(1), filter="brand:x", facets=True) == []


def test_a_key_that_an_edit_took_away_is_unknown(shop: Shop, draw: Draw, wait_for: Any) -> None:
    shop.put("a.jpg", draw(1))
    shop.put("products.csv", b"path,brand,colour\na.jpg,Norda,red\n")
    shop.ingest()
    with shop.open() as client:
        assert ids(matches(client, draw(1), filter="brand:Norda")) == ["a"]
        shop.put("products.csv", b"path,colour\na.jpg,red\n")
        shop.ingest()
        wait_for(lambda: ask(client, draw(1), {"filter": "brand:Norda"}).status_code == 422)
        assert ids(matches(client, draw(1), filter="colour:red")) == ["a"]


def test_grouped_by_product_each_comes_once_with_its_best_photo(
    labelled_client: TestClient, draw: Draw
) -> None:
    best: dict[str, dict[str, Any]] = {}
    for match in matches(labelled_client, draw(4)):
        best.setdefault(match["product_id"], match)
    grouped = matches(labelled_client, draw(4), group_by="product")
    assert grouped == list(best.values())
    assert len(grouped) == 6 + 1 + 3  # those without a row are products of one photo
    few = matches(labelled_client, draw(4), group_by="product", top_k=3)
    assert few == grouped[:3]


def test_an_unknown_group_is_refused(labelled_client: TestClient, draw: Draw) -> None:
    answer = ask(labelled_client, draw(1), {"group_by": "colour"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "group_by" in answer.json()["detail"]
    assert "product" in answer.json()["detail"]


@pytest.mark.parametrize("group", [{}, {"group_by": "product"}])
@pytest.mark.parametrize("filters", [[], ["category:shoes"], ["colour:red", "colour:blue"]])
@pytest.mark.parametrize("threshold", [-1, 0.3, 0.5, 0.99])
def test_facets_count_all_matches_and_not_only_those_shown(
    labelled_client: TestClient,
    draw: Draw,
    threshold: float,
    filters: list[str],
    group: dict[str, str],
) -> None:
    asked = {"threshold": threshold, "filter": filters, **group}
    counted: dict[str, Counter[str]] = {}
    for match in matches(labelled_client, draw(2), **asked):
        for key, value in match["attributes"].items():
            counted.setdefault(key, Counter())[value] += 1
    answer = ask(labelled_client, draw(2), {**asked, "top_k": 1, "facets": True}).json()
    found = {
        key: [(one["value"], one["count"]) for one in values]
        for key, values in answer["facets"].items()
    }
    assert {key: dict(values) for key, values in found.items()} == counted
    for values in found.values():
        assert values == sorted(values, key=lambda pair: (-pair[1], pair[0]))
    assert len(answer["matches"]) <= 1


def test_facets_count_just_what_is_at_the_threshold_as_shown(
    labelled_client: TestClient, draw: Draw
) -> None:
    for match in matches(labelled_client, draw(2)):
        asked = {"threshold": match["similarity_score"], "filter": ["category:shoes"]}
        shown = matches(labelled_client, draw(2), **asked)
        facets = ask(labelled_client, draw(2), {**asked, "facets": True}).json()["facets"]
        counted = facets["category"][0]["count"] if facets else 0
        assert counted == len(shown)


def test_there_are_facets_only_where_asked_for(labelled_client: TestClient, draw: Draw) -> None:
    assert "facets" not in ask(labelled_client, draw(1)).json()


def test_values_of_a_key_are_bounded(shop: Shop, draw: Draw) -> None:
    rows = ["path,sku"]
    for number in range(120):
        shop.put(f"{number}.jpg", draw(number % 3))
        rows.append(f"{number}.jpg,{number % 110:03}")
    shop.put("products.csv", "\n".join(rows).encode())
    shop.ingest()
    with shop.open() as client:
        answer = ask(client, draw(1), {"threshold": -1, "facets": True}).json()
    values = answer["facets"]["sku"]
    assert len(values) == 100
    assert [value["count"] for value in values] == [2] * 10 + [1] * 90


def test_a_crop_is_searched_as_if_it_had_been_uploaded(
    labelled_client: TestClient, draw: Draw
) -> None:
    image = Image.open(io.BytesIO(draw(5, "PNG", (200, 100))))
    part = io.BytesIO()
    image.crop((50, 20, 150, 80)).save(part, "PNG")
    whole = draw(5, "PNG", (200, 100))
    assert matches(labelled_client, whole, crop="0.25,0.2,0.75,0.8") == matches(
        labelled_client, part.getvalue()
    )
    assert matches(labelled_client, whole, crop="0,0,1,1") == matches(labelled_client, whole)
    assert matches(labelled_client, whole, crop="") == matches(labelled_client, whole)
    # A part of a large JPEG is as sharp as if it came alone.
    large = io.BytesIO()
    image.resize((2000, 1000), Image.Resampling.BICUBIC).save(large, "JPEG", quality=95)
    small_part = {"crop": "0.25,0.2,0.75,0.8"}
    of_large, of_small = (
        {match["image_id"]: match["similarity_score"] for match in found}
        for found in (
            matches(labelled_client, large.getvalue(), **small_part),
            matches(labelled_client, whole, **small_part),
        )
    )
    assert of_large == pytest.approx(of_small, abs=0.03)
    tiny = matches(labelled_client, whole, crop="0.5,0.5,0.500001,0.500001")
    assert len(tiny) == 24


@pytest.mark.parametrize(
    "crop",
    [
        "0,0,1", "0,0,1,1,1", "a,b,c,d", "0 0 1 1", "nan,0,1,1", "0,0,inf,1", "-0.1,0,1,1",
        "0,0,1.01,1", "0.6,0,0.4,1", "0,0.6,1,0.4", "0.5,0,0.5,1", ",,,",
    ],
)  # fmt: skip
def test_a_bad_crop_is_refused(labelled_client: TestClient, draw: Draw, crop: str) -> None:
    answer = ask(labelled_client, draw(1), {"crop": crop})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"][0]["field"] == "crop"


def test_a_picture_may_be_named_by_its_address(labelled: Shop, draw: Draw, photos: str) -> None:
    with labelled.open(url_allow_private=True) as client:
        answer = client.post(FIND, data={"url": f"{photos}/3.jpg"})
        assert answer.json()["matches"][0]["image_id"] == "p/3"
        gone = client.post(FIND, data={"url": f"{photos}/none.jpg"})
        assert (gone.status_code, gone.json()["code"]) == (422, "fetch_failed")
    with labelled.open() as client:
        private = client.post(FIND, data={"url": f"{photos}/3.jpg"})
        assert (private.status_code, private.json()["code"]) == (422, "fetch_refused")
        both = client.post(FIND, data={"url": "http://x.example"}, files={"file": draw(1)})
        assert both.status_code == 422
        assert both.json()["errors"][0]["field"] == "url"
