"""Browsing the catalogue, mending what failed, finding what is there twice."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tests.browser.conftest import Open
    from tests.service.conftest import Server


def test_items_are_found_by_name_and_attribute(site: Server, visit: Open) -> None:
    page = visit(site).go("/catalogue")
    expect(page.locator("#list > li")).to_have_count(60)
    page.get_by_role("button", name="Show more").click()
    expect(page.locator("#list > li")).to_have_count(79)
    page.fill("#text", "backpack")
    expect(page.locator("#list > li")).to_have_count(3)
    page.fill("#text", "")
    page.get_by_label("category").select_option("fruit")
    expect(page.locator("#list h3").first).to_contain_text("Bananas")
    page.fill("#text", "no such thing")
    expect(page.locator("#blank")).to_contain_text("Nothing found")


def test_a_failed_photo_that_was_mended_is_searchable_after_a_retry(
    own_site: Callable[..., Any], visit: Open
) -> None:
    with own_site() as (server, shop):
        page = visit(server).go("/catalogue?state=failed")
        expect(page.locator("#list > li")).to_have_count(1)
        expect(page.locator("#list")).to_contain_text("damaged or cut short")
        page.get_by_role("button", name="Try bags/torn.jpg again").click()
        expect(page.locator("#message")).to_contain_text("1 photo still cannot be used")
        shutil.copy(shop.folder / "bags/amber-tote-1.jpg", shop.folder / "bags/torn.jpg")
        page.get_by_role("button", name="Try all again").click()
        expect(page.locator("#message")).to_contain_text("Nothing is failed any more")
        expect(page.locator("#list > li")).to_have_count(0)
        (shop.folder / "bags/torn.jpg").unlink()
        shop.ingest()
        page = visit(server).go("/catalogue?state=missing")
        expect(page.locator("#list")).to_contain_text("bags/torn.jpg")


def test_one_photo_under_two_products_is_found(site: Server, visit: Open) -> None:
    page = visit(site).go("/catalogue?state=duplicates")
    page.locator("#threshold").fill("1")
    group = page.locator(".group")
    expect(group).to_have_count(1)
    expect(group).to_contain_text("The same file")
    expect(group).to_contain_text("mugs/sunny-mug.jpg")
    page.locator("#across").uncheck()
    page.locator("#threshold").fill("0.97")
    expect(group.nth(3)).to_be_visible()
    group.first.locator("a").first.click()
    expect(page.locator(".match").first).to_be_visible()
