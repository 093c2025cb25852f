"""Two pictures side by side, and many pairs from a CSV file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser.conftest import QUERIES, SAMPLES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.conftest import Open
    from tests.service.conftest import Server


def test_two_pictures_are_scored_and_their_differences_drawn(site: Server, visit: Open) -> None:
    page = visit(site).go("/compare")
    page.set_input_files("#file1", QUERIES / "red-sneaker-street.jpg")
    page.set_input_files("#file2", SAMPLES / "shoes/red-sneaker-1.jpg")
    expect(page.locator(".verdict")).to_have_text("0.93")
    expect(page.locator("#map")).to_be_visible()
    page.set_input_files("#file1", SAMPLES / "shoes/red-sneaker-1.jpg")
    expect(page.locator(".verdict")).to_have_text("1.00")
    page.set_input_files(
        "#file2", {"name": "notes.jpg", "mimeType": "image/jpeg", "buffer": b"words"}
    )
    expect(page.get_by_role("alert")).to_contain_text("not a picture that can be read")


def test_pairs_of_a_csv_are_scored_and_saved(site: Server, visit: Open, tmp_path: Path) -> None:
    csv = (
        "reference,candidate\n"
        "shoes/red-sneaker-1.jpg,shoes/red-sneaker-2.jpg\n"
        '"red-sneaker-street.jpg","mugs/yellow-mug-1.jpg"\n'
        "nowhere.jpg,shoes/red-sneaker-2.jpg\n"
    )
    page = visit(site).go("/compare")
    page.set_input_files("#pictures", QUERIES / "red-sneaker-street.jpg")
    page.set_input_files(
        "#csv", {"name": "pairs.csv", "mimeType": "text/csv", "buffer": csv.encode()}
    )
    expect(page.locator("#pairs-summary")).to_have_text("3 pairs scored, 1 of them could not be.")
    rows = page.locator("#scores tr").all_inner_texts()
    assert "0.96" in rows[0]
    assert "nowhere.jpg is neither a chosen picture nor in the catalogue" in rows[2]
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save the results").click()
    saved.value.save_as(tmp_path / "scored.csv")
    lines = (tmp_path / "scored.csv").read_text().splitlines()
    assert lines[0] == "reference,candidate,cosine,distance,similarity,error"
    assert float(lines[1].split(",")[2]) > 0.9 > float(lines[2].split(",")[2])
    page.set_input_files(
        "#csv", {"name": "prose.csv", "mimeType": "text/csv", "buffer": b"only one column\n"}
    )
    expect(page.get_by_role("alert")).to_contain_text("Row 1 does not have two columns")
