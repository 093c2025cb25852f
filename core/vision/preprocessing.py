"""From an RGB picture to the square of pixels a model expects.

Described as data, so that a decoding process prepares pictures for any model without loading one.
The result is 8-bit: normalisation to a model's mean and deviation happens on the whole batch,
next to the model, and gives the same numbers as doing it picture by picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from core.vision.resizing import PILLOW, Resampling, resized

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

_MAX_STRETCH: Final = 32
"""Longest resized side, in crop sides, that is made in full before the centre is cut out."""


@dataclass(frozen=True)
class Preprocessing:
    """How a model wants its pictures."""

    size: int  # side of the square, in pixels
    resize_to: int  # length of the (shortest) side before the centre is cut out, in pixels
    resampling: Resampling
    mode: Literal["crop", "squash"]  # crop: keep proportions; squash: stretch to a square
    mean: tuple[float, float, float]  # of each channel, on a scale of 0 to 1
    std: tuple[float, float, float]
    oversampling: int = 2  # a decoder may leave out detail beyond so many times `resize_to`

    @property
    def detail(self) -> int:
        """Pixels that both sides of a picture should have, if it has them; more are of no use."""
        return self.oversampling * self.resize_to

    def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
        """Give the `[size, size, 3]` uint8 pixels of an RGB picture.

        What torchvision's ``Resize`` and ``CenterCrop`` make of it, but for rounding (see
        `core.vision.resizing`). Of a picture more than `_MAX_STRETCH` times as long as wide the
        centre alone is resized, because the whole of it would take gigabytes.
        """
        width, height = self._resized(image.size)
        box = (
            _margin(width, self.size),
            _margin(height, self.size),
            _margin(width, self.size) + self.size,
            _margin(height, self.size) + self.size,
        )
        if max(width, height) > _MAX_STRETCH * self.size:
            square = self._resize_centre(image, (width, height), box)
        else:
            square = resized(image, (width, height), self.resampling).crop(box)
        return np.asarray(square, dtype=np.uint8)

    def _resized(self, size: tuple[int, int]) -> tuple[int, int]:
        if self.mode == "squash":
            return self.resize_to, self.resize_to
        width, height = size
        scaled_long = int(self.resize_to * max(size) / min(size))
        if width <= height:
            return self.resize_to, scaled_long
        return scaled_long, self.resize_to

    def _resize_centre(
        self, image: Image.Image, whole: tuple[int, int], box: tuple[int, int, int, int]
    ) -> Image.Image:
        """Resize only what the crop `box` will keep, in pixels of the `whole` resized picture."""
        scale_x, scale_y = image.width / whole[0], image.height / whole[1]
        left, right = max(box[0], 0), min(box[2], whole[0])
        top, bottom = max(box[1], 0), min(box[3], whole[1])
        part = image.resize(
            (right - left, bottom - top),
            PILLOW[self.resampling],
            box=(left * scale_x, top * scale_y, right * scale_x, bottom * scale_y),
        )
        return part.crop((box[0] - left, box[1] - top, box[2] - left, box[3] - top))


def _margin(length: int, size: int) -> int:
    """Where a centred cut of `size` starts; negative where it must be padded."""
    if size > length:
        return -((size - length) // 2)
    # torchvision rounds half to even, as Python does; // would shift odd margins by a pixel.
    return round((length - size) / 2.0)


def resize_for_crop(size: int, crop_share: float) -> int:
    """The shortest side before the crop, where the crop keeps `crop_share` of it (timm's rule)."""
    return math.floor(size / crop_share)
