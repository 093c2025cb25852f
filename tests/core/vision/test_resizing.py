"""Resized pixels against Pillow's own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from core.vision.resizing import PILLOW, Resampling, resized

sides = st.integers(1, 500)


def _noise(size: tuple[int, int]) -> Image.Image:
    random = np.random.default_rng(size[0] * 10_007 + size[1])
    return Image.fromarray(random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def _levels_apart(image: Image.Image, size: tuple[int, int], how: Resampling) -> np.ndarray:
    ours, pillows = resized(image, size, how), image.resize(size, PILLOW[how])
    assert ours.size == size
    return np.abs(np.asarray(ours).astype(int) - np.asarray(pillows).astype(int))


@settings(max_examples=120, deadline=None)
@given(
    width=sides, height=sides, to_width=sides, to_height=sides, how=st.sampled_from(sorted(PILLOW))
)
@example(width=200, height=400, to_width=100, to_height=200, how="bicubic")  # rows first
@example(width=200, height=401, to_width=100, to_height=200, how="bicubic")  # columns first
@example(width=200, height=101, to_width=210, to_height=100, how="lanczos")
@example(width=90, height=60, to_width=90, to_height=60, how="bicubic")
def test_pixels_are_pillows_but_for_rounding(
    width: int, height: int, to_width: int, to_height: int, how: Resampling
) -> None:
    apart = _levels_apart(_noise((width, height)), (to_width, to_height), how)
    assert apart.max() <= 2
    assert apart.mean() < 0.1


def test_a_picture_in_several_blocks_of_pillows_memory() -> None:
    assert _levels_apart(_noise((5000, 3600)), (224, 161), "bicubic").max() <= 2


@pytest.mark.parametrize("how", ["bicubic", "nearest"])
def test_the_picture_itself_stays_as_it_is(how: Resampling) -> None:
    image = _noise((60, 40))
    before = image.tobytes()
    resized(image, (30, 20), how)
    assert image.size == (60, 40)
    assert image.tobytes() == before


def test_many_threads_resize_at_once() -> None:
    image = _noise((700, 500))
    expected = resized(image, (224, 160), "bicubic").tobytes()
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: resized(image, (224, 160), "bicubic").tobytes(), range(200)))
    assert set(made) == {expected}
