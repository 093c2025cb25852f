"""Fruit: apple, orange, banana, strawberry and pear."""

import random

from tools.catalogue.canvas import Canvas, Mask, Material, clip
from tools.catalogue.colours import darker, lighter
from tools.catalogue.curves import Point, Points, ellipse, leaf, move, move_point, smooth
from tools.catalogue.palette import Palette

STEM = Material("#6b4a2b", roundness=0.9, gloss=0.2)


def draw_apple(canvas: Canvas, palette: Palette) -> None:
    """An apple with a blush of the accent colour, freckles, a stem and a leaf."""
    half: Points = [
        (50, 27),
        (60, 20.5),
        (74, 22),
        (85, 36),
        (85, 56),
        (76, 77),
        (62, 88),
        (50, 85),
    ]
    skin = canvas.shape(smooth([*half, *((100 - x, y) for x, y in reversed(half[1:-1]))]))
    canvas.paint(skin, Material(palette.main, roundness=15, relief=1.1, gloss=0.55, hardness=14))
    blush = clip(canvas.shape(ellipse((66, 62), 18, 26, 20)), skin)
    canvas.glaze(blush, palette.accent, 0.55, soften=7)
    rng = random.Random(7)
    specks = [ellipse((rng.uniform(18, 82), rng.uniform(28, 84)), 0.35) for _ in range(110)]
    canvas.glaze(clip(canvas.shapes(specks), skin), lighter(palette.accent, 0.6), 0.5)
    canvas.glaze(clip(canvas.shape(ellipse((50, 27), 13, 4.5)), skin), "#1c0a04", 0.55, soften=2)
    canvas.paint(canvas.line(smooth([(50, 29), (50.5, 20), (55, 11)], False), 2.2), STEM)
    _leaf(canvas, (51.5, 20), 25, 8, -24)
    canvas.glaze(clip(canvas.shape(ellipse((33, 39), 5, 9, 24)), skin), "#ffffff", 0.5, soften=2.2)


def draw_orange(canvas: Canvas, palette: Palette) -> None:
    """An orange with pitted peel, and a leaf at its stalk."""
    skin = canvas.shape(ellipse((50, 54), 36, 35))
    canvas.paint(skin, Material(palette.main, roundness=16, gloss=0.4, hardness=10))
    rng = random.Random(11)
    pits = [(rng.uniform(14, 86), rng.uniform(18, 90)) for _ in range(420)]
    canvas.glaze(_dots(canvas, pits, 0.5, skin), darker(palette.main, 0.4), 0.35)
    lit = [(x - 0.45, y - 0.45) for x, y in pits]
    canvas.glaze(_dots(canvas, lit, 0.35, skin), lighter(palette.main, 0.7), 0.35)
    canvas.glaze(clip(canvas.shape(ellipse((50, 26), 8, 3.4)), skin), "#5a2500", 0.5, soften=1.5)
    _leaf(canvas, (51, 25), 26, 9, -18)
    _leaf(canvas, (49, 25), 18, 6.5, -152)
    canvas.paint(canvas.shape(ellipse((50, 25.5), 2.4, 1.7)), Material("#5f7a2c", 0.9))
    canvas.glaze(clip(canvas.shape(ellipse((34, 40), 6, 9, 36)), skin), "#ffffff", 0.42, soften=2.6)


def draw_bananas(canvas: Canvas, palette: Palette) -> None:
    """A hand of three bananas."""
    for turn, shade in ((-15, 0.14), (0, 0.07), (15, 0.0)):
        _banana(canvas, darker(palette.main, shade), palette, turn)
    crown = smooth([(20, 12), (27, 10), (31, 19), (27, 26), (20, 24)])
    canvas.paint(canvas.shape(crown), Material(palette.accent, roundness=2, lift=0.6))


