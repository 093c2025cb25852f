"""The arithmetic behind the tables that hold Lookalike against others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.products import steady_rate
from benchmarks.scale import alike, fitted
from benchmarks.side.search_vectors import AIM, Engine, recall, widened
from benchmarks.side_environments import NAMES, SCRIPTS, python_of
from benchmarks.side_programs import Program, Turns, UnavailableError

ROOT = Path(__file__).parents[2]


def test_recall_is_the_share_of_the_true_ids_that_was_found() -> None:
    true = np.array([[1, 2], [3, 4]])
    assert recall(true, [np.array([2, 1]), np.array([4, 9])]) == 0.75
    assert recall(true, [np.empty(0, np.int64), np.array([3])]) == 0.25


def test_a_search_is_widened_only_until_it_finds_enough() -> None:
    class Growing(Engine):
        widths = (2, 10, 20)

        def search(self, query, width, key=None):  # noqa: ANN001, ANN202
            del query, key
            return np.arange(width)[:10]

    width, reached = widened(Growing(), np.zeros((3, 4)), np.tile(np.arange(10), (3, 1)))
    assert (width, reached) == (10, 1.0)
    width, reached = widened(Growing(), np.zeros((1, 4)), np.arange(100, 110)[None])
    assert width == 20
    assert reached < AIM


def test_a_slope_is_recovered_from_the_sizes_and_costs_that_it_made() -> None:
    sizes = [1_000, 10_000, 100_000]
    slope, factor = fitted(sizes, [3e-4 * n**0.5 for n in sizes])
    assert slope == pytest.approx(0.5)
    assert factor == pytest.approx(3e-4)


def test_one_size_or_a_cost_of_nothing_gives_no_slope() -> None:
    with pytest.raises(ValueError, match="two sizes"):
        fitted([1_000], [1.0])
    with pytest.raises(ValueError, match="above 0"):
        fitted([1_000, 2_000], [0.0, 1.0])


def test_sizes_searched_exactly_are_left_out_of_a_slope_where_enough_others_remain() -> None:
    assert alike([10, 60, 120], exact_up_to=50) == 1
    assert alike([10, 20, 60], exact_up_to=50) == 0
    assert alike([60, 120], exact_up_to=50) == 0


def test_what_starting_costs_falls_out_of_a_steady_rate() -> None:
    # 3 s of starting, then 20 photos a second
    assert steady_rate([(3.8, 7.0), (3.8, 7.0)], few=16, many=80) == pytest.approx(20.0)


def test_noise_cannot_make_a_steady_rate_absurd() -> None:
    assert steady_rate([(4.0, 4.0)], few=16, many=80) == 20.0
    assert steady_rate([(3.99, 4.0)], few=16, many=80) == 40.0


def test_every_side_environment_is_pinned_in_full() -> None:
    assert "rclip" in NAMES
    for name in NAMES:
        lines = (SCRIPTS / f"{name}.txt").read_text().splitlines()
        assert all("==" in line for line in lines if not line.startswith("#")), name


def test_a_product_without_an_environment_says_how_to_make_one(tmp_path: Path) -> None:
    assert python_of("rclip", tmp_path) is None
    with pytest.raises(UnavailableError, match=r"side_environments rclip"):
        Turns(Program("rclip", "ingest_rclip.py", "rclip", own_model=True), tmp_path)


def test_a_program_takes_turns_and_one_that_fails_leaves_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "turns.py").write_text((SCRIPTS / "turns.py").read_text())
    (scripts / "count.py").write_text(
        "from turns import photos, take_turns\n"
        "def work(images, out, wanted):\n"
        "    print('a product talks')\n"
        "    assert wanted, 'nothing was wanted'\n"
        "    return [[float(path.stem)] for path in photos(images)]\n"
        "take_turns(work, lambda rows: rows)\n"
    )
    monkeypatch.setattr("benchmarks.side_programs.SCRIPTS", scripts)
    monkeypatch.setattr("benchmarks.side_programs.random_clip", lambda folder: folder / "none")
    images = tmp_path / "images"
    images.mkdir()
    for number in (2, 1):
        (images / f"{number}.jpg").touch()
    with Turns(Program("count", "count.py"), tmp_path) as turns:
        turns.wait_until_loaded()
        assert turns.ingest(images, 1) >= 0
        assert turns.vectors().tolist() == [[1.0], [2.0]]
        with pytest.raises(UnavailableError, match="nothing was wanted"):
            turns.ingest(images, 0)


def test_without_a_gpu_one_line_says_so_and_no_table_is_made(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "gpu", "--quick", "--folder", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[0].startswith("gpu: torch sees no CUDA GPU")
    assert "|" not in done.stdout


@pytest.mark.slow
def test_the_gpu_benchmark_runs_in_small_on_a_cpu(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "gpu", "--quick", "--device", "cpu"]
    done = subprocess.run(
        [*command, "--folder", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "decoding on the cpu" in done.stdout
    assert "says anything of a GPU" in done.stdout


@pytest.mark.slow
def test_an_engine_is_measured_from_building_to_adding(tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    rows = dice.normal(size=(2_000, 32)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    np.save(tmp_path / "vectors.npy", rows.astype(np.float16))
    np.save(tmp_path / "queries.npy", rows[:20])
    (tmp_path / "own").mkdir()
    script = [sys.executable, str(SCRIPTS / "search_vectors.py"), "lookalike"]
    names = [str(tmp_path / name) for name in ("vectors.npy", "queries.npy", "own")]
    done = subprocess.run(
        [*script, *names],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["recall"] >= AIM
    assert found["brand_recall"] == found["colour_recall"] == 1.0
    assert min(found[key] for key in ("build_s", "search_s", "flat_s", "add_s", "disk")) > 0
