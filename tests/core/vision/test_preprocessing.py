"""Prepared pixels against the transforms of torchvision, timm, open_clip and CLIP itself."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import open_clip
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from timm.data import create_transform
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from core.vision.preprocessing import Preprocessing, resize_for_crop

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
CLIP = Preprocessing(224, 224, "bicubic", "crop", MEAN, STD)
FILTERS = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}

sides = st.integers(1, 700)


@cache
def _noise(width: int, height: int) -> Image.Image:
    random = np.random.default_rng(width * 10_007 + height)
    return Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))


def _is_square_enough(width: int, height: int, most: float = 30) -> bool:
    return max(width, height) / min(width, height) < most


def _assert_same_but_for_rounding(ours: np.ndarray, theirs: np.ndarray) -> None:
    """In levels of 255: see `core.vision.resizing`."""
    assert ours.shape == theirs.shape
    apart = np.abs(ours.astype(float) - theirs.astype(float))
    assert apart.max() < 2.01
    assert apart.mean() < 0.1


def _levels(normalised: torch.Tensor, how: Preprocessing) -> np.ndarray:
    """The pixels, on a scale of 255, that a model's tensor was made of."""
    mean, std = (torch.tensor(value)[:, None, None] for value in (how.mean, how.std))
    levels: np.ndarray = (255 * (normalised * std + mean)).numpy()
    return levels


def _bytes_of(transform: Callable[[Image.Image], torch.Tensor], image: Image.Image) -> np.ndarray:
    pixels: np.ndarray = np.asarray(transform(image))
    return pixels


@settings(max_examples=60, deadline=None)
@given(
    width=sides,
    height=sides,
    size=st.sampled_from([31, 64, 160, 224]),
    extra=st.integers(0, 33),
    name=st.sampled_from(["bilinear", "bicubic"]),
)
@example(width=1, height=29, size=31, extra=0, name="bicubic")
@example(width=225, height=224, size=224, extra=0, name="bicubic")
@example(width=333, height=500, size=224, extra=32, name="bicubic")
def test_cutting_the_centre_is_torchvisions(
    width: int, height: int, size: int, extra: int, name: str
) -> None:
    stretched = (size + extra) / size  # what is resized is so much longer than what is cut
    if not _is_square_enough(width, height, 30 / stretched):
        width = height
    theirs = transforms.Compose(
        [transforms.Resize(size + extra, FILTERS[name]), transforms.CenterCrop(size)]
    )
    ours = Preprocessing(size, size + extra, name, "crop", MEAN, STD)  # type: ignore[arg-type]
    image = _noise(width, height)
    _assert_same_but_for_rounding(ours.prepare(image), _bytes_of(theirs, image))


@settings(max_examples=30, deadline=None)
@given(width=sides, height=sides, size=st.sampled_from([32, 224]), extra=st.integers(0, 9))
def test_stretching_is_torchvisions(width: int, height: int, size: int, extra: int) -> None:
    side = size + extra
    theirs = transforms.Compose(
        [transforms.Resize((side, side), FILTERS["bicubic"]), transforms.CenterCrop(size)]
    )
    image = _noise(width, height)
    ours = Preprocessing(size, side, "bicubic", "squash", MEAN, STD)
    _assert_same_but_for_rounding(ours.prepare(image), _bytes_of(theirs, image))


@pytest.mark.parametrize("size", [(40, 30), (31, 47), (20, 20)])
def test_a_crop_larger_than_the_picture_is_padded_as_torchvision_does(
    size: tuple[int, int],
) -> None:
    theirs = transforms.Compose(
        [transforms.Resize(20, FILTERS["bicubic"]), transforms.CenterCrop(25)]
    )
    ours = Preprocessing(25, 20, "bicubic", "crop", MEAN, STD)
    image = _noise(*size)
    _assert_same_but_for_rounding(ours.prepare(image), _bytes_of(theirs, image))


@settings(max_examples=30, deadline=None)
@given(width=sides, height=sides, share=st.sampled_from([0.875, 0.9, 0.95, 1.0]))
def test_the_crop_share_is_timms(width: int, height: int, share: float) -> None:
    if not _is_square_enough(width, height):
        height = width
    theirs = create_transform(
        (3, 224, 224), interpolation="bicubic", crop_pct=share, mean=MEAN, std=STD
    )
    image = _noise(width, height)
    ours = Preprocessing(224, resize_for_crop(224, share), "bicubic", "crop", MEAN, STD)
    _assert_same_but_for_rounding(
        _levels(_normalised(ours, image), ours), _levels(theirs(image), ours)
    )


@settings(max_examples=30, deadline=None)
@given(width=sides, height=sides, mode=st.sampled_from(["shortest", "squash"]))
def test_the_transform_is_open_clips(width: int, height: int, mode: str) -> None:
    if not _is_square_enough(width, height):
        height = width
    theirs = open_clip.image_transform(224, is_train=False, resize_mode=mode)
    ours = Preprocessing(224, 224, "bicubic", "crop" if mode == "shortest" else "squash", MEAN, STD)
    image = _noise(width, height)
    _assert_same_but_for_rounding(
        _levels(_normalised(ours, image), ours), _levels(theirs(image), ours)
    )


def test_the_tensor_is_that_of_clip_itself(shared: Path) -> None:
    folder = shared / "golden" / "clip-preprocess"
    expected = np.load(folder / "expected_preprocessed_image.npy")[0]
    with Image.open(folder / "franz-kafka.jpg") as image:
        ours = _normalised(CLIP, image.convert("RGB"))
    theirs = torch.from_numpy(expected)
    _assert_same_but_for_rounding(_levels(ours, CLIP), _levels(theirs, CLIP))
    assert (torch.abs(ours - theirs) < 1e-5).float().mean() > 0.995


def _normalised(preprocessing: Preprocessing, image: Image.Image) -> torch.Tensor:
    pixels = preprocessing.prepare(image)
    return transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize(preprocessing.mean, preprocessing.std)]
    )(pixels.copy())


@pytest.mark.parametrize("size", [(3, 301), (301, 3), (2, 4001), (97, 5000)])
def test_the_centre_of_a_very_long_picture_is_nearly_torchvisions(size: tuple[int, int]) -> None:
    image = _noise(*size)
    theirs = transforms.Compose(
        [transforms.Resize(64, FILTERS["bicubic"]), transforms.CenterCrop(64)]
    )
    ours = Preprocessing(64, 64, "bicubic", "crop", MEAN, STD).prepare(image)
    difference = np.abs(ours.astype(int) - _bytes_of(theirs, image).astype(int))
    assert difference.mean() < 0.5


@pytest.mark.parametrize("size", [(1, 65_000), (65_000, 1), (3, 60_000)])
def test_a_very_long_picture_takes_little_memory(size: tuple[int, int]) -> None:
    # Resized in full, one of a single column would take ten gigabytes.
    assert CLIP.prepare(Image.new("RGB", size, "red")).shape == (224, 224, 3)
