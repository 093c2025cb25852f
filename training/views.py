"""Views to ask the teacher about: crops, recoloured, mixed, overlaid and drawn pictures.

A patient teacher's answers teach a function, not labels (Beyer et al. 2022, "Knowledge
distillation: a good teacher is patient and consistent"), so a view need not look like a photo; it
must only be seen alike by both. View `n` of a seed is always the same picture.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

if TYPE_CHECKING:
    from random import Random

    from numpy.typing import NDArray

VIEW_SIZE = 224
"""Side of a view in pixels, as the teacher takes it."""

_ALIKE = 0.40
"""Share of the views."""

_SIZE = (VIEW_SIZE, VIEW_SIZE)


@dataclass(frozen=True)
class View:
    """One picture to learn from."""

    picture: Image.Image  # RGB, VIEW_SIZE on each side
    photo: int  # the photo that it shows most of; -1 for a drawing or a mixture
    alike: bool  # whether it shows that photo in nearly its own colours and crop


def make_view(photos: list[NDArray[np.uint8]], rng: Random) -> View:
    """Draw one view of one or more of `photos`."""
    draw = rng.random()
    photo = rng.randrange(len(photos))
    if draw >= 0.79:
        return View(_mixed(photos, rng) if draw < 0.96 else _drawn(rng), -1, alike=False)
    return View(_of_one(photos[photo], draw, rng), photo, alike=draw < _ALIKE)


def _of_one(photo: NDArray[np.uint8], draw: float, rng: Random) -> Image.Image:
    if draw < _ALIKE:  # what a query or a catalogue photo looks like
        return _recoloured(_crop(photo, rng, 0.45, 1.0), rng, 0.15)
    if draw < 0.55:
        return _recoloured(_crop(photo, rng, 0.05, 0.45), rng, 0.3)
    if draw < 0.67:
        return _recoloured(_crop(photo, rng, 0.3, 1.0), rng, 1.0)
    if draw < 0.74:
        return _overlaid(_crop(photo, rng, 0.4, 1.0), rng)
    return _framed(_crop(photo, rng, 0.5, 1.0), rng)


def _crop(photo: NDArray[np.uint8], rng: Random, least: float, most: float) -> Image.Image:
    """A part of `least` to `most` of the largest square's area, maybe mirrored or turned."""
    image = Image.fromarray(photo)
    side = min(image.size) * rng.uniform(least, most) ** 0.5
    stretch = rng.uniform(0.8, 1.25) ** 0.5
    width, height = min(side * stretch, image.width), min(side / stretch, image.height)
    left, top = rng.uniform(0, image.width - width), rng.uniform(0, image.height - height)
    view = image.resize(_SIZE, Image.Resampling.BICUBIC, (left, top, left + width, top + height))
    if rng.random() < 0.5:
        view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < 0.1:
        view = view.rotate(rng.uniform(-30, 30), Image.Resampling.BILINEAR, fillcolor=_colour(rng))
    return view


def _recoloured(view: Image.Image, rng: Random, strength: float) -> Image.Image:
    if rng.random() < 0.3:
        return view
    if rng.random() < strength * 0.6:
        hue, saturation, value = view.convert("HSV").split()
        shift = rng.randrange(256)
        turned = hue.point([(level + shift) % 256 for level in range(256)])
        view = Image.merge("HSV", (turned, saturation, value)).convert("RGB")
    spread = 0.25 + 0.35 * strength
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        view = enhance(view).enhance(rng.uniform(1 - spread, 1 + spread))
    if rng.random() < 0.15:
        view = view.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2.5)))
    return view


def _overlaid(view: Image.Image, rng: Random) -> Image.Image:
    """Small text, patches or a shadow over a view."""
    pen = ImageDraw.Draw(view, "RGBA")
    for _ in range(rng.randint(1, 4)):
        at = (rng.uniform(0, 200), rng.uniform(0, 210))
        if rng.random() < 0.6:
            text = "".join(rng.choice("abcdefghijkmnoprstuvwxyz 0123456789%€") for _ in range(12))
            pen.text(at, text, fill=_colour(rng), font_size=rng.uniform(8, 26))
        else:
            end = (at[0] + rng.uniform(10, 110), at[1] + rng.uniform(10, 110))
            pen.rectangle((*at, *end), fill=(*_colour(rng), rng.randint(60, 255)))
    return view


def _framed(view: Image.Image, rng: Random) -> Image.Image:
    """A view made smaller, on a plain ground."""
    side = rng.randint(100, 200)
    ground = Image.new("RGB", _SIZE, (255, 255, 255) if rng.random() < 0.5 else _colour(rng))
    small = view.resize((side, side), Image.Resampling.BICUBIC)
    ground.paste(small, (rng.randint(0, VIEW_SIZE - side), rng.randint(0, VIEW_SIZE - side)))
    return ground


def _mixed(photos: list[NDArray[np.uint8]], rng: Random) -> Image.Image:
    """Two or more views side by side, one pasted into another, or blended."""
    one, other = (_recoloured(_crop(rng.choice(photos), rng, 0.2, 1.0), rng, 0.4) for _ in range(2))
    draw = rng.random()
    if draw < 0.35:
        return Image.blend(one, other, rng.uniform(0.15, 0.5))
    if draw < 0.8:
        width, height = rng.randint(60, 180), rng.randint(60, 180)
        at = rng.randint(0, VIEW_SIZE - width), rng.randint(0, VIEW_SIZE - height)
        one.paste(other.resize((width, height), Image.Resampling.BICUBIC), at)
        return one
    half = VIEW_SIZE // 2
    for corner in range(4):
        part = _crop(rng.choice(photos), rng, 0.3, 1.0).resize((half, half))
        one.paste(part, (corner % 2 * half, corner // 2 * half))
    return one


def _drawn(rng: Random) -> Image.Image:
    """Shapes of plain colours on a noisy ground."""
    noise = np.random.default_rng(rng.getrandbits(32))
    cells = rng.choice((2, 4, 8, 28, 112))
    ground = Image.fromarray(noise.integers(0, 256, (cells, cells, 3), np.uint8))
    view = ground.resize(_SIZE, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(view, "RGBA")
    for _ in range(rng.randint(2, 12)):
        corners = [(rng.uniform(-30, 254), rng.uniform(-30, 254)) for _ in range(rng.randint(2, 6))]
        fill = (*_colour(rng), rng.randint(120, 255))
        if len(corners) > 2:
            pen.polygon(corners, fill=fill)
        else:
            (left, top), (right, bottom) = corners
            box = (min(left, right), min(top, bottom), max(left, right), max(top, bottom))
            rng.choice((pen.ellipse, pen.rectangle))(box, fill=fill, outline=_colour(rng))
    return view


def _colour(rng: Random) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(rng.random(), rng.random(), rng.uniform(0.1, 1))
    return round(red * 255), round(green * 255), round(blue * 255)
