"""A model measured on labelled photos from the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from core.errors import EvaluationError, MetadataError
from core.vision.models import ModelSource, load_embedder
from service.__main__ import app
from service.evaluation.distortions import DISTORTIONS
from service.evaluation.measure import Labelled, measure
from service.evaluation.run import PLAIN
from tests.shop import picture_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def run(*arguments: object) -> Any:
    command = ["evaluate", "--model", "classic", *map(str, arguments)]
    return CliRunner().invoke(app, command)


def evaluated(*arguments: object) -> Any:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three kinds of three photos that look alike, one photo of its own kind, one of none."""
    folder = tmp_path / "photos"
    for kind in range(3):
        for size in (32, 40, 48):
            file = folder / f"kind-{kind}" / f"{size}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(picture_bytes(kind, (size, size)))
    (folder / "lonely").mkdir()
    (folder / "lonely" / "one.png").write_bytes(picture_bytes(50))
    (folder / "loose.png").write_bytes(picture_bytes(51))
    (folder / "kind-0" / "notes.txt").write_bytes(b"no picture")
    (folder / "kind-0" / "broken.png").write_bytes(picture_bytes(52)[:90])
    return folder


def brute_force(vectors: NDArray[np.float32], labels: list[str]) -> tuple[float, float, float]:
    """R@1, R@5 and mAP of every photo in the others, by loops."""
    firsts, fives, precisions = [], [], []
    for query, label in enumerate(labels):
        others = [n for n in range(len(labels)) if n != query]
        others.sort(key=lambda n: -float(vectors[query] @ vectors[n]))
        right = [labels[n] == label for n in others]
        if any(right):
            firsts.append(right[0])
            fives.append(any(right[:5]))
            at = [sum(right[: n + 1]) / (n + 1) for n, one in enumerate(right) if one]
            precisions.append(np.mean(at))
    return float(np.mean(firsts)), float(np.mean(fives)), float(np.mean(precisions))


