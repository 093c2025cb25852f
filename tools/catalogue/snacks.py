"""Snacks: a pillow packet of crisps or nuts, and a wrapped chocolate bar."""

from tools.catalogue.canvas import Canvas, Mask, Material, clip
from tools.catalogue.colours import darker, lighter
from tools.catalogue.curves import Point, Points, box, ellipse, leaf, move, smooth, star
from tools.catalogue.palette import Palette


def draw_crisps(canvas: Canvas, palette: Palette) -> None:
    """A packet of crisps: a curved band, a brand and a heap of crisps."""
    packet = _packet(canvas, palette)
    _band(canvas, palette, packet)
    _brand(canvas, "Krispo", 33)
    for x, y, turn in ((38, 70, -18), (61, 71, 14), (50, 62, 8), (45, 78, 24), (57, 80, -20)):
        _crisp(canvas, (float(x), float(y)), turn)
    canvas.glaze(canvas.text("crunchy", (50, 46), 5), palette.main, 0.95)
    _crimp(canvas, packet)


def draw_nuts(canvas: Canvas, palette: Palette) -> None:
    """A packet of nuts, with a round window."""
    packet = _packet(canvas, palette)
    _brand(canvas, "Nutto", 27)
    canvas.paint(
        canvas.shape(ellipse((50, 58), 21)), Material(palette.accent, roundness=1, lift=0.3)
    )
    window = canvas.shape(ellipse((50, 58), 18.5))
    canvas.glaze(window, "#5a3216")
    for row in range(7):
        for column in range(6):
            place = (34 + column * 6.6 + 3.2 * (row % 2), 40 + row * 5.8)
            nut = canvas.shape(ellipse(place, 3.9, 2.5, (row * 47 + column * 71) % 180))
            canvas.paint(clip(nut, window), Material("#d79a55", roundness=1.3, gloss=0.3, lift=0.5))
    canvas.glaze(canvas.text("roasted", (50, 84), 5), palette.accent, 0.95)
    _crimp(canvas, packet)


def draw_biscuits(canvas: Canvas, palette: Palette) -> None:
    """A packet of biscuits: a sunburst behind one large biscuit, and a leaf."""
    packet = _packet(canvas, palette)
    rays = canvas.shape(star((50, 64), 60, 18, 14))
    canvas.glaze(clip(rays, packet), lighter(palette.main, 0.35), 0.6)
    canvas.paint(canvas.shape(star((50, 64), 19, 17.4, 22)), Material("#dba75f", 2.4, lift=1))
    canvas.paint(canvas.shape(ellipse((50, 64), 14)), Material("#e6b873", roundness=1.2))
    holes = [ellipse((50.0 + x, 64.0 + y), 0.9) for x in (-7, 0, 7) for y in (-7, 0, 7)]
    canvas.glaze(canvas.shapes(holes), "#8f5a20", 0.8)
    _brand(canvas, "Mellin", 29)
    canvas.paint(canvas.shape(leaf((66, 84), 14, 6, -30)), Material(palette.accent, 1.4, lift=0.4))
    _crimp(canvas, packet)


def draw_chocolate(canvas: Canvas, palette: Palette) -> None:
    """A chocolate bar, its paper sleeve pushed down so that the squares show."""
    squares = canvas.shape(box(27, 5, 73, 50, 2))
    canvas.paint(squares, Material("#3d2013", roundness=1, gloss=0.3))
    for row in range(3):
        for column in range(3):
            x, y = 28.5 + column * 14.6, 6.5 + row * 11.5
            piece = canvas.shape(box(x, y, x + 13.4, y + 10.4, 1.2))
            canvas.paint(piece, Material("#5b3019", roundness=1.5, gloss=0.45, lift=0.4))
    foil: Points = [
        (24, 41),
        (29, 38),
        (35, 42),
        (42, 37.5),
        (50, 41),
        (58, 37),
        (65, 41.5),
        (71, 38),
        (76, 41),
    ]
    canvas.paint(
        canvas.shape([*foil, (75, 52), (25, 52)]), Material("#d9dbe0", 1.2, gloss=0.9, lift=0.8)
    )
    sleeve = canvas.shape(box(24.5, 45, 75.5, 96, 1))
    canvas.paint(sleeve, Material(palette.main, roundness=2, gloss=0.25, lift=0.5))
    wave: Points = [(20, 80), (38, 74), (58, 80), (80, 72), (80, 100), (20, 100)]
    canvas.glaze(clip(canvas.shape(smooth(wave)), sleeve), palette.accent, 0.95)
    canvas.glaze(canvas.text("Velour", (50, 60), 12), palette.trim, 0.97)
    canvas.glaze(canvas.text("dark 70%", (50, 69.5), 4.6), palette.trim, 0.85)


def _packet(canvas: Canvas, palette: Palette) -> Mask:
    """Paint a swollen foil packet with toothed ends, and return where it is."""
    teeth = [21 + 58 * i / 28 for i in range(29)]
    top: Points = [(x, 5.0 if i % 2 else 6.8) for i, x in enumerate(teeth)]
    bottom: Points = [(x, 95.0 if i % 2 else 93.2) for i, x in enumerate(teeth)]
    right = smooth([(79, 12), (81.5, 30), (82, 50), (81.5, 70), (79, 88)], False)
    left = [(100 - x, y) for x, y in reversed(right)]
    packet = canvas.shape([*top, *right, *reversed(bottom), *left])
    canvas.paint(packet, Material(palette.main, roundness=6, gloss=0.5, hardness=9))
    return packet


def _crimp(canvas: Canvas, packet: Mask) -> None:
    """Press the ends flat and add the creases and shine of foil."""
    for y in (8.2, 9.8, 11.4, 88.6, 90.2, 91.8):
        seam = clip(canvas.line([(18, y), (82, y)], 0.5), packet)
        canvas.glaze(seam, "#000000", 0.22)
    for start, end in (
        ((30, 14), (34, 24)),
        ((70, 14), (65, 25)),
        ((31, 86), (36, 77)),
        ((69, 86), (65, 78)),
    ):
        canvas.glaze(canvas.line([start, end], 1.2), "#1a0c04", 0.3, soften=0.9)
        lit = [(x - 1.8, y) for x, y in (start, end)]
        canvas.glaze(canvas.line(lit, 1.0), "#ffffff", 0.4, soften=0.8)
    canvas.glaze(canvas.line([(24.5, 18), (22.5, 50), (24.5, 80)], 1.8), "#ffffff", 0.5, soften=1.2)


def _band(canvas: Canvas, palette: Palette, packet: Mask) -> None:
    band = smooth([(10, 25), (50, 20), (90, 25), (90, 47), (50, 53), (10, 47)])
    canvas.paint(clip(canvas.shape(band), packet), Material(palette.accent, roundness=1, lift=0.3))


def _brand(canvas: Canvas, name: str, y: float) -> None:
    canvas.glaze(canvas.text(name, (50.7, y + 0.8), 14), "#1c0d06", 0.4)
    canvas.glaze(canvas.text(name, (50, y), 14), "#ffffff", 0.98)


def _crisp(canvas: Canvas, place: Point, turn_deg: float) -> None:
    crisp = canvas.shape(ellipse(place, 12.5, 8, turn_deg))
    canvas.paint(crisp, Material("#f0bf4c", roundness=3, gloss=0.25, lift=0.9))
    for offset in range(-10, 11, 4):
        ridge = move(((offset, -8.0), (offset + 1.0, 0.0), (offset, 8.0)), place, turn_deg)
        canvas.glaze(clip(canvas.line(ridge, 1.1), crisp), darker("#f0bf4c", 0.4), 0.45)
