"""Where two pictures differ, as a picture."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from cmap import Colormap
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST_SIDE: Final = 1024
"""Of a heat map, in pixels; a smaller first picture gives a map of its own size."""

_COLOURS: Final = "inferno"  # perceptually uniform: black is equal, bright is far apart


def heat_map(first: Image.Image, second: Image.Image) -> bytes:
    """Draw how far apart two RGB pictures are at each pixel, and nothing else.

    The map has the size of the first picture, its longest side being 1024 pixels at most; the
    second is stretched to that size. A pixel's colour stands for the mean over the channels of
    the absolute differences, on the fixed scale of 0 (equal) to 255, so that maps of different
    pairs can be compared.

    Returns:
        A PNG.
    """
    size = _map_size(first.size)
    levels = _levels(_resized(first, size), _resized(second, size))
    buffer = io.BytesIO()
    Image.fromarray(_palette()[levels]).save(buffer, "PNG")
    return buffer.getvalue()


def _map_size(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, LONGEST_SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _resized(image: Image.Image, size: tuple[int, int]) -> NDArray[np.int16]:
    if image.size != size:
        image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    return np.asarray(image, dtype=np.int16)


def _levels(first: NDArray[np.int16], second: NDArray[np.int16]) -> NDArray[np.uint8]:
    """The mean absolute difference of the channels, rounded: `[height, width]`, 0 to 255."""
    total = np.abs(first - second).sum(axis=2, dtype=np.uint16)
    levels: NDArray[np.uint8] = ((total + 1) // 3).astype(np.uint8)
    return levels


@lru_cache(maxsize=1)
def _palette() -> NDArray[np.uint8]:
    """The RGB colour of each level: `[256, 3]`."""
    colours: NDArray[np.uint8] = np.rint(Colormap(_COLOURS).lut(256) * 255).astype(np.uint8)
    return colours[:, :3]
