"""What holds for all pages: barriers, colours, phones, and what a page may load."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.conftest import PHONE, QUERIES

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.conftest import Open
    from tests.service.conftest import Server

PAGES = {
    "/": "#start",
    "/?like=shoes/red-sneaker-1.jpg": ".match >> nth=2",
    "/?like=shoes/red-sneaker-1.jpg&threshold=1": "#message .blank",
    "/?like=shoes/gone.jpg": "[role=alert]",
    "/compare": "#csv + #pictures + button",
    "/catalogue": "#list > li >> nth=5",
    "/catalogue?state=failed": "#list > li",
    "/catalogue?state=missing": "#blank .blank",
    "/catalogue?state=duplicates": ".group",
    "/operations": "#charts figure >> nth=2",
    "/login": "#key",
}
"""Address -> what is there once the page is drawn."""


def barriers(page: Page, rules: tuple[str, ...] = ()) -> list[str]:
    """What axe-core finds serious or worse, by these rules or all."""
    options: dict[str, object] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = list(rules)
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes'][:3]]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_no_serious_barrier_and_fits_a_phone(
    site: Server, visit: Open, path: str
) -> None:
    page = visit(site, color_scheme="light").go(path)
    expect(page.locator(PAGES[path])).to_be_visible()
    assert barriers(page) == []
    page.emulate_media(color_scheme="dark")
    assert barriers(page, ("color-contrast",)) == []
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_colours_follow_the_device_until_somebody_chooses(site: Server, visit: Open) -> None:
    def is_dark(page: Page) -> bool:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(","))) < 200

    page = visit(site, color_scheme="light").go("/compare")
    assert not is_dark(page)
    page.emulate_media(color_scheme="dark")
    assert is_dark(page)
    page.get_by_role("button", name="Colours").click()
    page.get_by_role("button", name="Colours: dark").click()
    assert not is_dark(page)
    page.reload()
    assert not is_dark(page)


def test_the_api_reference_is_shown_without_help_from_elsewhere(site: Server, visit: Open) -> None:
    page = visit(site).go("/docs")
    expect(page.get_by_text("/api/v1/find-similar", exact=True)).to_be_visible()
    reader = visit(site)
    # ReDoc names its maker's logo, which the policy stops before it is asked for.
    reader.expected = "cdn.redoc.ly"
    page = reader.go("/redoc")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Lookalike")


def test_a_page_of_results_stays_usable_at_twice_the_size(site: Server, visit: Open) -> None:
    page = visit(site, viewport={"width": 640, "height": 430}).go("/")
    page.set_input_files("#choose", QUERIES / "red-sneaker-street.jpg")
    expect(page.locator(".match").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
