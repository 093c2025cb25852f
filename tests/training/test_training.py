"""The scripts that make the weights of `compact`, on pictures drawn here."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from core.vision import compact
from core.vision.models import ModelSource, load_embedder
from training import distil, student
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
    return Bank([views], targets, [torch.arange(n, VIEWS, 4) for n in range(4)])


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
@pytest.mark.parametrize("label_weight", [0.0, 0.3])
def test_a_run_taken_up_ends_as_one_never_stopped(
    bank: Bank, tmp_path: Path, label_weight: float
) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    for folder in (whole, part):
        folder.mkdir()
    Course(bank, whole, 4, 7, label_weight).run()
    stopped = Course(bank, part, 4, 7, label_weight)
    for _ in range(2):
        stopped._one_step()
        stopped.step += 1
    stopped.leave()
    taken_up = Course(bank, part, 4, 7, label_weight)
    taken_up.take_up()
    assert taken_up.step == 2
    taken_up.run()
    name = "compact.safetensors"
    assert (whole / name).read_bytes() == (part / name).read_bytes()
    assert len((whole / "losses.tsv").read_text().split()) == 5


@pytest.mark.slow
def test_the_student_learns_and_its_weights_are_those_of_the_model(
    bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distil, "WARM_UP", 1)
    monkeypatch.setattr(distil, "LOG_EVERY", 5)
    Course(bank, tmp_path, 15, 7, 0.3).run()
    losses = [float(line.split()[1]) for line in (tmp_path / "losses.tsv").read_text().splitlines()]
    assert losses[-1] < losses[0]
    weights = tmp_path / "compact.safetensors"
    model = load_embedder(ModelSource("compact", weights, "cpu", "fp32"))
    assert model.dimension == student.DIMENSION
    assert (student.ARCHITECTURE, STUDENT_SIZE) == (compact.ARCHITECTURE, compact.SIZE)
    assert (model.preprocessing.mean, model.preprocessing.std) == (student.MEAN, student.STD)
