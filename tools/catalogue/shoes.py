"""Shoes, seen from the side with the toe to the right: sneaker, runner and boot."""

from tools.catalogue.canvas import Canvas, Material, clip
from tools.catalogue.colours import darker, lighter
from tools.catalogue.curves import Points, between, ellipse, smooth
from tools.catalogue.palette import Palette

UPPER: Points = [
    (10, 70), (10, 70), (9, 57), (11.5, 42), (16, 38), (24, 42), (33, 42.5), (40, 38), (45, 32),
    (50, 33), (58, 42), (69, 50), (80, 54), (89, 59), (93, 67), (93, 71), (93, 71),
]  # fmt: skip
THROAT = ((45.5, 36.0), (67.0, 52.0))  # the line along which a low shoe is laced
LINING: Points = [(13, 41), (20, 37), (33, 35), (46, 29), (44, 36), (34, 45), (22, 45)]
TONGUE: Points = [(41, 37), (45, 25.5), (51, 26), (56, 35), (66, 46), (58, 50), (46, 44)]


def draw_sneaker(canvas: Canvas, palette: Palette) -> None:
    """A low canvas sneaker with a flat rubber sole and a rubber toe."""
    _inside(canvas, palette)
    upper = canvas.shape(smooth(UPPER))
    canvas.paint(upper, Material(palette.main, roundness=5, gloss=0.14, hardness=8))
    heel = canvas.shape(smooth([(4, 36), (17, 34), (20, 50), (24, 74), (4, 76)]))
    canvas.paint(clip(heel, upper), Material(palette.accent, roundness=2.5, lift=0.4))
    wave = smooth([(24, 62), (36, 60), (47, 53), (53, 44), (57, 47), (51, 58), (38, 66), (24, 68)])
    canvas.paint(canvas.shape(wave), Material(palette.accent, roundness=1.2, lift=0.4))
    toe = clip(canvas.shape(ellipse((93, 71), 15, 14)), upper)
    canvas.paint(toe, Material(palette.trim, roundness=4, gloss=0.4))
    _laces(canvas, palette.trim)
    sole = smooth(
        [(8, 67), (8, 67), (50, 69), (94, 67), (94, 67), (95.5, 73), (93, 78), (10, 78), (7, 74)]
    )
    canvas.paint(canvas.shape(sole), Material(palette.trim, roundness=2.2, gloss=0.3, lift=0.5))
    stripe = smooth([(7.5, 74.2), (50, 75), (95, 74.2)], False)
    canvas.glaze(canvas.line(stripe, 1.0), palette.accent, 0.9)
    _stitch(canvas, smooth([(24, 46), (27, 56), (26, 66)], False))
    _stitch(canvas, smooth([(45, 39), (56, 49), (66, 55.5), (76, 58)], False))


def draw_runner(canvas: Canvas, palette: Palette) -> None:
    """A running shoe: mesh upper, overlays, and a thick foam sole that rises at heel and toe."""
    _inside(canvas, palette)
    upper = canvas.shape(smooth(UPPER))
    canvas.paint(upper, Material(palette.main, roundness=6, gloss=0.2, hardness=10))
    holes = [
        ellipse((58 + 3 * i + 1.5 * (j % 2), 54 + 2.6 * j), 0.6)
        for i in range(12)
        for j in range(5)
    ]
    canvas.glaze(clip(canvas.shapes(holes), upper), darker(palette.main, 0.5), 0.6)
    for start, end in ((26, 41), (34, 48), (42, 55)):
        bar = smooth(
            [(start, 69), (start, 69), (end, 48), (end + 4, 49.5), (start + 5, 69), (start + 5, 69)]
        )
        canvas.paint(clip(canvas.shape(bar), upper), Material(palette.accent, 0.9, lift=0.4))
    heel = canvas.shape(smooth([(4, 48), (16, 50), (23, 60), (25, 76), (4, 76)]))
    canvas.paint(clip(heel, upper), Material(darker(palette.main, 0.35), roundness=2, gloss=0.4))
    guard = clip(canvas.shape(ellipse((96, 74), 15, 12)), upper)
    canvas.paint(guard, Material(darker(palette.main, 0.35), roundness=2, gloss=0.3))
    _laces(canvas, palette.accent)
    foam = [(4, 64), (14, 66), (40, 70), (70, 69), (88, 66), (97, 62), (97, 69), (90, 77), (62, 80)]
    sole = canvas.shape(smooth([*foam, (44, 78), (20, 81), (6, 79), (3, 72)]))
    canvas.paint(sole, Material(palette.trim, roundness=3.5, gloss=0.2, lift=0.5))
    groove = smooth([(6, 72), (22, 75), (45, 73.5), (70, 74), (92, 69)], False)
    canvas.glaze(clip(canvas.line(groove, 1.2), sole), palette.accent, 0.95)
    treads = [[(x, 76.0), (x + 2.5, 76), (x + 2.5, 84), (x, 84)] for x in range(8, 88, 5)]
    canvas.glaze(clip(canvas.shapes(treads), sole), "#33302c", 0.3)


