"""T-shirts, laid flat: striped, with a printed sun, with a chest pocket."""

from tools.catalogue.canvas import Canvas, Mask, Material, clip
from tools.catalogue.colours import darker
from tools.catalogue.curves import Points, between, box, ellipse, smooth, star
from tools.catalogue.palette import Palette

HALF: Points = [
    (50, 19), (58, 17.5), (63, 12), (63, 12), (76, 17), (82, 21), (94, 41), (94, 41),
    (81, 48), (81, 48), (75, 39), (75, 39), (75.5, 65), (77, 91), (77, 91), (64, 92.5), (50, 93),
]  # fmt: skip


def draw_striped_shirt(canvas: Canvas, palette: Palette) -> None:
    """Stripes across the body and along the sleeves."""
    shirt = _shirt(canvas, palette.main)
    torso = clip(canvas.shape(box(25, 10, 75, 99)), shirt)
    stripes = [box(10, y, 90, y + 2.6) for y in range(25, 92, 7)]
    canvas.glaze(clip(canvas.shapes(stripes), torso), palette.accent, 0.95)
    for side in (-1, 1):
        for reach in (0, 6.5, 13):
            x, y = 50 + side * (88 - 50 - reach), 45 - reach * 1.05
            band = canvas.line([(x - side * 10, y + 5), (x + side * 8, y - 8)], 2.4)
            sleeve = clip(
                canvas.shape(
                    box(50 + side * 25 if side > 0 else 0, 0, 100 if side > 0 else 25, 60)
                ),
                shirt,
            )
            canvas.glaze(clip(band, sleeve), palette.accent, 0.95)
    _finish(canvas, palette, shirt)


def draw_sun_shirt(canvas: Canvas, palette: Palette) -> None:
    """A sun over three waves, printed on the chest."""
    shirt = _shirt(canvas, palette.main)
    canvas.glaze(canvas.shape(star((50, 42), 14, 10.4, 18)), palette.accent, 0.95)
    canvas.glaze(canvas.shape(ellipse((50, 42), 8.8)), palette.main)
    canvas.glaze(canvas.shape(ellipse((50, 42), 7.4)), palette.accent, 0.95)
    for row in range(3):
        y = 61 + row * 4.4
        wave: Points = [(35 + 5 * i, y + (1.5 if i % 2 else -1.5)) for i in range(7)]
        canvas.glaze(canvas.line(smooth(wave, False), 1.7), palette.trim, 0.95)
    _finish(canvas, palette, shirt)


def draw_pocket_shirt(canvas: Canvas, palette: Palette) -> None:
    """A plain shirt with a chest pocket and a contrasting hem."""
    shirt = _shirt(canvas, palette.main)
    pocket: Points = [(55, 37), (68, 37), (68, 51), (61.5, 55), (55, 51)]
    canvas.paint(canvas.shape(pocket), Material(palette.accent, roundness=1, lift=0.5))
    canvas.glaze(canvas.line([(55, 39), (68, 39)], 0.5), darker(palette.accent, 0.5), 0.5)
    _finish(canvas, palette, shirt)


def _shirt(canvas: Canvas, colour: str) -> Mask:
    back = smooth([(37, 12), (50, 14.5), (63, 12), (60, 18), (50, 21), (40, 18)])
    canvas.paint(canvas.shape(back), Material(darker(colour, 0.4), roundness=2))
    other = [(100 - x, y) for x, y in reversed(HALF[1:-1])]
    shirt = canvas.shape(smooth([*HALF, *other]))
    canvas.paint(shirt, Material(colour, roundness=4, relief=0.8, gloss=0.05))
    return shirt


def _finish(canvas: Canvas, palette: Palette, shirt: Mask) -> None:
    """Add what lies over any print: folds, seams and the collar."""
    for crease in _creases():
        dark = clip(canvas.line(smooth(crease, False), 2.2), shirt)
        canvas.glaze(dark, "#0b0e16", 0.24, soften=1.5)
        lit = [(x - 2.4, y - 0.6) for x, y in crease]
        canvas.glaze(clip(canvas.line(smooth(lit, False), 1.8), shirt), "#ffffff", 0.2, soften=1.4)
    for side in (-1, 1):
        armhole = smooth([(50 + side * 18, 14), (50 + side * 23, 25), (50 + side * 25, 39)], False)
        canvas.glaze(clip(canvas.line(armhole, 0.7), shirt), "#0b0e16", 0.4)
        cuff = between((50 + side * 42, 39), (50 + side * 30, 45.5), 40)
        canvas.glaze(clip(canvas.dashes(cuff, 0.4), shirt), "#0b0e16", 0.45)
    canvas.glaze(clip(canvas.dashes(between((22, 89), (78, 89), 90), 0.4), shirt), "#0b0e16", 0.45)
    neck: Points = [(37.2, 12.2), (42, 17.6), (50, 19.6), (58, 17.6), (62.8, 12.2)]
    collar = canvas.line(smooth(neck, False), 2.8)
    canvas.paint(collar, Material(palette.trim, roundness=1, lift=0.5))


def _creases() -> list[Points]:
    return [
        [(73, 42), (67, 50), (64, 62)],
        [(27, 42), (33, 51), (35, 66)],
        [(34, 90), (37, 78), (35, 68)],
        [(60, 91), (57, 80), (60, 70)],
        [(80, 26), (80, 34), (85, 40)],
        [(20, 26), (21, 34), (16, 41)],
    ]
