"""Searching with words, where the model reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.service.conftest import Server

if TYPE_CHECKING:
    from tests.browser.conftest import Open
    from tests.service.conftest import Draw, Shop


@pytest.mark.slow
def test_words_search_alone_and_with_a_picture(clip_shop: Shop, visit: Open, draw: Draw) -> None:
    weights = str(clip_shop.settings.model_weights)
    with Server(clip_shop, "--no-ingest", LOOKALIKE_MODEL_WEIGHTS=weights) as server:
        page = visit(server).go("/")
        page.fill("#start-text", "red canvas sneaker")
        page.keyboard.press("Enter")
        page.wait_for_url("**text=red+canvas+sneaker*")
        expect(page.locator("#found")).to_have_attribute("aria-busy", "false")
        picture = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": draw(1)}
        page.set_input_files("#choose", picture)
        expect(page.locator("#source-name")).to_have_text("a.jpg")
        expect(page.locator("#found")).to_have_attribute("aria-busy", "false")
        page.fill("#text", "blue")
        with page.expect_response("**/api/v1/search") as answered:
            page.get_by_role("button", name="Go").click()
        assert answered.value.ok
        expect(page.locator("#source")).to_be_visible()
        page.locator("#threshold").fill("0")
        expect(page.locator(".match").first).to_be_visible()
        assert "text=blue" in page.url
