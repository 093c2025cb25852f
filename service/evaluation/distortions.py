"""What shops and phones do to a photo of the same product, to see whether it is still found.

Each is the same for the same picture, so that figures of two models can be compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TEXT: Final = "www.example.com  -20%"


def _crop(image: Image.Image) -> Image.Image:
    """Seven tenths of width and height, off the middle."""
    width, height = image.size
    left, top = round(width * 0.05), round(height * 0.2)
    return image.crop((left, top, left + round(width * 0.7), top + round(height * 0.7)))


def _cast(red: float, green: float, blue: float) -> Callable[[Image.Image], Image.Image]:
    def cast(image: Image.Image) -> Image.Image:
        return _times(image, np.array([red, green, blue]))

    return cast


def _times(image: Image.Image, factors: np.ndarray) -> Image.Image:
    values = np.asarray(image, dtype=np.float32) * factors
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def _dark(image: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(0.55)


def _shadow(image: Image.Image) -> Image.Image:
    """Half as bright on the right of a soft slanted edge."""
    width, height = image.size
    across = np.linspace(-1, 1, width)[None, :] + 0.4 * np.linspace(-1, 1, height)[:, None]
    return _times(image, (1 - 0.55 / (1 + np.exp(-8 * across)))[..., None])


def _on(ground: Callable[[tuple[int, int]], Image.Image]) -> Callable[[Image.Image], Image.Image]:
    """The picture at seven tenths of its size, in the middle of a ground as large as it was."""

    def place(image: Image.Image) -> Image.Image:
        small = image.resize((max(1, image.width * 7 // 10), max(1, image.height * 7 // 10)))
        whole = ground(image.size)
        whole.paste(small, ((image.width - small.width) // 2, (image.height - small.height) // 2))
        return whole

    return place


def _white(size: tuple[int, int]) -> Image.Image:
    return Image.new("RGB", size, (255, 255, 255))


def _busy(size: tuple[int, int]) -> Image.Image:
    patches = np.random.default_rng(1).integers(0, 256, (12, 12, 3), np.uint8)
    return Image.fromarray(patches).resize(size, Image.Resampling.BICUBIC)


def _text(image: Image.Image) -> Image.Image:
    marked = image.copy()
    pen = ImageDraw.Draw(marked)
    height = max(8.0, image.height * 0.05)
    for share in (0.12, 0.8):
        place = (image.width * 0.08, image.height * share)
        pen.text(place, _TEXT, fill=(255, 255, 255), font_size=height, stroke_width=1,
                 stroke_fill=(0, 0, 0))  # fmt: skip
    return marked


def _turned(image: Image.Image) -> Image.Image:
    return image.rotate(12, Image.Resampling.BILINEAR, fillcolor=(255, 255, 255))


DISTORTIONS: Final[Mapping[str, Callable[[Image.Image], Image.Image]]] = {
    "mirrored": ImageOps.mirror,
    "cropped": _crop,
    "turned": _turned,
    "warm light": _cast(1.15, 1.0, 0.75),
    "cold light": _cast(0.8, 0.95, 1.15),
    "dark": _dark,
    "shadow": _shadow,
    "white background": _on(_white),
    "busy background": _on(_busy),
    "small text": _text,
}
"""RGB picture to RGB picture, by what it is called in tables."""
