"""Colours as ``#rrggbb`` strings, and the few sums done with them."""

from PIL import ImageColor

RGB = tuple[int, int, int]


def rgb(colour: str) -> RGB:
    """Return the red, green and blue of a colour, 0 to 255."""
    red, green, blue = ImageColor.getrgb(colour)[:3]
    return red, green, blue


def mix(colour: str, other: str, share: float) -> str:
    """Return the colour with ``share`` (0 to 1) of it replaced by the other."""
    pairs = zip(rgb(colour), rgb(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def lighter(colour: str, share: float) -> str:
    """Return the colour moved towards white."""
    return mix(colour, "#ffffff", share)


def darker(colour: str, share: float) -> str:
    """Return the colour moved towards a warm black, as shadows on real things are."""
    return mix(colour, "#120c08", share)
