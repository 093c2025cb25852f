"""Following runs and the service, live."""

from __future__ import annotations

import dataclasses
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from core.records import RunCounters, RunOptions, RunState
from core.store.catalog import Catalog
from core.store.runs import Outcome
from tests.service.conftest import draw

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tests.browser.conftest import Open


def test_a_run_is_followed_as_it_works(own_site: Callable[..., Any], visit: Open) -> None:
    """The test works in the ingester's place, at a pace that a browser can be checked at."""
    with (
        own_site("--no-ingest") as (server, shop),
        closing(Catalog(shop.settings.store_dir)) as catalog,
    ):
        page = visit(server).go("/operations")
        expect(page.locator("#connection")).to_have_text("Live")
        expect(page.locator("#warnings")).to_contain_text("No ingest daemon is at work")
        expect(page.locator("#warnings")).to_contain_text("1 photo could not be ingested")
        run = catalog.runs.start(RunOptions(), "cli")
        counters = RunCounters(scanned=1000, planned=400, settled=100, embedded=100)
        counters = dataclasses.replace(counters, stage_s={"walk": 0.5, "embed": 2.0})
        catalog.runs.progress(run.id, counters)
        expect(page.locator("#live")).to_contain_text("100 of 400 photos")
        page.wait_for_timeout(1200)
        catalog.runs.progress(run.id, dataclasses.replace(counters, settled=300, embedded=300))
        expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "75")
        expect(page.locator("#live")).to_contain_text("left")
        expect(page.locator("#stages")).to_contain_text("Embed photos")
        expect(page.locator("#stages")).to_contain_text("150")
        page.get_by_role("button", name="Stop the run").click()
        expect(page.locator("#live")).to_contain_text("stopping at the next batch")
        now = catalog.runs.get(run.id)
        assert now is not None
        assert now.cancel_requested
        catalog.runs.finish(run.id, Outcome(RunState.CANCELLED, "Stopped on request."), counters)
        expect(page.locator("#runs")).to_contain_text("Stopped on request.")
        expect(page.locator("#charts figure")).to_have_count(3)
        expect(page.get_by_role("button", name="Start a run")).to_be_visible()
        server.process.kill()
        expect(page.locator("#connection")).to_contain_text("Connection lost")


@pytest.mark.slow
def test_a_run_is_started_and_the_page_lives_while_the_daemon_restarts(
    own_site: Callable[..., Any], visit: Open
) -> None:
    with own_site(LOOKALIKE_SCHEDULE="0 3 * * *") as (server, shop):
        page = visit(server).go("/operations")
        expect(page.locator("#schedule")).to_contain_text("at work", timeout=20_000)
        expect(page.locator("#schedule")).to_contain_text("0 3 * * *")
        shop.put("new/one.jpg", draw(1))
        page.get_by_role("button", name="What is there to do?").click()
        expect(page.locator("#pending")).to_contain_text("1 photo to read")
        page.get_by_role("button", name="Start a run").click()
        expect(page.locator("#runs tr").first).to_contain_text("API")
        expect(page.locator("#runs tr").first).to_contain_text("1 new image")
        expect(page.locator("#numbers")).to_contain_text("79")
        first = server.children()[0]
        first.kill()
        page.get_by_role("button", name="Start a run").click()
        expect(page.locator("#live")).to_contain_text("waits for the ingester")
        expect(page.locator("#runs tr").first).to_contain_text("nothing changed", timeout=20_000)
        expect(page.locator("#connection")).to_have_text("Live")
