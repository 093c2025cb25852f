"""A folder ranked and two pictures compared from the command line, here and through a service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import timm
import torch
from typer.testing import CliRunner

from service.__main__ import app

if TYPE_CHECKING:
    from tests.service.conftest import Draw, Server

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path, draw: Draw, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of pictures of several kinds and of files that are none, to stand in."""
    images = tmp_path / "images"
    (images / "deeper").mkdir(parents=True)
    (images / ".hidden").mkdir()
    contents = {
        "cat.png": draw(1, "PNG"),
        "same.jpg": draw(1),
        "photo": draw(2),
        "three.webp": draw(3, "WEBP"),
        "four.gif": draw(4, "GIF"),
        "five.tiff": draw(5, "TIFF"),
        "deeper/six.bmp": draw(6, "BMP"),
        "caf\udce9 [red].jpg": draw(7),
        "notes.txt": b"no picture",
        "broken.jpg": draw(8)[:700],
        "not.jpg": b"hello",
        ".hidden/x.jpg": draw(9),
    }
    for name, content in contents.items():
        (images / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    return images


PICTURES = {
    "cat.png", "same.jpg", "photo", "three.webp", "four.gif", "five.tiff", "deeper/six.bmp",
    "caf\\xe9 [red].jpg",
}  # fmt: skip


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def ranked(*arguments: str) -> Any:
    done = run("rank", *arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_every_picture_is_a_row_and_the_others_are_named(folder: Path) -> None:
    found = ranked("--folder", str(folder))
    assert {row["name"] for row in found["rows"]} == PICTURES
    assert set(found["skipped"]) == {"notes.txt", "broken.jpg", "not.jpg"}
    scores = [row["score"] for row in found["rows"]]
    assert scores == sorted(scores, reverse=True)
    assert found["rows"][0] == {"name": "cat.png", "score": 1.0, "label": None}
    assert found["rows"][1]["name"] == "same.jpg"


def test_the_table_has_a_line_for_each_picture(folder: Path) -> None:
    done = run("rank", "--images_folder", str(folder), "--ref_image", "cat.png", "--top", "3")
    assert done.exit_code == 0
    lines = [line for line in done.stdout.splitlines() if line.startswith("│")]
    assert len(lines) == 3
    assert [cell.strip() for cell in lines[0].strip("│").split("│")] == ["cat.png", "1.0000", "-"]
    assert all(word in done.stdout for word in ("name", "score", "class"))
    assert "skipped notes.txt: no picture" in done.stderr
    assert "skipped broken.jpg: " in done.stderr


@pytest.mark.usefixtures("folder")
def test_the_names_of_an_older_client_are_the_defaults() -> None:
    assert ranked() == ranked("--reference", "cat.png", "--folder", "images")


def test_the_reference_may_lie_anywhere(folder: Path, draw: Draw, tmp_path: Path) -> None:
    (tmp_path / "else.jpg").write_bytes(draw(3))
    found = ranked("--reference", "else.jpg", "--folder", str(folder))
    assert found["rows"][0]["name"] == "three.webp"
    assert len(found["rows"]) == len(PICTURES)


def test_a_service_ranks_as_the_model_does_here(folder: Path, server: Server) -> None:
    here = ranked("--folder", str(folder), "--top", "20")
    there = ranked("--folder", str(folder), "--top", "20", "--url", server.url)
    assert [row["name"] for row in there["rows"]] == [row["name"] for row in here["rows"]]
    for one, other in zip(here["rows"], there["rows"], strict=True):
        assert one["score"] == pytest.approx(other["score"], abs=2e-3)
    assert set(there["skipped"]) == set(here["skipped"])


def test_classes_are_shown_where_the_model_has_them(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(2)
    torch.save(timm.create_model("resnet10t").state_dict(), tmp_path / "w.pt")
    monkeypatch.setenv("LOOKALIKE_MODEL", "timm:resnet10t")
    monkeypatch.setenv("LOOKALIKE_MODEL_WEIGHTS", str(tmp_path / "w.pt"))
    monkeypatch.setenv("LOOKALIKE_BATCH_SIZE", "3")
    rows = ranked("--folder", str(folder))["rows"]
    assert len(rows) == len(PICTURES)
    assert all(row["label"] for row in rows)


def test_what_cannot_be_ranked_ends_in_a_sentence(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    wrong = run("rank", "--folder", "nowhere")
    assert (wrong.exit_code, "nowhere" in wrong.output) == (2, True)
    missing = run("rank", "--folder", str(folder), "--reference", "dog.png")
    assert (missing.exit_code, "dog.png" in missing.output) == (2, True)
    none = run("rank", "--folder", "empty", "--reference", str(folder / "cat.png"))
    assert none.exit_code == 1
    broken = cli("rank", "--folder", "images", "--reference", "broken.jpg")
    assert broken.returncode == 1
    assert broken.stderr.startswith("lookalike: images/broken.jpg: ")
    gone = cli("rank", "--folder", "images", "--url", "http://127.0.0.1:1")
    assert gone.returncode == 1
    assert "Traceback" not in gone.stderr


def test_two_files_are_compared_here_and_there(folder: Path, server: Server) -> None:
    same, other = str(folder / "same.jpg"), str(folder / "three.webp")
    assert run("compare", same, same).stdout == "1.000000\n"
    here = float(run("compare", same, other).stdout)
    there = float(run("compare", same, other, "--url", server.url).stdout)
    assert here == pytest.approx(there, abs=2e-3)
    assert -1 <= here < 1
    assert run("compare", same, "nowhere.jpg").exit_code == 2
    broken = cli("compare", "images/same.jpg", "images/not.jpg")
    assert (broken.returncode, "not.jpg: " in broken.stderr) == (1, True)


@pytest.mark.usefixtures("folder")
def test_ranking_with_the_built_in_model_loads_no_torch() -> None:
    code = (
        "import sys; from service.__main__ import app; "
        "app(['rank'], standalone_mode=False); print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment()
    )
    assert done.stdout.splitlines()[-1] == "False"


def test_a_search_takes_filters_groups_and_facets(server: Server, folder: Path) -> None:
    query = str(folder / "same.jpg")
    asked = ["search", query, "--url", server.url, "--threshold", "-1"]
    found = json.loads(run(*asked, "--filter", "colour:red", "--json").stdout)
    assert [match["image_id"] for match in found["matches"]] == ["shoes/s0"]
    shown = run(*asked, "--facets", "--by-product").stdout
    assert "colour: " in shown
    assert "runner" in shown
    both = run("search", query, "--text", "shoe", "--url", server.url)
    assert both.exit_code == 2
    bad = cli("search", query, "--url", server.url, "--filter", "red")
    assert (bad.returncode, "key:value" in bad.stderr) == (1, True)
    text = cli("search", "--text", "shoe", "--url", server.url)
    assert (text.returncode, "text" in text.stderr) == (1, True)


def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        capture_output=True, text=True, check=False, timeout=60, env=environment(),
    )  # fmt: skip


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY)}
