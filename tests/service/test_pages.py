"""The pages as documents, and what only they ask for."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from service.charts import ticks
from tests.service.conftest import REPOSITORY

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from tests.service.conftest import Draw, Shop

PAGES = ["/", "/compare", "/catalogue", "/catalogue?state=duplicates", "/operations", "/login"]
STATIC = REPOSITORY / "service/web/static"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_holds_browsers_to_our_own_files(client: TestClient, path: str) -> None:
    answer = client.get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", answer.text)
    for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', answer.text):
        assert client.get(address).status_code == 200, address


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_reference_is_made_of_our_own_files(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert "http" not in answer.headers["content-security-policy"]
    addresses = re.findall(r'<(?:script|link)[^>]*(?:src|href)="([^"]+)"', answer.text)
    assert len(addresses) >= 3
    assert all(client.get(address).status_code == 200 for address in addresses)


def test_every_module_imports_files_that_are_there() -> None:
    for module in STATIC.rglob("*.js"):
        text = module.read_text(encoding="utf-8")
        assert len(text.splitlines()) < 300, module
        for imported in re.findall(r'from "([^"]+)"', text):
            assert (module.parent / imported).is_file(), f"{module.name}: {imported}"


def test_no_module_reads_text_as_markup() -> None:
    for module in STATIC.rglob("*.js"):
        text = module.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)


def test_files_are_asked_after_each_time(client: TestClient) -> None:
    answer = client.get("/static/js/dom.js")
    assert answer.headers["cache-control"] == "no-cache"
    tag = {"If-None-Match": answer.headers["etag"]}
    assert client.get("/static/js/dom.js", headers=tag).status_code == 304
    assert client.get("/static/../render.py").status_code == 404


def test_an_empty_catalogue_says_what_to_do(shop: Shop) -> None:
    with shop.open() as client:
        assert "The catalogue is empty" in client.get("/").text


def test_names_are_shown_as_text(shop: Shop, draw: Draw) -> None:
    shop.put("a.jpg", draw(1))
    shop.put("products.csv", b"path,name\na.jpg,<script>alert(1)</script>\n")
    shop.ingest()
    with shop.open() as client:
        text = client.get("/").text
    assert "&lt;script&gt;alert(1)" in text
    assert "<script>alert" not in text


def test_signing_in_leads_back_to_a_page_of_ours_alone(client: TestClient) -> None:
    assert 'value="/operations"' in client.get("/login?next=/operations").text
    assert 'value="/"' in client.get("/login?next=https://evil.example").text
    assert "not known" in client.get("/login?failed=true").text


def test_a_picture_that_browsers_cannot_read_is_made_readable(client: TestClient) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (3000, 1500), "teal").save(buffer, "TIFF")
    answer = client.post("/preview", files={"file": buffer.getvalue()})
    with Image.open(io.BytesIO(answer.content)) as shown:
        assert (shown.format, shown.size) == ("JPEG", (1200, 600))
    assert client.post("/preview", files={"file": b"words"}).json()["code"] == "not_an_image"


def test_a_private_address_is_not_fetched_for_a_page(client: TestClient) -> None:
    refused = client.post("/remote-picture", json={"url": "http://127.0.0.1:1/a.jpg"})
    assert (refused.status_code, refused.json()["code"]) == (422, "fetch_refused")


def test_charts_of_runs_need_neither_script_nor_style(shop: Shop, draw: Draw) -> None:
    shop.put("a.jpg", draw(1))
    shop.ingest()
    with shop.open() as client:
        drawn = client.get("/operations/charts").text
    assert drawn.count("<svg") == 3
    assert "Run 1: 1 added or edited" in drawn
    assert not re.search(r"<script|<style|\sstyle=|\sid=", drawn)


def test_without_runs_there_is_a_sentence_instead_of_charts(shop: Shop) -> None:
    with shop.open() as client:
        assert "No runs yet" in client.get("/operations/charts").text


@pytest.mark.parametrize(
    ("top", "expected"),
    [(0, [0, 1]), (3, [0, 1, 2, 3]), (7, [0, 2, 4, 6, 8]), (77, [0, 20, 40, 60, 80])],
)
def test_axes_have_few_round_numbers(top: float, expected: list[float]) -> None:
    assert ticks(top) == expected
