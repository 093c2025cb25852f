"""The photos themselves, and nothing else of the disk."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import pytest
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.testclient import TestClient

    from tests.service.conftest import Draw, Shop


def test_a_photo_is_served_as_it_is(client: TestClient, draw: Draw) -> None:
    answer = client.get("/api/v1/images/shoes/s4.jpg")
    assert answer.content == draw(4)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_content_names_its_type(shop: Shop, draw: Draw) -> None:
    for kind in ("PNG", "WEBP", "GIF", "BMP", "TIFF"):
        shop.put(f"{kind}.jpg", draw(1, kind))
    shop.ingest()
    with shop.open() as client:
        for kind in ("PNG", "WEBP", "GIF", "BMP", "TIFF"):
            answer = client.get(f"/api/v1/images/{kind}.jpg")
            assert answer.headers["content-type"] == f"image/{kind.lower()}"


def test_a_thumbnail_fits_the_size_asked_for(client: TestClient) -> None:
    answer = client.get("/api/v1/images/twin.png", params={"size": 32})
    image = Image.open(io.BytesIO(answer.content))
    assert image.format == "JPEG"
    assert image.size == (32, 27)


def test_a_known_tag_saves_the_transfer(client: TestClient) -> None:
    for params in ({}, {"size": 64}):
        first = client.get("/api/v1/images/shoes/s1.jpg", params=params)
        again = client.get(
            "/api/v1/images/shoes/s1.jpg",
            params=params,
            headers={"If-None-Match": first.headers["etag"]},
        )
        assert (again.status_code, again.content) == (304, b"")
        assert "max-age" in first.headers["cache-control"]


def test_an_edited_photo_has_another_tag(shop: Shop, draw: Draw) -> None:
    shop.put("a.jpg", draw(1))
    shop.ingest()
    with shop.open() as client:
        before = client.get("/api/v1/images/a.jpg").headers["etag"]
        shop.put("a.jpg", draw(2))
        assert client.get("/api/v1/images/a.jpg").headers["etag"] != before


@pytest.mark.parametrize(
    "path",
    [
        "nothing.jpg",
        "products.csv",
        "shoes",
        "shoes/",
        "",
        "../store/catalog.db",
        "%2e%2e/store/catalog.db",
        "shoes%2f..%2ftwin.jpg",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "twin.jpg%00",
    ],
)
def test_only_paths_of_the_catalogue_are_served(client: TestClient, path: str) -> None:
    answer = client.get(f"/api/v1/images/{path}")
    assert answer.status_code == 404
    assert answer.json()["code"] in ("image_not_found", "not_found")


def test_a_link_out_of_the_folder_is_refused_though_the_catalogue_knows_the_path(
    shop: Shop, draw: Draw, tmp_path: Path
) -> None:
    photo = shop.put("a.jpg", draw(1))
    shop.put("deep/b.jpg", draw(2))
    shop.ingest()
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(draw(3))
    photo.unlink()
    photo.symlink_to(secret)
    (shop.folder / "deep").rename(tmp_path / "elsewhere")
    (shop.folder / "deep").symlink_to(tmp_path / "elsewhere")
    with shop.open() as client:
        assert client.get("/api/v1/images/a.jpg").status_code == 404
        assert client.get("/api/v1/images/deep/b.jpg").status_code == 404


def test_a_file_that_is_gone_a_pipe_or_no_picture_is_not_found(shop: Shop, draw: Draw) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        shop.put(name, draw(1)).touch()
    shop.ingest()
    (shop.folder / "a.jpg").unlink()
    (shop.folder / "b.jpg").unlink()
    os.mkfifo(shop.folder / "b.jpg")
    (shop.folder / "c.jpg").write_bytes(b"<script>alert(1)</script>")
    with shop.open() as client:
        for name in ("a.jpg", "b.jpg", "c.jpg"):
            for params in ({}, {"size": 32}):
                assert client.get(f"/api/v1/images/{name}", params=params).status_code == 404


def test_a_damaged_picture_has_no_thumbnail(shop: Shop, draw: Draw) -> None:
    shop.put("a.jpg", draw(1)[:700])
    shop.ingest()
    with shop.open() as client:
        answer = client.get("/api/v1/images/a.jpg", params={"size": 32})
        assert answer.status_code == 404
        assert "damaged" in answer.json()["detail"]


@pytest.mark.parametrize("size", [0, 15, 2049, "big"])
def test_a_size_out_of_range_is_refused(client: TestClient, size: object) -> None:
    assert client.get("/api/v1/images/twin.jpg", params={"size": size}).status_code == 422
