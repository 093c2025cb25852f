"""Bags: tote, handbag, duffel and backpack."""

from tools.catalogue.canvas import Canvas, Mask, Material, clip
from tools.catalogue.colours import darker, lighter
from tools.catalogue.curves import Points, arc, between, box, ellipse, smooth
from tools.catalogue.palette import Palette

BRASS = Material("#d3a548", roundness=0.8, gloss=0.9, hardness=8, lift=0.5)


def draw_tote(canvas: Canvas, palette: Palette) -> None:
    """An open shopper with two handles and a front pocket."""
    leather = Material(palette.main, roundness=5, gloss=0.22)
    _handle(canvas, darker(palette.accent, 0.35), top=13, left=36, right=64, foot=40)
    canvas.paint(canvas.shape(ellipse((50, 37), 27, 4)), Material(darker(palette.main, 0.7)))
    outline = [(23, 37), (23, 37), (50, 40), (77, 37), (77, 37), (83, 84), (80, 89), (80, 89)]
    body = canvas.shape(smooth([*outline, (20, 89), (20, 89), (17, 84)]))
    canvas.paint(body, leather)
    base = canvas.shape(smooth([(10, 75), (50, 79), (90, 75), (90, 95), (10, 95)]))
    canvas.paint(clip(base, body), Material(palette.accent, roundness=4, gloss=0.2))
    _folds(canvas, body)
    pocket = smooth(
        [(34, 52), (34, 52), (66, 52), (66, 52), (65, 71), (62, 74), (38, 74), (35, 71)]
    )
    canvas.paint(canvas.shape(pocket), Material(palette.main, roundness=2, lift=0.6))
    _stitch(canvas, smooth([(36, 53), (37, 70), (40, 72.5), (60, 72.5), (63, 70), (64, 53)], False))
    _stitch(canvas, between((24, 41), (76, 41), 60), palette.trim)
    _handle(canvas, palette.accent, top=10, left=35, right=65, foot=47)
    for x in (35, 65):
        canvas.paint(canvas.shape(ellipse((x, 45), 1.2)), BRASS)


def draw_handbag(canvas: Canvas, palette: Palette) -> None:
    """A small structured bag with a flap, a clasp and one stiff handle."""
    leather = Material(palette.main, roundness=5, gloss=0.45, hardness=22)
    arch = smooth([(31, 48), (32, 30), (40, 17), (50, 14), (60, 17), (68, 30), (69, 48)], False)
    canvas.paint(canvas.line(arch, 4.2), Material(palette.accent, roundness=1.4, gloss=0.5))
    canvas.paint(
        canvas.shape(
            smooth([(24, 44), (50, 41), (76, 44), (86, 78), (82, 87), (18, 87), (14, 78)])
        ),
        leather,
    )
    flap = smooth(
        [(22, 43), (50, 39.5), (78, 43), (81, 58), (66, 65), (50, 68), (34, 65), (19, 58)]
    )
    canvas.paint(canvas.shape(flap), Material(palette.main, 4, gloss=0.5, hardness=22, lift=1.4))
    rim = smooth([(20.5, 57), (35, 63.2), (50, 66), (65, 63.2), (79.5, 57)], False, 10)
    _stitch(canvas, rim, palette.trim)
    for x in (31, 69):
        canvas.paint(canvas.line(ellipse((x, 46.5), 3.2), 1.1), BRASS)
    canvas.paint(canvas.shape(box(45, 61, 55, 71, 2)), BRASS)
    canvas.paint(canvas.shape(box(48, 64, 52, 69.5, 1)), Material("#a87a26", roundness=1))


