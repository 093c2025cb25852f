"""The pictures that 8-bit models are fitted to."""

from __future__ import annotations

import numpy as np

from core.vision.dead_leaves import draw_pictures


def test_pictures_are_the_same_each_time_and_differ_from_each_other() -> None:
    one, again = draw_pictures(3, 64), draw_pictures(3, 64)
    np.testing.assert_array_equal(one, again)
    assert one.shape == (3, 64, 64, 3)
    assert one.dtype == np.uint8
    assert not np.array_equal(one[0], one[1])
    assert not np.array_equal(one, draw_pictures(3, 64, seed=1))


def test_pictures_hold_light_and_dark_and_edges() -> None:
    pictures = draw_pictures(8, 96).astype(np.float32)
    assert pictures.min() < 20
    assert pictures.max() > 235
    assert np.abs(np.diff(pictures, axis=2)).max(axis=(1, 2, 3)).min() > 60
