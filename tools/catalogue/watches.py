"""Watches, lying flat with the strap open: round with a strap or a bracelet, and a smart one."""

from math import cos, radians, sin

from tools.catalogue.canvas import Canvas, Mask, Material, clip, cut
from tools.catalogue.colours import darker, lighter, mix
from tools.catalogue.curves import Point, Points, arc, box, ellipse, smooth
from tools.catalogue.palette import Palette

DIAL: Point = (50, 50)


def draw_strap_watch(canvas: Canvas, palette: Palette) -> None:
    """A round watch on a stitched leather strap: main is the strap, accent the dial."""
    _leather_strap(canvas, palette.main)
    _round_case(canvas, palette)


def draw_bracelet_watch(canvas: Canvas, palette: Palette) -> None:
    """A round watch on a metal bracelet: trim is the metal, accent the dial."""
    metal = Material(palette.trim, roundness=1.4, gloss=0.8, hardness=7, lift=0.3)
    for side in (-1, 1):
        for row in range(9):
            y = 50 + side * (25 + row * 3.6)
            half = 10.5 - row * 0.22
            canvas.paint(canvas.shape(box(50 - half, y - 1.7, 50 + half, y + 1.7, 1)), metal)
            middle = canvas.shape(box(46, y - 1.7, 54, y + 1.7, 1))
            canvas.paint(middle, Material(lighter(palette.trim, 0.3), 1.4, gloss=0.9, hardness=7))
    _round_case(canvas, palette)


def draw_smart_watch(canvas: Canvas, palette: Palette) -> None:
    """A square watch with a lit screen: main is the rubber strap, accent and trim light it."""
    band = Material(palette.main, roundness=2.5, gloss=0.25)
    for side in (-1, 1):
        strap = [
            (34, 28),
            (34, 28),
            (66, 28),
            (66, 28),
            (61, 14),
            (60, 4),
            (57, 1),
            (43, 1),
            (40, 4),
            (39, 14),
        ]
        canvas.paint(canvas.shape(smooth([(x, 50 + side * (y - 50)) for x, y in strap])), band)
    slots = [box(46, y, 54, y + 1.6, 0.8) for y in (79, 84, 89)]
    canvas.glaze(canvas.shapes(slots), darker(palette.main, 0.6), 0.8)
    canvas.paint(canvas.shape(box(73, 43, 76.5, 52, 1.5)), Material("#8d9299", 1, gloss=0.8))
    canvas.paint(canvas.shape(box(26, 23, 74, 77, 13)), Material("#9aa0a8", 2, gloss=0.9, lift=1))
    canvas.paint(canvas.shape(box(28, 25, 72, 75, 11.5)), Material("#0d0f14", 2, gloss=0.6))
    for radius, colour, sweep in ((15, palette.accent, 290), (10.8, palette.trim, 215)):
        canvas.glaze(canvas.line(ellipse((50, 48), radius), 3), mix(colour, "#0d0f14", 0.75))
        canvas.glaze(canvas.line(arc((50, 48), radius, radius, -90, sweep - 90), 3), colour)
    canvas.glaze(canvas.text("10:08", (50, 48), 6), "#ffffff", 0.95)
    canvas.glaze(canvas.text("6,240 steps", (50, 69), 3.6), palette.accent, 0.95)
    _glint(canvas, box(28, 25, 72, 75, 11.5))


