"""Photos that show the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.service.conftest import wait_for

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from tests.service.conftest import Draw, Shop


def groups(client: TestClient, **asked: Any) -> list[dict[str, Any]]:
    """The groups, once every photo has been compared."""
    found: dict[str, Any] = {}

    def complete() -> bool:
        found.update(client.get("/api/v1/duplicates", params=asked).json())
        return bool(found["complete"])

    wait_for(complete)
    assert found["total"] == len(found["groups"])
    listed: list[dict[str, Any]] = found["groups"]
    return listed


def paths(group: dict[str, Any]) -> list[str]:
    return [item["image_path"] for item in group["items"]]


def test_equal_files_and_near_copies_are_grouped(shop: Shop, draw: Draw) -> None:
    shop.put("a.jpg", draw(1))
    shop.put("copy/b.jpg", draw(1))
    shop.put("c.png", draw(5, "PNG"))
    shop.put("d.bmp", draw(5, "BMP"))
    shop.put("alone.jpg", draw(9))
    shop.put("products.csv", b"path,product_id\na.jpg,one\ncopy/b.jpg,one\nc.png,x\nd.bmp,y\n")
    shop.ingest()
    with shop.open() as client:
        same, near = groups(client, threshold=0.97)
        assert (same["kind"], same["score"], same["products"]) == ("same_photo", 1.0, 1)
        assert paths(same) == ["a.jpg", "copy/b.jpg"]
        assert (near["kind"], near["products"], paths(near)) == ("near_copy", 2, ["c.png", "d.bmp"])
        assert near["score"] > 0.999
        assert [paths(group) for group in groups(client, across_products=True)] == [paths(near)]
        assert client.get("/api/v1/duplicates?threshold=0.5").status_code == 422


def test_groups_follow_the_catalogue(shop: Shop, draw: Draw) -> None:
    shop.put("a.bmp", draw(1, "BMP"))
    shop.ingest()
    with shop.open() as client:
        assert groups(client) == []
        shop.put("b.png", draw(1, "PNG"))
        shop.ingest()
        wait_for(lambda: client.get("/stats").json()["total_products"] == 2)
        assert [paths(group) for group in groups(client)] == [["a.bmp", "b.png"]]
        (shop.folder / "a.bmp").unlink()
        shop.ingest()
        wait_for(lambda: client.get("/stats").json()["total_products"] == 1)
        assert groups(client) == []


def test_an_empty_catalogue_has_none(shop: Shop) -> None:
    with shop.open() as client:
        assert groups(client) == []