def random_photos(seed: int, count: int, kinds: int) -> Labelled:
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(count, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = [f"kind {n}" for n in random.integers(0, kinds, count)]
    return Labelled(vectors, labels, [bytes([n // 256, n % 256]) for n in range(count)])


@pytest.mark.parametrize("seed", range(5))
def test_the_figures_are_those_of_a_plain_loop(seed: int) -> None:
    photos = random_photos(seed, 300, 40)
    figures = measure(photos, photos, 0.5)
    expected = brute_force(photos.vectors, photos.labels)
    found = (figures.recall_at_1, figures.recall_at_5, figures.mean_average_precision)
    assert found == pytest.approx(expected)
    assert len(figures.misses) == round((1 - figures.recall_at_1) * figures.queries)


def test_the_thresholds_count_every_pair() -> None:
    photos = random_photos(9, 120, 10)
    figures = measure(photos, photos, 0.52)
    scores = photos.vectors @ photos.vectors.T
    labels = np.array(photos.labels)
    others = ~np.eye(120, dtype=bool)
    right = (labels[:, None] == labels) & others
    row = next(row for row in figures.thresholds if row.threshold == 0.52)
    matches = (scores >= 0.52) & others
    assert row.precision == pytest.approx((matches & right).sum() / matches.sum())
    assert row.recall == pytest.approx((matches & right).sum() / right.sum())
    assert row.answered == pytest.approx(matches.any(axis=1).mean())
    assert [row.threshold for row in figures.thresholds] == sorted(
        row.threshold for row in figures.thresholds
    )


def test_a_copy_of_the_query_is_no_right_answer() -> None:
    vectors = np.eye(3, dtype=np.float32)[[0, 0, 1]]
    photos = Labelled(vectors, ["a", "a", "a"], [b"1", b"1", b"2"])
    figures = measure(photos, photos, 0.5)
    assert figures.recall_at_1 == 1
    assert figures.thresholds[-1].recall == 0


def test_each_photo_asks_for_the_others_of_its_folder(folder: Path) -> None:
    found = evaluated(folder)
    assert found["model"] == "classic"
    assert (found["queries"], found["gallery"], found["alone"]) == (9, 10, 1)
    assert (found["recall_at_1"], found["mean_average_precision"]) == (1, 1)
    assert found["misses"] == found["robustness"] == []
    assert found["skipped"] == {
        "loose.png": "not in a folder",
        "kind-0/notes.txt": "no picture",
        "kind-0/broken.png": found["skipped"]["kind-0/broken.png"],
    }


def test_a_gallery_is_searched_in_place_of_the_other_photos(folder: Path, tmp_path: Path) -> None:
    queries = tmp_path / "queries" / "kind-1"
    queries.mkdir(parents=True)
    (queries / "seen.png").write_bytes(picture_bytes(1, (64, 64)))
    (queries / "misplaced.png").write_bytes(picture_bytes(2, (64, 64)))
    found = evaluated(queries.parent, "--gallery", folder)
    assert (found["queries"], found["recall_at_1"]) == (2, 0.5)
    (miss,) = found["misses"]
    assert miss["query"].endswith("misplaced.png")
    assert "/kind-2/" in miss["first"][0]
    assert "/kind-1/" in miss["right"]
    assert miss["lead"] > 0


def test_only_the_labels_of_a_file_are_asked_about(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "only.txt").write_text("# these\nkind-0\n\nkind-2\n")
    found = evaluated(folder, "--only", tmp_path / "only.txt")
    assert (found["queries"], found["gallery"]) == (6, 10)


def test_a_column_of_the_product_data_may_say_what_a_photo_shows(folder: Path) -> None:
    (folder / "products.csv").write_text(
        "path,product_id,colour\nkind-0/32.png,shoe,red\nkind-0/40.png,shoe,\nloose.png,hat,red\n"
    )
    found = evaluated(folder, "--column", "product_id")
    assert (found["queries"], found["gallery"], found["alone"]) == (2, 3, 1)
    assert found["skipped"]["kind-1/32.png"] == "no label"
    assert evaluated(folder, "--column", "colour")["gallery"] == 2


def test_distorted_queries_are_asked_too(folder: Path) -> None:
    rows = evaluated(folder, "--robustness")["robustness"]
    assert [row["distortion"] for row in rows] == [PLAIN, *DISTORTIONS]
    assert rows[0]["recall_at_1"] == 1
    assert all(0 <= row["recall_at_1"] <= 1 and 0 <= row["itself"] <= 1 for row in rows)


@pytest.mark.parametrize("distort", DISTORTIONS.values(), ids=DISTORTIONS)
@pytest.mark.parametrize("size", [(300, 200), (1, 1), (3, 90)])
def test_a_distortion_changes_a_picture_of_any_size(distort: Any, size: tuple[int, int]) -> None:
    noise = np.random.default_rng(3).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
    before = Image.fromarray(noise)
    after = distort(before)
    assert after.mode == "RGB"
    assert (before.tobytes(), before.size) == (noise.tobytes(), size)
    if size == (300, 200):
        assert after.tobytes() != before.tobytes()
        assert after.tobytes() == distort(before).tobytes()


def test_the_table_marks_the_default_threshold(folder: Path) -> None:
    done = run(folder, "--robustness")
    assert done.exit_code == 0, done.output
    assert "9 queries in 10 photos: R@1 1.000" in done.stdout
    assert "1 queries left out" in done.stdout
    default = load_embedder(ModelSource("classic", None)).default_threshold
    assert f"{default:.2f} (default)" in done.stdout
    assert "small text" in done.stdout


@pytest.mark.parametrize("options", [(), ("--sample",)])
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_a_sheet_shows_queries_and_what_was_found(
    folder: Path, tmp_path: Path, suffix: str, options: tuple[str, ...]
) -> None:
    (folder / "kind-1" / "wrong.png").write_bytes(picture_bytes(2, (64, 64)))
    sheet = tmp_path / f"sheet.{suffix}"
    done = run(folder, "--sheet", sheet, "--rows", 4, *options)
    assert done.exit_code == 0, done.output
    with Image.open(sheet) as drawn:
        assert drawn.width > 500
        assert len(drawn.convert("RGB").getcolors(1 << 24) or ()) > 10


def test_a_sheet_of_no_misses_is_still_a_picture(folder: Path, tmp_path: Path) -> None:
    assert run(folder, "--sheet", tmp_path / "sheet.png").exit_code == 0
    Image.open(tmp_path / "sheet.png").verify()


def test_what_cannot_be_evaluated_says_why(folder: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    alone = tmp_path / "alone" / "kind"
    alone.mkdir(parents=True)
    (alone / "one.png").write_bytes(picture_bytes(1))
    (tmp_path / "none.txt").write_text("# nothing\n")
    (tmp_path / "bad.csv").write_text("name\n")
    for arguments, kind, words in [
        ((empty,), EvaluationError, "holds no photos to evaluate with"),
        ((alone.parent,), EvaluationError, "No query can be answered"),
        ((folder, "--column", "colour"), EvaluationError, "has no products.csv"),
        ((folder, "--only", tmp_path / "none.txt"), EvaluationError, "lists no labels"),
        ((folder, "--sheet", tmp_path / "sheet.txt"), EvaluationError, "is written as .jpg"),
        ((folder, "--sheet", empty / "no" / "sheet.png"), EvaluationError, "cannot be written"),
        (
            (folder, "--column", "x", "--metadata", tmp_path / "bad.csv"),
            MetadataError,
            "no `path` column",
        ),
    ]:
        error = run(*arguments).exception
        assert isinstance(error, kind), arguments
        assert words in str(error)
    (folder / "products.csv").write_text("path,colour\nloose.png,red\n")
    error = run(folder, "--column", "size").exception
    assert "no column 'size'" in str(error)