def draw_strawberry(canvas: Canvas, palette: Palette) -> None:
    """A strawberry with sunken seeds and a green cap."""
    half: Points = [(50, 25), (64, 23), (79, 32), (80, 48), (70, 68), (58, 85), (50, 91)]
    skin = canvas.shape(smooth([*half, *((100 - x, y) for x, y in reversed(half[1:-1]))]))
    canvas.paint(skin, Material(palette.main, roundness=11, relief=1.1, gloss=0.6, hardness=18))
    seeds = [
        (50 + (column + 0.5 * (row % 2)) * 8.4, 34 + row * 6.6)
        for row in range(9)
        for column in range(-5, 6)
    ]
    canvas.glaze(_dots(canvas, seeds, 1.25, skin), darker(palette.main, 0.5), 0.55)
    inner = [(x - 0.1, y + 0.2) for x, y in seeds]
    canvas.paint(_dots(canvas, inner, 0.75, skin), Material(palette.accent, 0.6, gloss=0.5))
    for turn in (168, 142, 112, 78, 42, 12, -20, 200):
        _leaf(canvas, (50, 24), 21, 6.5, turn)
    canvas.paint(
        canvas.line(smooth([(50, 24), (51, 16), (56, 9)], False), 2.2), Material("#5f8f38", 0.9)
    )
    canvas.glaze(
        clip(canvas.shape(ellipse((34, 46), 3.5, 8, 10)), skin), "#ffffff", 0.4, soften=1.8
    )


def draw_pear(canvas: Canvas, palette: Palette) -> None:
    """A pear, freckled and a little blushed on one side."""
    half: Points = [(50, 17), (58, 19), (63, 31), (68, 44), (78, 60), (77, 78), (64, 90), (50, 91)]
    skin = canvas.shape(smooth([*half, *((100 - x, y) for x, y in reversed(half[1:-1]))]))
    canvas.paint(skin, Material(palette.main, roundness=12, relief=1.1, gloss=0.4, hardness=12))
    canvas.glaze(clip(canvas.shape(ellipse((68, 66), 12, 22)), skin), palette.accent, 0.5, soften=6)
    rng = random.Random(5)
    specks = [(rng.uniform(22, 80), rng.uniform(20, 90)) for _ in range(170)]
    canvas.glaze(_dots(canvas, specks, 0.35, skin), darker(palette.main, 0.5), 0.45)
    canvas.paint(canvas.line(smooth([(50, 20), (50, 12), (46, 6)], False), 2.2), STEM)
    _leaf(canvas, (50, 14), 22, 7, -12)
    canvas.glaze(
        clip(canvas.shape(ellipse((36, 60), 4, 10, 14)), skin), "#ffffff", 0.42, soften=2.2
    )


def _banana(canvas: Canvas, colour: str, palette: Palette, turn: float) -> None:
    spine: Points = [(24, 17), (25, 30), (34, 50), (50, 66), (70, 72), (84, 69)]
    widths = (2.2, 5.0, 8.8, 9.6, 6.6, 2.0)
    body = [_about_crown(p, turn) for p in _swell(spine, widths)]
    skin = canvas.shape(smooth(body))
    canvas.paint(skin, Material(colour, roundness=4.5, relief=1.1, gloss=0.3, hardness=9, lift=1.4))
    ridge = [_about_crown(p, turn) for p in smooth([(27, 30), (37, 48), (52, 62), (70, 69)], False)]
    canvas.glaze(clip(canvas.line(ridge, 1.0), skin), lighter(colour, 0.55), 0.55, soften=0.6)
    tip = canvas.shape(ellipse(_about_crown((84.5, 69), turn), 3.4, 2.8))
    canvas.paint(clip(tip, skin), Material(darker(palette.accent, 0.7), roundness=1))


def _swell(spine: Points, widths: tuple[float, ...]) -> Points:
    """Return the outline of a spine that is as wide as given at each of its points."""
    near: Points = []
    far: Points = []
    for i, ((x, y), width) in enumerate(zip(spine, widths, strict=True)):
        (x0, y0), (x1, y1) = spine[max(i - 1, 0)], spine[min(i + 1, len(spine) - 1)]
        length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
        across = ((y1 - y0) / length * width, (x0 - x1) / length * width)
        near.append((x + across[0], y + across[1]))
        far.append((x - across[0], y - across[1]))
    return [*near, *reversed(far)]


def _about_crown(point: Point, turn_deg: float) -> Point:
    return move_point((point[0] - 24, point[1] - 17), (24, 17), turn_deg)


def _leaf(canvas: Canvas, base: Point, length: float, width: float, turn_deg: float) -> None:
    blade = canvas.shape(leaf(base, length, width, turn_deg))
    canvas.paint(blade, Material("#5d9a3c", roundness=2.2, gloss=0.35, lift=0.6))
    vein = move(((0.0, 0.0), (length * 0.9, 0.0)), base, turn_deg)
    canvas.glaze(canvas.line(vein, 0.45), "#cfe3a4", 0.6)


def _dots(canvas: Canvas, places: Points, radius: float, within: Mask) -> Mask:
    return clip(canvas.shapes([ellipse(place, radius) for place in places]), within)
