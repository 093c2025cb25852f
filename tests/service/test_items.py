"""Photos and their states; another try for those that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from tests.service.conftest import Draw, Shop, WaitFor


def test_items_are_listed_by_state_and_page(shop: Shop, draw: Draw) -> None:
    shop.put("a.jpg", draw(1))
    shop.put("b.jpg", b"not a picture")
    shop.put("c.jpg", draw(2))
    shop.ingest()
    (shop.folder / "c.jpg").unlink()
    shop.ingest()
    with shop.open() as client:
        whole = client.get("/api/v1/items").json()
        assert whole["total"] == 3
        assert [item["state"] for item in whole["items"]] == ["indexed", "failed", "missing"]
        failed = client.get("/api/v1/items", params={"state": "failed"}).json()
        assert failed["total"] == 1
        assert failed["items"][0]["path"] == "b.jpg"
        assert failed["items"][0]["reason_code"] == "not_an_image"
        assert failed["items"][0]["reason"]
        page = client.get("/api/v1/items", params={"limit": 1, "offset": 2}).json()
        assert [item["path"] for item in page["items"]] == ["c.jpg"]
        assert client.get("/api/v1/items", params={"limit": 0}).status_code == 422


def test_failed_items_are_tried_again_on_request(shop: Shop, wait_for: WaitFor) -> None:
    shop.put("a.jpg", b"not a picture")
    shop.put(b"caf\xe9.jpg", b"nor this")
    shop.ingest()
    with shop.daemon(), shop.open() as client:
        shown = client.get("/api/v1/items", params={"state": "failed"}).json()["items"][1]["path"]
        for body in (None, {"paths": ["a.jpg"]}, {"paths": [shown]}):
            answer = client.post("/api/v1/items/retry", json=body)
            assert answer.status_code == 202
            run = answer.headers["location"]
            wait_for(lambda run=run: client.get(run).json()["success"])
            assert client.get(run).json()["hashed"] >= 1
        answer = client.post("/api/v1/items/retry", json={"paths": ["none.jpg"]})
        assert (answer.status_code, answer.json()["code"]) == (404, "nothing_to_retry")


def test_a_retry_without_a_daemon_or_of_a_wrong_form_is_refused(client: TestClient) -> None:
    assert client.post("/api/v1/items/retry").json()["code"] == "no_ingest_daemon"
    answer = client.post("/api/v1/items/retry", json={"path": "a.jpg"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_items_are_found_by_words_and_attributes(shop: Shop, draw: Draw) -> None:
    for seed, path in enumerate(("bags/a.jpg", "shoes/b.jpg", "shoes/c_1.jpg")):
        shop.put(path, draw(seed))
    shop.put(
        "products.csv",
        b"path,product_id,colour,name\nbags/a.jpg,p1,red,100% canvas\n"
        b"shoes/b.jpg,p2,red: dark,Runner\nshoes/c_1.jpg,p3,blue,Runner\n",
    )
    shop.ingest()
    with shop.open() as client:

        def found(**asked: object) -> list[str]:
            items = client.get("/api/v1/items", params=asked).json()["items"]
            return [item["path"] for item in items]

        assert found(text="SHOES") == ["shoes/b.jpg", "shoes/c_1.jpg"]
        assert found(text="p3") == found(text="c_1") == ["shoes/c_1.jpg"]
        assert found(text="100%") == ["bags/a.jpg"]
        assert found(text="0%_c") == []
        assert found(filter="colour:red: dark") == ["shoes/b.jpg"]
        assert found(filter=["colour:red", "colour:blue"]) == ["bags/a.jpg", "shoes/c_1.jpg"]
        assert found(filter=["colour:blue", "name:Runner"], text="shoes") == ["shoes/c_1.jpg"]
        assert found(filter="size:9") == []
        assert client.get("/api/v1/items?filter=nonsense").json()["code"] == "malformed_filter"
        facets = client.get("/api/v1/items?facets=true&limit=1").json()["facets"]
        assert facets["name"][0] == {"value": "Runner", "count": 2}