def draw_boot(canvas: Canvas, palette: Palette) -> None:
    """A laced ankle boot with a cuff and a deep cleated sole."""
    shaft = [
        (14, 72),
        (14, 72),
        (13, 56),
        (15, 36),
        (14, 15),
        (20, 12),
        (42, 12),
        (48, 15),
        (50, 30),
    ]
    upper = canvas.shape(
        smooth([*shaft, (58, 43), (72, 49), (86, 54), (92, 63), (92, 72), (92, 72)])
    )
    tongue = smooth([(38, 14), (42, 8.5), (50, 9), (53, 17), (50, 30), (44, 26)])
    canvas.paint(canvas.shape(tongue), Material(darker(palette.main, 0.3), roundness=2))
    canvas.paint(upper, Material(palette.main, roundness=6, gloss=0.22, hardness=12))
    cuff = clip(
        canvas.shape(smooth([(8, 6), (55, 6), (55, 18), (50, 21), (30, 22), (8, 22)])), upper
    )
    canvas.paint(cuff, Material(palette.accent, roundness=2.5, lift=0.5))
    toe = canvas.shape(smooth([(72, 78), (70, 62), (76, 53), (96, 50), (99, 78)]))
    canvas.paint(
        clip(toe, upper), Material(darker(palette.main, 0.12), roundness=4, gloss=0.4, lift=0.3)
    )
    heel = canvas.shape(smooth([(6, 46), (19, 46), (26, 58), (28, 78), (6, 78)]))
    canvas.paint(clip(heel, upper), Material(darker(palette.main, 0.12), roundness=3, lift=0.3))
    _stitch(canvas, smooth([(20.5, 47), (27.5, 58), (29.5, 70)], False))
    _stitch(canvas, smooth([(70.5, 71), (68.5, 62), (74, 53)], False))
    _boot_laces(canvas, palette.trim)
    sole = smooth([(11, 70), (11, 70), (50, 71), (93, 70), (93, 70), (95, 75), (92, 79), (12, 79)])
    cleats = [[(x, 77.0), (x + 5, 77), (x + 4.2, 84), (x + 0.8, 84)] for x in range(12, 90, 7)]
    canvas.paint(canvas.shapes(cleats), Material("#2c2622", roundness=1))
    canvas.paint(canvas.shape(sole), Material("#3a322c", roundness=2, lift=0.4))
    _stitch(canvas, smooth([(12, 72.3), (50, 73), (93, 72.3)], False, 40))


def _inside(canvas: Canvas, palette: Palette) -> None:
    canvas.paint(canvas.shape(smooth(LINING)), Material(darker(palette.main, 0.55), roundness=3))
    canvas.paint(canvas.shape(smooth(TONGUE)), Material(darker(palette.main, 0.1), roundness=2.5))


def _laces(canvas: Canvas, colour: str) -> None:
    (x0, y0), (x1, y1) = THROAT
    for x, y in between((x0, y0), (x1, y1), 6):
        canvas.paint(
            canvas.shape(ellipse((x - 3, y + 5.5), 1.0)), Material("#efe7d6", 0.5, gloss=0.8)
        )
        lace = smooth([(x - 3, y + 5.5), (x + 0.5, y + 2), (x + 3, y - 1.8)], False)
        canvas.paint(
            canvas.line(lace, 1.7), Material(lighter(colour, 0.1), roundness=0.7, lift=0.5)
        )


def _boot_laces(canvas: Canvas, colour: str) -> None:
    rows = smooth([(47, 22), (48, 31), (54, 42), (66, 49)], False, 4)
    for x, y in rows[::2]:
        lace = smooth([(x - 8, y + 2.5), (x - 3, y + 2), (x + 1, y - 1.5)], False)
        canvas.paint(canvas.line(lace, 1.6), Material(colour, roundness=0.7, lift=0.5))
        canvas.paint(
            canvas.shape(ellipse((x - 8, y + 2.5), 1.1)), Material("#d8b25a", 0.5, gloss=0.9)
        )


def _stitch(canvas: Canvas, points: Points) -> None:
    canvas.glaze(canvas.dashes(points, 0.45), "#fff6e6", 0.75)
