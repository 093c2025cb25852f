"""A real browser, and the real service over the sample catalogue."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.service.conftest import (
    REPOSITORY,
    Server,
    Shop,
    build_shop,
    clip_shop,  # noqa: F401  # fixtures are found by where they are imported
    draw_fixture,  # noqa: F401
)

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import ConsoleMessage, Request

SAMPLES = REPOSITORY / "data" / "images"
QUERIES = REPOSITORY / "data" / "queries"
MARKUP = "<img src=x onerror=document.title='pwned'><b>bold</b>"
DESK = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The machine's own Chromium; without one these tests are skipped, or fail where they must.

    It ends with its module, because Playwright's event loop counts as running as long as it lives,
    and other tests run loops of their own.
    """
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        reason = "No Chromium on this machine, so no page was tested: apt-get install chromium"
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(_ARGUMENTS))
        yield browser
        browser.close()


@dataclass
class Visit:
    """One page open in the browser, and what it complained of."""

    page: Page
    url: str  # of the service
    errors: list[str] = field(default_factory=list)
    expected: str | None = None  # part of a complaint that is as it should be

    def go(self, path: str) -> Page:
        """Open a page of the service, loaded to the last picture."""
        self.page.goto(self.url + path)
        self.page.wait_for_load_state("load")
        return self.page

    def noted(self, message: ConsoleMessage) -> None:
        # What the service refuses the browser notes as an error, too; the pages say it in words.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self._complain(message.text)

    def _complain(self, text: str) -> None:
        if not (self.expected and self.expected in text):
            self.errors.append(text)

    def requested(self, request: Request) -> None:
        inside = urlsplit(request.url).scheme in ("blob", "data")
        if not inside and not request.url.startswith(self.url):
            self._complain(f"A request left the service: {request.url}")


Open = Callable[..., Any]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    """Open pages; in the end none may have broken or asked another site for anything."""
    visits = list[Visit]()
    contexts = []

    def opened(server: Server, **options: Any) -> Visit:
        context = browser.new_context(**{"viewport": DESK, **options})
        context.set_default_timeout(15_000)
        contexts.append(context)
        found = Visit(context.new_page(), server.url)
        found.page.on("console", found.noted)
        found.page.on("pageerror", lambda error: found.errors.append(str(error)))
        found.page.on("request", found.requested)
        visits.append(found)
        return found

    yield opened
    for context in contexts:
        context.close()
    assert [error for one in visits for error in one.errors] == []


def sample_shop(folder: Path) -> Shop:
    """The sample catalogue with a photo that cannot be read, a copy, and a name with markup."""
    shop = build_shop(folder)
    shutil.copytree(SAMPLES, shop.folder, dirs_exist_ok=True)
    products = shop.folder / "products.csv"
    text = products.read_text(encoding="utf-8")
    products.write_text(text.replace("Court low, leather", MARKUP), encoding="utf-8")
    shutil.copy(shop.folder / "mugs/yellow-mug-1.jpg", shop.folder / "mugs/sunny-mug.jpg")
    shop.put("bags/torn.jpg", (shop.folder / "bags/amber-tote-1.jpg").read_bytes()[:2000])
    return shop


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The service over the sample catalogue; tests leave it as it is."""
    shop = sample_shop(tmp_path_factory.mktemp("site"))
    shop.ingest()
    with Server(shop, "--no-ingest", LOOKALIKE_URL_ALLOW_PRIVATE="true") as server:
        yield server


@pytest.fixture
def own_site(tmp_path: Path) -> Callable[..., Any]:
    """A service over a copy of the sample catalogue that a test may change."""

    @contextmanager
    def opened(*options: str, **environment: str) -> Iterator[tuple[Server, Shop]]:
        shop = sample_shop(tmp_path)
        shop.ingest()
        with Server(shop, *options, **environment) as server:
            yield server, shop

    return opened
