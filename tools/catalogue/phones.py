"""Phones, lying flat: the back with its cameras, and the front with a lit screen."""

from tools.catalogue.canvas import Canvas, Material, clip
from tools.catalogue.colours import darker, lighter, mix
from tools.catalogue.curves import Point, box, ellipse, smooth
from tools.catalogue.palette import Palette

BODY = (27.0, 3.0, 73.0, 97.0)


def draw_phone_back(canvas: Canvas, palette: Palette) -> None:
    """The back of a phone, with a raised square of three cameras."""
    _body(canvas, palette)
    glass = canvas.shape(box(28.2, 4.2, 71.8, 95.8, 7))
    canvas.paint(glass, Material(palette.main, roundness=3, gloss=0.25))
    sweep = smooth([(28, 96), (28, 60), (48, 42), (72, 34), (72, 96)])
    canvas.glaze(clip(canvas.shape(sweep), glass), lighter(palette.main, 0.5), 0.3, soften=5)
    island = Material(mix(palette.main, darker(palette.main, 0.4), 0.3), 1.2, gloss=0.5, lift=1)
    canvas.paint(canvas.shape(box(31.5, 7.5, 52.5, 29.5, 5.5)), island)
    for lens in ((37.3, 13.4), (37.3, 23.6), (46.6, 18.5)):
        _lens(canvas, lens)
    canvas.glaze(canvas.shape(ellipse((46.6, 10.7), 1.3)), "#fff4d0", 0.95)
    canvas.glaze(canvas.text("lumo", (50, 56), 6.2), palette.accent, 0.9)


def draw_phone_duo(canvas: Canvas, palette: Palette) -> None:
    """A phone with two large cameras in a bar across its back."""
    _body(canvas, palette)
    canvas.paint(canvas.shape(box(28.2, 4.2, 71.8, 95.8, 7)), Material(palette.main, 3, gloss=0.15))
    bar = canvas.shape(box(27.2, 14, 72.8, 29))
    canvas.paint(bar, Material(darker(palette.trim, 0.35), roundness=1.5, gloss=0.6, lift=0.9))
    for x in (38.0, 50.0):
        _lens(canvas, (x, 21.5))
    canvas.glaze(canvas.shape(ellipse((61, 21.5), 1.6)), "#fff4d0", 0.95)
    canvas.paint(canvas.shape(ellipse((50, 60), 5)), Material(lighter(palette.main, 0.18), 1))
    canvas.glaze(canvas.text("pico", (50, 60), 4), palette.accent, 0.9)


def draw_phone_front(canvas: Canvas, palette: Palette) -> None:
    """The front of a phone: a wallpaper of hills in the palette, a clock and a row of icons."""
    _body(canvas, palette)
    canvas.paint(canvas.shape(box(28, 4, 72, 96, 7)), Material("#0b0c10", 1.2, gloss=0.5))
    screen = canvas.shape(box(29.6, 5.6, 70.4, 94.4, 5.6))
    canvas.glaze(screen, palette.accent)
    canvas.glaze(clip(canvas.shape(ellipse((58, 46), 9)), screen), lighter(palette.trim, 0.75))
    hills = (
        ([(20, 62), (40, 52), (60, 60), (80, 50), (80, 110), (20, 110)], 0.15),
        ([(20, 70), (36, 66), (56, 72), (80, 62), (80, 110), (20, 110)], 0.45),
        ([(20, 84), (44, 76), (62, 82), (80, 78), (80, 110), (20, 110)], 0.7),
    )
    for hill, share in hills:
        points: list[Point] = [(float(x), float(y)) for x, y in hill]
        ridge = clip(canvas.shape(smooth(points)), screen)
        canvas.glaze(ridge, mix(palette.accent, palette.main, share + 0.3))
    canvas.glaze(canvas.text("10:08", (50, 22), 11), "#ffffff", 0.97)
    canvas.glaze(canvas.text("Friday 14 June", (50, 30.5), 3.6), "#ffffff", 0.9)
    for x, colour in ((36.5, "#f4b942"), (45.5, "#e8563f"), (54.5, "#46b98a"), (63.5, "#4c86e8")):
        canvas.paint(canvas.shape(box(x - 3.1, 85, x + 3.1, 91.2, 1.8)), Material(colour, 1))
    canvas.glaze(canvas.shape(box(45, 7.6, 55, 10, 1.2)), "#050608")
    glint = canvas.shape([(29, 62), (70, 18), (70, 34), (29, 78)])
    canvas.glaze(clip(glint, screen), "#ffffff", 0.07)


def _body(canvas: Canvas, palette: Palette) -> None:
    frame = Material(palette.trim, roundness=1, gloss=0.9, hardness=6)
    canvas.paint(canvas.shape(box(72.4, 24, 74.1, 36, 0.8)), frame)
    canvas.paint(canvas.shapes([box(25.9, 26, 27.6, 33, 0.8), box(25.9, 36, 27.6, 43, 0.8)]), frame)
    canvas.paint(canvas.shape(box(*BODY, 8)), frame)


def _lens(canvas: Canvas, centre: Point) -> None:
    canvas.paint(canvas.shape(ellipse(centre, 4.7)), Material("#b9bec6", 0.8, gloss=0.9, lift=0.4))
    canvas.paint(canvas.shape(ellipse(centre, 4)), Material("#14161c", roundness=1.5, gloss=0.6))
    canvas.paint(canvas.shape(ellipse(centre, 2.2)), Material("#1f2c4d", roundness=1, gloss=0.9))
    canvas.glaze(canvas.shape(ellipse((centre[0] - 0.9, centre[1] - 1.1), 0.6)), "#ffffff", 0.85)
