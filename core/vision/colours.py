"""The colours of the thing in a picture, named in plain English from its pixels.

Pixels are compared in OKLab (Ottosson, A perceptual color space for image processing, 2020) by
the difference that doubles the weight of its two colour axes against lightness, so that a shaded
red is still red. The background is what looks like the border of the picture and is connected to
it; where the border is too busy to tell, the whole picture counts, its middle most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from coloraide import Color
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLOURS: Final[dict[str, str]] = {
    "black": "#000000 #141416 #262628",
    "white": "#ffffff #f0f0ee #e2e2e5 #d6d6da",
    "grey": "#4c4c4f #646467 #7e7e81 #98989b #b0b0b3 #bebec2",
    "beige": "#f1e6d2 #e6d5b8 #d8c3a0 #c9b08a",
    "brown": "#3d2517 #553420 #6b4428 #7d5233 #8f6340 #a3744c",
    "maroon": "#4a0d16 #5c101c #6c1622",
    "red": "#9e1420 #b83224 #c01822 #dc1e28 #f23a3a",
    "coral": "#e45c50 #f0654e #f8806c #fa9a86",
    "pink": "#c83c78 #e0558c #ee80ac #f6a6c2 #fac8d6 #c878b0 #d890c4 #b8747e",
    "orange": "#c0581c #d8641a #ee7a1c #ff9020 #ffab48",
    "gold": "#8c6c2a #a8843a #bc9a50 #ccb068",
    "yellow": "#d09c14 #e8b420 #f4cc28 #fcdc3c #fff05a #fff6a0",
    "olive": "#4a4a20 #62622c #7a7a36 #908e4a",
    "green": "#123c1c #30441a #1c5c2c #24803a #3ca04a #60bc50 #94cc5c #7cc88a #7c9430 #a4b83c "
    "#1c5844 #2c6e50 #3c8c64",
    "mint": "#8ee0b8 #a8ecc8 #c2f2da",
    "teal": "#0c4a4c #146466 #1c7e7e #2c9694",
    "turquoise": "#28bec2 #4cd2d2 #8ce2e2",
    "blue": "#1c48b4 #2060d8 #3c7ee6 #2850ff #5c9ae0 #84b8ec #a8d0f4 #5878a8 #6e7c9c #566484 "
    "#66708e",
    "navy": "#0e1530 #1c2538 #2a354a #141e48 #1c2a5c #2a3a6c",
    "purple": "#3c1858 #581e80 #742ca4 #8c46b8 #7a3c78 #6c5cc0 #8878d8",
    "lilac": "#b094d4 #c6b0e4 #d8c6ee #c8a2c8",
}
"""Each name with some of the shades people use it for."""

SOURCE: Final = "pixels"


@dataclass(frozen=True)
class NamedColour:
    """One colour of a picture."""

    name: str
    score: float  # share of the thing's pixels, 0 to 1
    source: str = SOURCE


_SIDE: Final = 112  # longest side of the picture that is looked at, in pixels
_LEAST_SIDE: Final = 8
_STEP: Final = 8  # RGB levels that are taken for one
_LEVELS: Final = 256 // _STEP
_DIFFERENCE_WEIGHTS: Final = np.array([1.0, 2.0, 2.0])
_LEAST_SHARE: Final = 0.08

_WHITE: Final = 0.97  # brightest channel of what is white in a well exposed picture
_MOST_EXPOSURE: Final = 1.15  # by which an underexposed picture is made lighter

_BORDER: Final = 0.04  # share of the sides that shows the background
_MIDDLE: Final = 0.4  # of the way from the centre to the sides
_MOST_LOOKS: Final = 2  # a wall and the table before it
_LEAST_LOOK: Final = 0.15  # share of the border
_SEED: Final = 0.05  # how coarsely the commonest colour of the border is looked for
_FITS: Final = 3
_NEAR: Final = (0.06, 0.14)  # how far from a look its pixels are: where it is smooth, and rough
_DARKEST_SHADOW: Final = 0.88  # of the background's lightness
_LEAST_LIKE_BORDER: Final = 0.6  # share of the border that must fit before it is believed
_CERTAIN: Final = 0.92  # share of the border that leaves no doubt about the background
_MOST_LIKE_MIDDLE: Final = 0.6  # share of the middle that may be background
_LEAST_SUBJECT: Final = 0.04  # share of the picture; less is taken for a failure to find it


class ColourNamer:
    """Names the colours of pictures; keep one, for it remembers colours it has met."""

    def __init__(self) -> None:
        shades = [(name, Color(shade)) for name, row in COLOURS.items() for shade in row.split()]
        self._names = list(COLOURS)
        self._shades = np.array([_oklab(colour) for _, colour in shades])
        self._name_of_shade = np.array([self._names.index(name) for name, _ in shades])
        # By coarse RGB colour, filled in as pictures bring them: OKLab and place in the names.
        self._lab = np.full((_LEVELS**3, 3), np.nan)
        self._name = np.zeros(_LEVELS**3, np.int64)

    def name(self, image: Image.Image) -> list[NamedColour]:
        """Name the colours of an RGB picture's subject, the largest share first."""
        cells = self._learnt(_exposed(_small(image)))
        weights = _weights(self._lab[cells])
        sums = np.bincount(self._name[cells].ravel(), weights.ravel(), len(self._names))
        shares = sums / weights.sum()
        return [
            NamedColour(self._names[place], math.floor(shares[place] * 10_000 + 1e-6) / 10_000)
            for place in np.argsort(-shares, kind="stable")
            if shares[place] >= _LEAST_SHARE
        ]

    def _learnt(self, pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Give the coarse colour of each of `[h, w, 3]` RGB pixels, all of them known."""
        red, green, blue = np.moveaxis(pixels.astype(np.int64) // _STEP, 2, 0)
        cells: NDArray[np.int64] = (red * _LEVELS + green) * _LEVELS + blue
        for cell in np.unique(cells[np.isnan(self._lab[cells, 0])]):
            levels = np.array([cell // _LEVELS**2, cell // _LEVELS % _LEVELS, cell % _LEVELS])
            rgb = (levels * _STEP + (_STEP - 1) / 2) / 255
            lab = np.array(_oklab(Color("srgb", rgb.tolist())))
            distances = np.linalg.norm((self._shades - lab) * _DIFFERENCE_WEIGHTS, axis=1)
            self._name[cell] = self._name_of_shade[distances.argmin()]
            self._lab[cell] = lab  # last: it says that the colour is known
        return cells


def _oklab(colour: Color) -> list[float]:
    return colour.convert("oklab").coords()


def _small(image: Image.Image) -> NDArray[np.uint8]:
    scale = min(1.0, _SIDE / max(image.size))
    size = [max(_LEAST_SIDE, round(side * scale)) for side in image.size]
    smaller = image.resize((size[0], size[1]), Image.Resampling.BOX)
    return np.asarray(smaller.convert("RGB"))


def _exposed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lighten a picture in which nothing is white, within reason: white in the shade is white."""
    brightest = float(np.percentile(pixels.max(axis=2), 98))
    gain = min(max(255 * _WHITE / max(brightest, 1.0), 1.0), _MOST_EXPOSURE)
    lighter: NDArray[np.uint8] = np.minimum(pixels * gain, 255).astype(np.uint8)
    return lighter


def _weights(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much each pixel counts, `[h, w]`: 1 for the subject and 0 for the background."""
    height, width = lab.shape[:2]
    background = _background(lab)
    if background is not None:
        subject = ~_connected_to_border(background)
        core = _without_rim(subject)
        if core.mean() >= _LEAST_SUBJECT:
            return core.astype(np.float64)
    across = np.linspace(-1, 1, width) ** 2
    down = np.linspace(-1, 1, height) ** 2
    return np.exp(-2.0 * (across[None, :] + down[:, None]))


def _background(lab: NDArray[np.float64]) -> NDArray[np.bool_] | None:
    """Which pixels, `[h, w]`, look like the border; None where it has no look of its own.

    A border shows one smooth thing or two, a wall and the table before it.
    """
    height, width = lab.shape[:2]
    down, across = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    plane = np.stack([np.ones_like(down), down, across], axis=2)
    edge = np.maximum(np.abs(down), np.abs(across)) >= 1 - 2 * _BORDER
    like = np.zeros(lab.shape[:2], bool)
    for _ in range(_MOST_LOOKS):
        left = edge & ~like
        if left.sum() < _LEAST_LOOK * edge.sum():
            break
        like |= _like_one_look(lab, plane, left)
    explained = (like & edge).sum() / edge.sum()
    middle = np.maximum(np.abs(down), np.abs(across)) <= _MIDDLE
    # A heap of tomatoes fills border and middle alike: it is the subject, not the background.
    filled = like[middle].mean() > _MOST_LIKE_MIDDLE and explained < _CERTAIN
    return None if filled or explained < _LEAST_LIKE_BORDER else like


def _like_one_look(
    lab: NDArray[np.float64], plane: NDArray[np.float64], edge: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which pixels look like the commonest colour of the border `edge`, or like its shadow.

    Each coordinate of the look is a plane over the picture, for light falls off to a side.
    """
    places, looks = plane[edge], lab[edge]
    coarse = np.rint(looks / _SEED).astype(np.int64)
    kinds, counts = np.unique(coarse, axis=0, return_counts=True)
    seed = kinds[counts.argmax()] * _SEED
    near = _NEAR[1]
    fitting = np.linalg.norm((looks - seed) * _DIFFERENCE_WEIGHTS, axis=1) <= near
    for _ in range(_FITS):
        solution = np.linalg.lstsq(places[fitting], looks[fitting], rcond=None)[0]
        off = np.linalg.norm((looks - places @ solution) * _DIFFERENCE_WEIGHTS, axis=1)
        near = min(max(_NEAR[0], 3 * float(np.median(off[fitting]))), _NEAR[1])
        fitting = off <= near
    expected = plane @ solution
    # Less light takes all three coordinates down by one factor.
    light = (lab * expected).sum(axis=2) / (expected**2).sum(axis=2).clip(1e-6)
    shaded = expected * light.clip(_DARKEST_SHADOW, 1.0)[..., None]
    like: NDArray[np.bool_] = np.linalg.norm((lab - shaded) * _DIFFERENCE_WEIGHTS, axis=2) <= near
    return like


def _without_rim(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A `[h, w]` mask less its outermost pixels, whose colours are half the background's."""
    core = mask.copy()
    core[1:] &= mask[:-1]
    core[:-1] &= mask[1:]
    core[:, 1:] &= mask[:, :-1]
    core[:, :-1] &= mask[:, 1:]
    return core


def _connected_to_border(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The part of a `[h, w]` mask that can be reached from the border inside it."""
    reached = np.zeros_like(mask)
    reached[0], reached[-1], reached[:, 0], reached[:, -1] = True, True, True, True
    reached &= mask
    while True:
        grown = reached.copy()
        grown[1:] |= reached[:-1]
        grown[:-1] |= reached[1:]
        grown[:, 1:] |= reached[:, :-1]
        grown[:, :-1] |= reached[:, 1:]
        grown &= mask
        if (grown == reached).all():
            return reached
        reached = grown