def _leather_strap(canvas: Canvas, colour: str) -> None:
    leather = Material(colour, roundness=2.5, gloss=0.3, hardness=12)
    upper = [(40, 32), (40, 32), (60, 32), (60, 32), (58, 4), (57, 2), (43, 2), (42, 4)]
    lower = [(40, 68), (40, 68), (60, 68), (60, 68), (58, 92), (50, 98.5), (42, 92)]
    canvas.paint(canvas.shape(smooth([(float(x), float(y)) for x, y in upper])), leather)
    canvas.paint(canvas.shape(smooth([(float(x), y) for x, y in lower])), leather)
    for side in (-1, 1):
        top: Points = [(50 + side * 8, 30), (50 + side * 6.6, 5)]
        low: Points = [(50 + side * 8, 70), (50 + side * 6.6, 91)]
        for edge in (top, low):
            seam = smooth(edge, False, 60)
            canvas.glaze(canvas.dashes(seam, 0.5), lighter(colour, 0.65), 0.85)
    holes = [ellipse((50, y), 0.9) for y in (80, 84, 88, 92)]
    canvas.glaze(canvas.shapes(holes), darker(colour, 0.8), 0.9)
    buckle = cut(canvas.shape(box(40, -1, 60, 7, 2)), canvas.shape(box(42.5, 1, 57.5, 5, 1)))
    canvas.paint(buckle, Material("#c9ccd1", roundness=0.7, gloss=0.9, hardness=7, lift=0.4))


def _round_case(canvas: Canvas, palette: Palette) -> None:
    metal = Material(palette.trim, roundness=2, gloss=0.9, hardness=7, lift=1.2)
    for x in (39, 61):
        canvas.paint(canvas.shapes([box(x - 2, 24, x + 2, 76, 1.5)]), metal)
    canvas.paint(canvas.shape(box(76, 46.5, 81, 53.5, 1)), metal)
    canvas.paint(canvas.shape(ellipse(DIAL, 27.5)), metal)
    canvas.paint(
        canvas.shape(ellipse(DIAL, 24.5)), Material(darker(palette.trim, 0.25), 1, gloss=0.9)
    )
    canvas.paint(
        canvas.shape(ellipse(DIAL, 23)), Material(palette.accent, 9, relief=0.5, gloss=0.2)
    )
    canvas.glaze(_ring(canvas, 23, 20.5), darker(palette.accent, 0.5), 0.5, soften=1.2)
    ink = _ink(palette.accent)
    for hour in range(12):
        width = 1.6 if hour % 3 == 0 else 0.9
        mark = canvas.line([_on_dial(hour * 30, 17.5), _on_dial(hour * 30, 20.8)], width)
        canvas.paint(mark, Material(mix(palette.trim, ink, 0.3), 0.5, gloss=0.8, lift=0.2))
    minutes = [ellipse(_on_dial(minute * 6, 21.9), 0.3) for minute in range(60)]
    canvas.glaze(canvas.shapes(minutes), ink, 0.8)
    canvas.glaze(canvas.text("HALDEN", (50, 40), 3.2), ink, 0.85)
    for angle, reach, width in ((-56, 12.0, 2.0), (50, 17.5, 1.4)):
        hand = canvas.line([_on_dial(angle + 180, 2.5), _on_dial(angle, reach)], width)
        canvas.paint(hand, Material(mix(palette.trim, ink, 0.45), 0.6, gloss=0.7, lift=0.6))
    canvas.paint(
        canvas.line([_on_dial(330, 4), _on_dial(150, 18)], 0.5), Material("#d2452f", lift=0.5)
    )
    canvas.paint(canvas.shape(ellipse(DIAL, 1.5)), metal)
    _glint(canvas, ellipse(DIAL, 23))


def _ring(canvas: Canvas, outer: float, inner: float) -> Mask:
    return cut(canvas.shape(ellipse(DIAL, outer)), canvas.shape(ellipse(DIAL, inner)))


def _on_dial(angle_deg: float, radius: float) -> Point:
    """Return a point on the dial; 0 degrees is twelve o'clock."""
    angle = radians(angle_deg)
    return DIAL[0] + radius * sin(angle), DIAL[1] - radius * cos(angle)


def _ink(dial: str) -> str:
    bright = sum(int(dial[i : i + 2], 16) for i in (1, 3, 5)) > 3 * 120
    return "#22262e" if bright else "#f2efe6"


def _glint(canvas: Canvas, glass: Points) -> None:
    band: Points = [(22, 62), (62, 20), (72, 20), (22, 72)]
    canvas.glaze(clip(canvas.shape(band), canvas.shape(glass)), "#ffffff", 0.1)
