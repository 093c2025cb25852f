"""The scripts that make the weights of `compact`, on pictures drawn here."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from core.vision import compact
from core.vision.classic_parts import PART_SIZES
from core.vision.models import ModelSource, load_embedder
from training import distil, fuse, student
from training.bank import STUDENT_SIZE
from training.distil import Bank, Course
from training.distortions import distorted
from training.photos import read_held_out, read_photos
from training.targets import make_targets
from training.views import VIEW_SIZE, make_view

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

VIEWS = 32


@pytest.fixture
def photos() -> list[NDArray[np.uint8]]:
    noise = np.random.default_rng(5)
    return [noise.integers(0, 255, (288, 300 + n, 3), dtype=np.uint8) for n in range(3)]


@pytest.fixture
def bank(monkeypatch: pytest.MonkeyPatch) -> Bank:
    """A bank of noise, and batches of eight."""
    monkeypatch.setattr(distil, "BATCH", 16)
    noise = np.random.default_rng(6)
    views = noise.integers(0, 255, (VIEWS, STUDENT_SIZE, STUDENT_SIZE, 3), dtype=np.uint8)
    targets = torch.nn.functional.normalize(torch.randn(VIEWS, student.DIMENSION))
    return Bank([views], targets, torch.arange(0, VIEWS, 3))


def test_a_view_is_the_same_for_the_same_seed_and_another_for_another(
    photos: list[NDArray[np.uint8]],
) -> None:
    seen = set()
    for seed in range(60):
        view, again = (make_view(photos, random.Random(seed)) for _ in range(2))
        assert view.picture.mode == "RGB"
        assert view.picture.size == (VIEW_SIZE, VIEW_SIZE)
        assert view.picture.tobytes() == again.picture.tobytes()
        assert -1 <= view.photo < len(photos)
        assert not view.alike or view.photo >= 0
        seen.add(view.picture.tobytes())
    assert len(seen) == 60


def test_kinds_held_out_are_not_read(tmp_path: Path) -> None:
    for kind in ("hat", "Fruit/Kiwi", "Fruit/Plum"):
        (tmp_path / kind).mkdir(parents=True)
        Image.new("RGB", (40, 60)).save(tmp_path / kind / "one.jpg")
    (tmp_path / "held.txt").write_text("# remark\nhat\nFruit/Kiwi\n")
    found = read_photos([tmp_path], read_held_out(tmp_path / "held.txt"))
    assert found.kinds == ["0/Fruit/Plum"]
    assert [pixels.shape for pixels in found.pixels] == [(432, 288, 3)]


def test_targets_are_unit_rows_that_keep_who_is_near_whom() -> None:
    answers = np.random.default_rng(2).normal(1, 1, (600, 1280)).astype(np.float16)
    answers[1] = answers[0] + np.random.default_rng(3).normal(0, 0.1, 1280)
    targets = make_targets(answers, np.arange(600) - 100)
    assert targets.shape == (600, student.DIMENSION)
    assert targets.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(targets, axis=1), 1, atol=1e-5)
    assert (targets[2:] @ targets[0]).argmax() != 0
    assert targets[1] @ targets[0] > 0.8


def test_distorted_pictures_keep_their_shape_and_range() -> None:
    pictures = torch.rand(64, 3, 96, 96) * 255
    changed = distorted(pictures, torch.Generator().manual_seed(1))
    assert changed.shape == pictures.shape
    assert float(changed.min()) >= 0
    assert float(changed.max()) <= 255
    same = distorted(pictures, torch.Generator().manual_seed(1))
    assert torch.equal(changed, same)
    assert not torch.equal(changed, pictures)


@pytest.mark.slow
def test_a_run_taken_up_ends_as_one_never_stopped(bank: Bank, tmp_path: Path) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    for folder in (whole, part):
        folder.mkdir()
    Course(bank, whole, 4, 7).run()
    stopped = Course(bank, part, 4, 7)
    for _ in range(2):
        stopped._one_step()
        stopped.step += 1
    stopped.leave()
    taken_up = Course(bank, part, 4, 7)
    taken_up.take_up()
    assert taken_up.step == 2
    taken_up.run()
    name = "network.safetensors"
    assert (whole / name).read_bytes() == (part / name).read_bytes()
    assert len((whole / "losses.tsv").read_text().split()) == 4


@pytest.mark.slow
def test_the_student_learns_and_becomes_the_model(
    bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distil, "WARM_UP", 1)
    monkeypatch.setattr(distil, "LOG_EVERY", 5)
    Course(bank, tmp_path, 15, 7).run()
    losses = [float(line.split()[1]) for line in (tmp_path / "losses.tsv").read_text().splitlines()]
    assert losses[-1] < losses[0]
    photos, weights = tmp_path / "photos", tmp_path / "compact.safetensors"
    dice = np.random.default_rng(8)
    for number in range(2 * compact.DIMENSION // VIEWS):
        (photos / f"kind-{number}").mkdir(parents=True)
        noise = dice.integers(0, 255, (40, 30, 3), dtype=np.uint8)
        Image.fromarray(noise).save(photos / f"kind-{number}" / "one.jpg")
    arguments = [str(tmp_path / "network.safetensors"), str(photos), "--out", str(weights)]
    monkeypatch.setattr("sys.argv", ["fuse", *arguments])
    fuse.main()
    model = load_embedder(ModelSource("compact", weights, "cpu", "fp32"))
    assert (compact.ARCHITECTURE, model.image_size) == (student.ARCHITECTURE, STUDENT_SIZE)
    assert student.DIMENSION == compact.NETWORK_DIMENSION
    assert (model.preprocessing.mean, model.preprocessing.std) == (student.MEAN, student.STD)
    vectors = model.embed(dice.integers(0, 255, (3, 128, 128, 3), dtype=np.uint8))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_the_map_centres_weighs_and_keeps_what_varies() -> None:
    dice = np.random.default_rng(9)
    width = student.DIMENSION + sum(PART_SIZES.values())
    joined = dice.normal(3, 1, (2 * width, width)).astype(np.float32)
    joined[:, 0] += dice.normal(0, 50, len(joined))
    matrix, offset = fuse.fit(joined)
    mixed = joined @ matrix.T + offset
    np.testing.assert_allclose(mixed.mean(axis=0), 0, atol=1e-3)
    spread = mixed.var(axis=0)
    assert (np.diff(spread) <= 1e-6).all()
    assert abs(np.corrcoef(mixed[:, 0], joined[:, 0])[0, 1]) > 0.99