def draw_duffel(canvas: Canvas, palette: Palette) -> None:
    """A wide, soft travel bag with a zip along the top and two straps round the body."""
    _handle(canvas, darker(palette.accent, 0.3), top=22, left=34, right=66, foot=48)
    outline = [(14, 44), (30, 40), (70, 40), (86, 44), (93, 58), (91, 77), (82, 83), (18, 83)]
    body = canvas.shape(smooth([*outline, (9, 77), (7, 58)]))
    canvas.paint(body, Material(palette.main, roundness=9, gloss=0.16, hardness=8))
    for side in (-1, 1):
        end = canvas.shape(ellipse((50 + side * 47, 62), 13, 25))
        canvas.paint(clip(end, body), Material(palette.accent, roundness=4, gloss=0.2))
    _folds(canvas, body)
    zip_line = smooth([(20, 47), (50, 44.5), (80, 47)], False, 30)
    canvas.glaze(canvas.line(zip_line, 2.6), darker(palette.main, 0.55))
    canvas.glaze(canvas.dashes(zip_line, 1.2, 1, 1), "#d9c9a0")
    for x in (34, 66):
        strap = clip(canvas.shape(box(x - 2.6, 36, x + 2.6, 90)), body)
        canvas.paint(strap, Material(palette.accent, roundness=1.2, lift=0.5))
        _stitch(canvas, between((x - 1.6, 48), (x - 1.6, 80), 40), palette.trim)
        _stitch(canvas, between((x + 1.6, 48), (x + 1.6, 80), 40), palette.trim)
    _handle(canvas, palette.accent, top=19, left=34, right=66, foot=54)
    canvas.paint(canvas.shape(box(42, 60, 58, 69, 1.2)), Material(palette.accent, 1.2, lift=0.4))
    canvas.glaze(canvas.text("NORDA", (50, 64.5), 3.6), palette.trim, 0.9)


def draw_backpack(canvas: Canvas, palette: Palette) -> None:
    """A rounded day pack with a front pocket and two zips."""
    loop = arc((50, 15), 7, 7, 180, 360)
    canvas.paint(canvas.line(loop, 2.6), Material(palette.accent, roundness=1))
    for side in (-1, 1):
        strap = smooth(
            [(50 + side * x, y) for x, y in ((24, 30), (35, 44), (36, 62), (28, 82))], False
        )
        canvas.paint(canvas.line(strap, 5), Material(darker(palette.accent, 0.2), roundness=1.6))
    outline = [(50, 11), (67, 15), (77, 32), (79, 60), (78, 86), (70, 91), (30, 91), (22, 86)]
    body = canvas.shape(smooth([*outline, (21, 60), (23, 32), (33, 15)]))
    canvas.paint(body, Material(palette.main, roundness=8, gloss=0.18, hardness=9))
    _zip(
        canvas,
        smooth([(27, 47), (30, 30), (38, 21), (50, 19), (62, 21), (70, 30), (73, 47)], False),
    )
    pocket = [
        (30, 55),
        (50, 53),
        (70, 55),
        (73, 66),
        (72, 82),
        (67, 86),
        (33, 86),
        (28, 82),
        (27, 66),
    ]
    canvas.paint(canvas.shape(smooth(pocket)), Material(palette.main, roundness=5, lift=1.2))
    _zip(canvas, smooth([(31, 62), (50, 59.5), (69, 62)], False, 24))
    canvas.paint(canvas.shape(box(42, 33, 58, 43, 2)), Material(palette.accent, 1.5, lift=0.5))
    canvas.glaze(canvas.text("norda", (50, 37.7), 4.2), palette.trim, 0.95)
    canvas.paint(canvas.line([(68, 62), (69, 69)], 1.6), Material(palette.accent, 0.6, lift=0.4))
    canvas.paint(canvas.line([(73, 47), (74, 54)], 1.6), Material(palette.accent, 0.6, lift=0.4))


def _handle(
    canvas: Canvas, colour: str, *, top: float, left: float, right: float, foot: float
) -> None:
    reach = (right - left) / 5
    bow = [(left, foot), (left + 1, top + 13), (left + reach, top + 2), (50, top)]
    bow += [(right - reach, top + 2), (right - 1, top + 13), (right, foot)]
    canvas.paint(canvas.line(smooth(bow, False), 3), Material(colour, roundness=1, lift=0.6))


def _zip(canvas: Canvas, points: Points) -> None:
    canvas.glaze(canvas.line(points, 2.2), "#15130f", 0.75)
    canvas.glaze(canvas.dashes(points, 1.0, 1, 1), "#cfc8b8", 0.9)


def _stitch(canvas: Canvas, points: Points, colour: str = "#fff3dc") -> None:
    canvas.glaze(canvas.dashes(points, 0.5), lighter(colour, 0.2), 0.8)


def _folds(canvas: Canvas, body: Mask) -> None:
    """Soft creases, without which cloth and leather look like plastic."""
    creases = [[(30, 46), (27, 62), (31, 78)], [(71, 44), (74, 60), (69, 80)], [(52, 44), (50, 56)]]
    for crease in creases:
        mask = clip(canvas.line(smooth([(float(x), float(y)) for x, y in crease], False), 2), body)
        canvas.glaze(mask, "#1a0d05", 0.22, soften=1.6)
