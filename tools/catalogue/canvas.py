"""A transparent picture on which a product is built up from lit, shaded parts.

A part is a mask (an 8-bit picture of where it is) painted with a material. The mask is read as a
swollen surface, high in the middle and falling to its edge, and lit from the scene's side: that
one rule gives leather, rubber, glass and fruit their volume. Masks are drawn ``OVERSAMPLING``
times larger than the finished picture, for smooth edges; light, being soft, is computed small.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from tools.catalogue.colours import rgb
from tools.catalogue.curves import Point, Points
from tools.catalogue.view import View

OVERSAMPLING = 3
AMBIENT = 0.5

Mask = Image.Image
Grid = NDArray[np.float64]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Material:
    """What a part is made of."""

    colour: str
    roundness: float = 4.0  # how far from the edge the surface bends away, in product units
    relief: float = 1.0  # how steeply it bends: 0 is flat card
    gloss: float = 0.2  # strength of the highlight, 0 to 1
    hardness: float = 16.0  # how small and sharp the highlight is
    upright: bool = False  # bends to the left and right only, as a cylinder does
    lift: float = 0.0  # height above what it lies on, in units: casts a shadow there


class Canvas:
    """The product while it is drawn; ``image`` is RGBA, ``OVERSAMPLING`` times the final size."""

    def __init__(self, size_px: int, view: View, light_from_left: bool = True) -> None:
        self.frame_px = size_px * OVERSAMPLING
        self.image = Image.new("RGBA", (self.frame_px, self.frame_px))
        self._matrix = view.matrix(self.frame_px)
        self._unit_px = self.frame_px / 100.0 * view.scale
        side = -0.5 if light_from_left else 0.5
        self._light = (side, -0.62, 0.605)

    def shape(self, outline: Sequence[Point]) -> Mask:
        """Return the mask of a filled outline."""
        mask = self._blank()
        ImageDraw.Draw(mask).polygon(self._to_pixels(outline), fill=255)
        return mask

    def line(self, points: Sequence[Point], width: float) -> Mask:
        """Return the mask of a line with round ends and joints."""
        mask = self._blank()
        draw, pixels = ImageDraw.Draw(mask), self._to_pixels(points)
        width_px = max(1.0, width * self._unit_px)
        draw.line(pixels, fill=255, width=round(width_px), joint="curve")
        half = width_px / 2
        for x, y in (pixels[0], pixels[-1]):
            draw.ellipse((x - half, y - half, x + half, y + half), fill=255)
        return mask

    def shapes(self, outlines: Sequence[Sequence[Point]]) -> Mask:
        """Return one mask of many filled outlines."""
        mask = self._blank()
        draw = ImageDraw.Draw(mask)
        for outline in outlines:
            draw.polygon(self._to_pixels(outline), fill=255)
        return mask

    def dashes(self, points: Points, width: float, on: int = 3, off: int = 2) -> Mask:
        """Return the mask of a dashed line; dashes are counted in points of the curve."""
        mask = self._blank()
        draw, pixels = ImageDraw.Draw(mask), self._to_pixels(points)
        width_px = max(1, round(width * self._unit_px))
        for start in range(0, len(pixels) - on, on + off):
            draw.line(pixels[start : start + on + 1], fill=255, width=width_px)
        return mask

    def text(self, words: str, centre: Point, height: float) -> Mask:
        """Return the mask of a line of text, turned with the product."""
        flat_px = self.frame_px / 100.0
        flat = self._blank()
        font = ImageFont.load_default(size=height * flat_px)
        place = (centre[0] * flat_px, centre[1] * flat_px)
        ImageDraw.Draw(flat).text(
            place, words, fill=255, font=font, anchor="mm", stroke_width=height * flat_px * 0.02
        )
        to_flat = np.diag([flat_px, flat_px, 1.0]) @ np.linalg.inv(self._matrix)
        coefficients = (to_flat / to_flat[2, 2]).flatten()[:8].tolist()
        return flat.transform(
            flat.size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC
        )

    def paint(self, mask: Mask, material: Material) -> None:
        """Lay a lit part over what is there, after the shadow that it casts."""
        if material.lift > 0:
            self._cast(mask, material.lift)
        margin = round(material.roundness * self._unit_px * 2)
        area = self._area(mask, margin)
        if area is None:
            return
        part = mask.crop(area)
        colours = self._lit(part, material).resize(part.size, Image.Resampling.BICUBIC)
        colours.putalpha(part)
        self.image.alpha_composite(colours, area[:2])

    def glaze(self, mask: Mask, colour: str, opacity: float = 1.0, soften: float = 0.0) -> None:
        """Lay a flat tint over the parts that are there; ``soften`` is a blur in units.

        A softened glaze stays within the product: it is light or shade on it, not a part of it.
        """
        if soften > 0:
            mask = ImageChops.multiply(self._blurred(mask, soften), self.image.getchannel("A"))
        area = self._area(mask, 0)
        if area is None:
            return
        alpha = mask.crop(area).point(lambda value: value * opacity)
        tint = Image.new("RGB", alpha.size, rgb(colour))
        tint.putalpha(alpha)
        self.image.alpha_composite(tint, area[:2])

    def _cast(self, mask: Mask, lift: float) -> None:
        right, down = (round(-side * lift * self._unit_px) for side in self._light[:2])
        offset = self._blank()
        offset.paste(mask, (right, down))
        self.glaze(offset, "#0c0806", 0.38, soften=lift * 0.9)

    def _lit(self, part: Mask, material: Material) -> Image.Image:
        small = part.reduce(OVERSAMPLING)
        bend_px = max(0.8, material.roundness * self._unit_px / OVERSAMPLING)
        padded = np.pad(np.asarray(small, dtype=np.float64) / 255.0, 1)
        height = blur(blur(padded, bend_px, 1), bend_px, 0)
        slope_y, slope_x = np.gradient(height)
        if material.upright:
            slope_y = np.zeros_like(slope_y)
        steep = bend_px * material.relief * 1.9
        nx, ny = -slope_x * steep, -slope_y * steep
        nz = 1.0 / np.sqrt(1.0 + nx * nx + ny * ny)
        lx, ly, lz = self._light
        facing = (nx * lx + ny * ly + lz) * nz
        tone = AMBIENT + (1.0 - AMBIENT) * facing / lz
        shine = _shine(nx * nz, ny * nz, nz, self._light, material)
        base = np.array(rgb(material.colour), dtype=np.float64)
        pixels = base * np.clip(tone, 0.3, 1.3)[..., None] + 255.0 * shine[..., None]
        inner = np.clip(pixels, 0, 255)[1:-1, 1:-1].round().astype(np.uint8)
        return Image.fromarray(inner)

    def _blurred(self, mask: Mask, units: float) -> Mask:
        small = mask.reduce(OVERSAMPLING)
        radius = max(0.5, units * self._unit_px / OVERSAMPLING)
        return small.filter(ImageFilter.GaussianBlur(radius)).resize(
            mask.size, Image.Resampling.BICUBIC
        )

    def _area(self, mask: Mask, margin: int) -> Box | None:
        bounds = mask.getbbox()
        if bounds is None:
            return None
        left, top, right, bottom = bounds
        end = self.frame_px
        return (
            max(0, left - margin),
            max(0, top - margin),
            min(end, right + margin),
            min(end, bottom + margin),
        )

    def _blank(self) -> Mask:
        return Image.new("L", (self.frame_px, self.frame_px))

    def _to_pixels(self, points: Sequence[Point]) -> Points:
        homogeneous = np.array([(x, y, 1.0) for x, y in points]) @ self._matrix.T
        flat = homogeneous[:, :2] / homogeneous[:, 2:]
        return [(float(x), float(y)) for x, y in flat]


def clip(mask: Mask, within: Mask) -> Mask:
    """Return the part of the mask that lies within the other."""
    return ImageChops.multiply(mask, within)


def cut(mask: Mask, hole: Mask) -> Mask:
    """Return the mask without the other."""
    return ImageChops.subtract(mask, hole)


def join(mask: Mask, other: Mask) -> Mask:
    """Return both masks as one."""
    return ImageChops.lighter(mask, other)


def blur(grid: Grid, radius: float, axis: int) -> Grid:
    """Return the grid blurred along an axis, in floats: eight bits would show as bands of light.

    Three passes of a box are as good as a Gaussian to the eye, and cost the same at any radius.
    """
    half = round(radius)
    if half == 0:
        return grid
    pad = [(0, 0), (0, 0)]
    pad[axis] = (half + 1, half)
    for _ in range(3):
        sums = np.cumsum(np.pad(grid, pad, mode="edge"), axis=axis)
        ends = np.take(sums, range(2 * half + 1, sums.shape[axis]), axis=axis)
        starts = np.take(sums, range(sums.shape[axis] - 2 * half - 1), axis=axis)
        grid = (ends - starts) / (2 * half + 1)
    return grid


def _shine(
    nx: Grid, ny: Grid, nz: Grid, light: tuple[float, float, float], material: Material
) -> Grid:
    lx, ly, lz = light
    half = np.array([lx, ly, lz + 1.0])
    hx, hy, hz = half / np.sqrt((half * half).sum())
    towards = np.clip(nx * hx + ny * hy + nz * hz, 0.0, 1.0)
    flat = max(0.0, float(hz)) ** material.hardness
    # Flat surfaces would all shine by the same small amount: only what bends to the light does.
    shine: Grid = np.clip(towards**material.hardness - flat, 0.0, 1.0) * material.gloss
    return shine
