"""What cannot be searched with, and a service that leaves: each a sentence a person understands."""

from __future__ import annotations

import io
import re
import signal
from typing import TYPE_CHECKING

import pytest
import requests
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import QUERIES
from tests.browser.drops import bring
from tests.service.conftest import Server, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tests.browser.conftest import Open

SNEAKER = QUERIES / "red-sneaker-street.jpg"


def generation(server: Server) -> int:
    found: int = requests.get(f"{server.url}/stats", timeout=5).json()["generation"]
    return found


def huge_picture() -> bytes:
    """A small file of very many pixels."""
    buffer = io.BytesIO()
    Image.new("1", (9000, 9000)).save(buffer, "PNG")
    return buffer.getvalue()


UNUSABLE = (
    ("film.raw", 200_000_000, "film.raw is too large: it has 200 MB, and at most 20 MB"),
    ("notes.txt", b"just some words", "not a picture that can be read"),
    ("cut.jpg", SNEAKER.read_bytes()[:4000], "damaged or cut short"),
    ("poster.png", huge_picture(), r"too large.*9000 x 9000.*LOOKALIKE_MAX_IMAGE_MEGAPIXELS"),
    ("void.jpg", b"", "void.jpg is empty"),
)


def test_what_is_no_usable_picture_is_said_in_a_sentence(site: Server, visit: Open) -> None:
    page = visit(site).go("/")
    for name, content, said in UNUSABLE:
        bring(page, "drop", name, content)
        expect(page.get_by_role("alert")).to_contain_text(re.compile(said, re.DOTALL))
        expect(page.get_by_role("alert")).to_have_count(1)
    page.set_input_files("#choose", SNEAKER)  # and the page goes on
    expect(page.locator(".match h3").first).to_have_text("Court low, canvas")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_heic_photo_is_searched_with_and_shown(site: Server, visit: Open) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    with Image.open(SNEAKER) as picture:
        pillow_heif.from_pillow(picture).save(buffer, quality=80)
    page = visit(site).go("/")
    bring(page, "drop", "IMG_0001.HEIC", buffer.getvalue(), "image/heic")
    expect(page.locator(".match h3").first).to_have_text("Court low, canvas")
    expect(page.locator("img#preview")).not_to_have_js_property("naturalWidth", 0)


def test_a_service_that_stops_during_an_upload_and_comes_back(
    own_site: Callable[..., Any], visit: Open
) -> None:
    with own_site("--no-ingest") as (server, shop):
        page = visit(server).go("/")
        server.process.send_signal(signal.SIGSTOP)  # the upload waits half-way
        page.set_input_files("#choose", SNEAKER)
        expect(page.locator("#summary")).to_have_text("Searching…")
        server.process.kill()
        server.process.wait()
        expect(page.get_by_role("alert")).to_contain_text("The connection to Lookalike was lost")
        port = server.url.rpartition(":")[2]
        with Server(shop, "--no-ingest", "--port", port):
            page.get_by_role("button", name="Try again").click()
            expect(page.locator(".match h3").first).to_have_text("Court low, canvas")


def test_a_photo_deleted_between_result_and_click(
    own_site: Callable[..., Any], visit: Open
) -> None:
    with own_site("--no-ingest") as (server, shop):
        page = visit(server).go("/")
        page.set_input_files("#choose", SNEAKER)
        expect(page.locator(".match").first).to_be_visible()
        path = page.locator(".match .path").first.inner_text()
        (shop.folder / path).unlink()
        other = visit(server).go("/")  # a browser that has not seen the photo before
        other.set_input_files("#choose", SNEAKER)
        expect(other.locator(".match .gone").first).to_have_text("Picture not available")
        before = generation(server)
        shop.ingest()
        wait_for(lambda: generation(server) > before)
        page.locator(".match button").first.click()
        expect(page.get_by_role("alert")).to_contain_text("no longer in the catalogue")
