"""Resizing as Pillow does it, with vector instructions and so several times as fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from cykooz_resizer import FilterType, ResizeAlg, ResizeOptions, Resizer
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Mapping

Resampling = Literal["nearest", "bilinear", "bicubic", "lanczos"]

PILLOW: Final[Mapping[Resampling, Image.Resampling]] = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
"""Pillow's names of them."""

_CONVOLUTIONS: Final = {
    "bilinear": FilterType.bilinear,
    "bicubic": FilterType.catmull_rom,  # the cubic of Pillow: a = -0.5
    "lanczos": FilterType.lanczos3,
}


def resized(image: Image.Image, size: tuple[int, int], resampling: Resampling) -> Image.Image:
    """An RGB picture at another size, in pixels; antialiased, as Pillow's filters are.

    Differs from Pillow's own by rounding alone, for its weights have 22 bits and these at most 15:
    in photos one value in two hundred is a level of 255 apart, hardly any two levels.
    """
    if resampling == "nearest":
        return image.resize(size, PILLOW[resampling])
    options = ResizeOptions(ResizeAlg.convolution(_CONVOLUTIONS[resampling]), use_alpha=False)
    for part in (_halfway(image.size, size), size):
        if image.size != part:
            wanted = Image.new("RGB", part)
            # One of its own for each call: it may not be used by two threads at once.
            Resizer().resize_pil(image, wanted, options)
            image = wanted
    return image


def _halfway(size: tuple[int, int], wanted: tuple[int, int]) -> tuple[int, int]:
    """The size between the two directions: which one comes first is Pillow's choice.

    Values are rounded and cut off to 8 bits there, so in the other order sharp edges would come out
    several levels apart.
    """
    lost_width, lost_height = size[0] - wanted[0], size[1] - wanted[1]
    if lost_height > max(0, 2 * lost_width):
        return size[0], wanted[1]
    return wanted[0], size[1]
