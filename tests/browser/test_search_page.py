"""Dropping a picture and finding what looks like it."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import MARKUP, PHONE, QUERIES
from tests.browser.drops import bring

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.conftest import Open
    from tests.service.conftest import Server

SNEAKER = QUERIES / "red-sneaker-street.jpg"


def names(page: Page) -> list[str]:
    expect(page.locator("#found")).to_have_attribute("aria-busy", "false")
    return page.locator(".match h3").all_inner_texts()


def paths(page: Page) -> list[str]:
    expect(page.locator("#found")).to_have_attribute("aria-busy", "false")
    return page.locator(".match .path").all_inner_texts()


def upload(page: Page) -> None:
    page.set_input_files("#choose", SNEAKER)
    expect(page.locator(".match").first).to_be_visible()


def test_an_upload_is_found_filtered_and_followed_to_more_like_it(
    site: Server, visit: Open
) -> None:
    page = visit(site).go("/")
    upload(page)
    assert names(page)[:3] == ["Court low, canvas"] * 3
    expect(page.locator("#summary")).to_contain_text("searched")
    expect(page.locator("#description")).to_contain_text("shoes")
    page.get_by_label("bags", exact=False).check()
    assert set(names(page)) == {"Evening handbag"}
    assert "filter=category%3Abags" in page.url
    page.locator(".match button").first.click()
    expect(page.locator("#source-name")).to_contain_text("bags/red-handbag")
    expect(page.locator("#facets input:checked")).to_have_count(0)
    assert "like=bags%2Fred-handbag" in page.url
    assert "red-sneaker" not in " ".join(paths(page)[:2])
    page.go_back()
    expect(page.locator("#source-name")).to_have_text(SNEAKER.name)
    assert set(names(page)) == {"Evening handbag"}


def test_the_threshold_narrows_at_once_and_widens_by_asking_again(
    site: Server, visit: Open
) -> None:
    page = visit(site).go("/")
    upload(page)
    before = len(names(page))
    asked = list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.locator("#threshold").fill("0.8")
    assert len(names(page)) == 3 < before
    assert [url for url in asked if "find-similar" in url] == []
    page.locator("#threshold").fill("0.3")
    expect(page.locator(".match").nth(before)).to_be_visible()
    page.locator("#threshold").fill("1")
    expect(page.locator("#message")).to_contain_text("Nothing looks that much alike")
    page.get_by_role("button", name="Lower the threshold").click()
    expect(page.locator(".match").first).to_be_visible()


def test_one_photo_of_each_product(site: Server, visit: Open) -> None:
    page = visit(site).go("/")
    upload(page)
    page.locator("#grouped").check()
    expect(page.locator("#summary")).to_contain_text("product")
    found = names(page)
    assert len(found) == len(set(found)) > 1


def test_a_part_drawn_on_the_picture_is_searched_for(site: Server, visit: Open) -> None:
    page = visit(site).go("/")
    upload(page)
    before = page.locator(".score").first.get_attribute("aria-label")
    area = page.locator("#crop").bounding_box()
    assert area is not None
    with page.expect_response("**/find-similar?*crop=*") as answered:
        page.mouse.move(area["x"] + 0.1 * area["width"], area["y"] + 0.3 * area["height"])
        page.mouse.down()
        page.mouse.move(area["x"] + 0.95 * area["width"], area["y"] + 0.9 * area["height"], steps=4)
        page.mouse.up()
    assert answered.value.ok
    expect(page.locator(".crop-box")).to_be_visible()
    expect(page.locator(".score").first).not_to_have_attribute("aria-label", before or "")
    assert "crop=0.1" in page.url
    page.get_by_role("button", name="Whole picture").click()
    expect(page.locator(".score").first).to_have_attribute("aria-label", before or "")


def test_the_address_brings_another_browser_to_the_same_search(site: Server, visit: Open) -> None:
    page = visit(site).go("/")
    upload(page)
    page.get_by_label("shoes", exact=False).check()
    page.wait_for_url("**filter=*")
    found = paths(page)
    other = visit(site).go(page.url.removeprefix(site.url))
    expect(other.locator(".match").first).to_be_visible()
    assert set(paths(other)) == set(found)
    assert other.locator("#facets input:checked").count() == 1
    item = visit(site).go("/?like=mugs/yellow-mug-1.jpg&group_by=product&threshold=0.5")
    expect(item.locator(".match").first).to_be_visible()
    assert item.locator("#grouped").is_checked()
    assert item.locator("#threshold").input_value() == "0.5"


@pytest.mark.parametrize("how", ["drop", "paste"])
def test_a_picture_may_be_dropped_or_pasted(site: Server, visit: Open, how: str) -> None:
    page = visit(site).go("/")
    bring(page, how, "shoe.jpg", SNEAKER.read_bytes())
    expect(page.locator(".match h3").first).to_have_text("Court low, canvas")


def test_a_picture_of_the_web_is_fetched_by_the_service(site: Server, visit: Open) -> None:
    files = partial(SimpleHTTPRequestHandler, directory=str(QUERIES))
    files.func.log_message = lambda *_: None  # type: ignore[method-assign]
    with ThreadingHTTPServer(("127.0.0.1", 0), files) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        page = visit(site).go("/")
        page.fill("#start-url", f"http://127.0.0.1:{web.server_port}/{SNEAKER.name}")
        page.keyboard.press("Enter")
        expect(page.locator(".match h3").first).to_have_text("Court low, canvas")
        expect(page.locator("#preview")).to_have_js_property("complete", True)
        page = visit(site).go("/")
        page.fill("#start-url", f"http://127.0.0.1:{web.server_port}/nothing.jpg")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("could not be fetched")
        web.shutdown()


def test_everything_can_be_done_from_the_keyboard(site: Server, visit: Open) -> None:
    opened = visit(site)
    # Listening from the start: a browser that is told so a moment too late opens a real dialog.
    opened.page.on("filechooser", lambda chooser: chooser.set_files(SNEAKER))
    page = opened.go("/")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.get_by_role("button", name="Choose a picture").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".match").first).to_be_visible()
    page.get_by_role("button", name="Select a part").focus()
    page.keyboard.press("Enter")
    box = page.locator(".crop-box")
    expect(box).to_be_focused()
    before = box.get_attribute("aria-label") or ""
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    expect(box).not_to_have_attribute("aria-label", before)
    page.keyboard.press("Escape")
    expect(box).to_be_hidden()
    page.locator("#threshold").focus()
    page.keyboard.press("Home")
    expect(page.locator("#threshold-value")).to_have_text("0.00")
    page.locator("#facets input").first.focus()
    page.keyboard.press("Space")
    expect(page.locator("#facets input:checked")).to_have_count(1)
    page.locator(".match button").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**like=*")


def test_on_a_phone_the_results_come_before_the_filters(site: Server, visit: Open) -> None:
    page = visit(site, viewport=PHONE, has_touch=True, is_mobile=True).go("/")
    expect(page.get_by_role("button", name="Take a photo")).to_be_visible()
    upload(page)
    expect(page.locator("#narrowing")).not_to_have_attribute("open", "")
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0


def test_a_product_name_with_markup_is_shown_as_text(site: Server, visit: Open) -> None:
    page = visit(site).go("/?like=shoes/white-sneaker-1.jpg")
    expect(page.locator(".match h3", has_text="onerror").first).to_have_text(MARKUP)
    other = visit(site).go("/catalogue?text=onerror")
    expect(other.locator("#list h3").first).to_have_text(MARKUP)
    assert "pwned" not in (page.title(), other.title())


def test_an_item_that_was_never_there_is_said_to_be_gone(site: Server, visit: Open) -> None:
    page = visit(site).go("/?like=shoes/never.jpg")
    expect(page.get_by_role("alert")).to_contain_text("no longer in the catalogue")
