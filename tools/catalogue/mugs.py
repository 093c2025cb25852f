"""Mugs: plain, dotted, striped and two-tone, all of one shape."""

from tools.catalogue.canvas import Canvas, Mask, Material, clip, cut
from tools.catalogue.colours import darker, lighter
from tools.catalogue.curves import Points, arc, box, ellipse, leaf
from tools.catalogue.palette import Palette

LEFT, RIGHT, TOP, BOTTOM = 15.0, 69.0, 24.0, 86.0
CENTRE, HALF, RISE = (LEFT + RIGHT) / 2, (RIGHT - LEFT) / 2, 7.0


def draw_plain_mug(canvas: Canvas, palette: Palette) -> None:
    """One colour, with a sprig of leaves."""
    body = _body(canvas, palette.main)
    for turn, y in ((-50, 66), (-130, 66), (-50, 57), (-130, 57), (-90, 50)):
        canvas.glaze(canvas.shape(leaf((CENTRE, y), 12, 5, turn)), palette.accent, 0.95)
    canvas.glaze(canvas.line([(CENTRE, 74), (CENTRE, 46)], 0.9), palette.accent, 0.95)
    _finish(canvas, palette, body)


def draw_dotted_mug(canvas: Canvas, palette: Palette) -> None:
    """Dots that narrow towards the sides, as they do round a cylinder."""
    body = _body(canvas, palette.main)
    dots: list[Points] = []
    for row in range(4):
        for angle in range(-90 + 12 * (row % 2), 91, 24):
            across = arc((CENTRE, 0), HALF, RISE, 90 - angle, 90 - angle, 1)[0]
            place = (across[0], 33 + row * 12.5 + across[1])
            dots.append(ellipse(place, 3.2 * across[1] / RISE + 0.15, 3.2))
    canvas.glaze(clip(canvas.shapes(dots), body), palette.accent, 0.95)
    _finish(canvas, palette, body)


def draw_striped_mug(canvas: Canvas, palette: Palette) -> None:
    """Three bands round the body."""
    body = _body(canvas, palette.main)
    for y, width in ((38, 3.0), (46, 7.0), (54, 3.0)):
        canvas.glaze(clip(_ring(canvas, y, width), body), palette.accent, 0.95)
    _finish(canvas, palette, body)


def draw_dipped_mug(canvas: Canvas, palette: Palette) -> None:
    """Bare clay below, glaze above."""
    body = _body(canvas, palette.main)
    bare = [*arc((CENTRE, 60), HALF + 2, RISE, 180, 0), (RIGHT + 2, 99), (LEFT - 2, 99)]
    canvas.glaze(clip(canvas.shape(bare), body), palette.accent, 1.0)
    canvas.glaze(clip(_ring(canvas, 61, 1.2), body), darker(palette.accent, 0.5), 0.35, soften=0.6)
    _finish(canvas, palette, body)


def _body(canvas: Canvas, colour: str) -> Mask:
    outer = canvas.shape(ellipse((RIGHT + 2, 53), 20, 21))
    handle = cut(outer, canvas.shape(ellipse((RIGHT + 1, 53), 13.2, 14.5)))
    canvas.paint(handle, Material(colour, roundness=2.4, gloss=0.6, hardness=14))
    side: Points = [(LEFT, TOP), *arc((CENTRE, BOTTOM - 6), HALF - 2, RISE, 180, 0), (RIGHT, TOP)]
    body = canvas.shape([*side, *arc((CENTRE, TOP), HALF, RISE, 0, -180)])
    canvas.paint(body, Material(colour, roundness=11, gloss=0.35, hardness=14, upright=True))
    return body


def _ring(canvas: Canvas, y: float, width: float) -> Mask:
    upper = arc((CENTRE, y - width / 2), HALF + 1, RISE, 180, 0)
    return canvas.shape([*upper, *arc((CENTRE, y + width / 2), HALF + 1, RISE, 0, 180)])


def _finish(canvas: Canvas, palette: Palette, body: Mask) -> None:
    """Shade the painted pattern like the body under it, then add the rim and the coffee."""
    sides = canvas.shapes([box(LEFT - 3, 10, LEFT + 4, 95), box(RIGHT - 4, 10, RIGHT + 3, 95)])
    canvas.glaze(clip(sides, body), "#0d0a08", 0.26, soften=4)
    shine = canvas.shape([(LEFT + 8, 36), (LEFT + 12, 36.5), (LEFT + 13, 76), (LEFT + 10, 75)])
    canvas.glaze(clip(shine, body), "#ffffff", 0.55, soften=1.4)
    rim = canvas.shape(ellipse((CENTRE, TOP), HALF, RISE))
    canvas.paint(rim, Material(lighter(palette.main, 0.25), roundness=1, gloss=0.5))
    inside = canvas.shape(ellipse((CENTRE, TOP + 0.3), HALF - 2, RISE - 1.4))
    canvas.paint(inside, Material(palette.trim, roundness=3, relief=-0.8, gloss=0.1))
    coffee = canvas.shape(ellipse((CENTRE, TOP + 4.4), HALF - 3.4, RISE - 2.2))
    canvas.paint(clip(coffee, inside), Material("#4a2a17", roundness=1.5, gloss=0.2))
