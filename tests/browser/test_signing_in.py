"""The pages where keys are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser.conftest import QUERIES

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tests.browser.conftest import Open

SEARCH_KEY = "search-only-key-0123456789"
BOTH_KEY = "search-and-ingest-key-0123456789"
KEYS = f"shop:search:{SEARCH_KEY},office:search+ingest:{BOTH_KEY}"


def test_a_key_signs_in_and_shows_the_pages_it_is_good_for(
    own_site: Callable[..., Any], visit: Open
) -> None:
    with own_site("--no-ingest", LOOKALIKE_API_KEYS=KEYS) as (server, _):
        page = visit(server).go("/?like=mugs/yellow-mug-1.jpg")
        expect(page).to_have_title("Sign in · Lookalike")
        page.fill("#key", "a-wrong-key-0123456789")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("not known")
        page.go_back()
        page.fill("#key", SEARCH_KEY)
        page.keyboard.press("Enter")
        expect(page.locator(".match").first).to_be_visible()
        expect(page.locator(".match img").first).to_have_js_property("complete", value=True)
        page.set_input_files("#choose", QUERIES / "red-sneaker-street.jpg")
        expect(page.locator(".match h3").first).to_have_text("Court low, canvas")
        links = page.locator(".top nav a:visible")
        expect(links).to_have_text(["Search", "Compare"])
        page.get_by_role("button", name="Sign out").click()
        expect(page).to_have_title("Sign in · Lookalike")
        page.goto(f"{server.url}/operations")
        page.fill("#key", BOTH_KEY)
        page.keyboard.press("Enter")
        expect(page.locator("#connection")).to_have_text("Live")
        expect(links).to_have_count(4)
