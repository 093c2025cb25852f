"""Which parts of a file are sent, by its type."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final

from PIL import Image

from core.vision.decode import FORMATS
from service.stripped.chunked import strip_gif, strip_png, strip_webp
from service.stripped.jpeg import strip_jpeg
from service.stripped.parts import Part, Span, UnknownStructureError, joined
from service.stripped.videos import strip_mp4, strip_webm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_ORIENTATION: Final = 0x0112
_TURNED: Final = frozenset(("image/jpeg", "image/png", "image/webp"))
_STRIPS: Final[Mapping[str, Callable[[BinaryIO, int, int], Iterator[Part]]]] = {
    "image/jpeg": strip_jpeg,
    "image/png": strip_png,
    "image/webp": strip_webp,
    "image/gif": strip_gif,
    "image/bmp": lambda _file, size, _orientation: iter((Span(0, size),)),  # has no place for it
    "video/mp4": strip_mp4,
    "video/webm": strip_webm,
}


def strip(file: BinaryIO, size: int, media_type: str, max_pixels: int) -> list[Part] | None:
    """The parts of a file that are sent; None: its type or state asks for encoding it anew."""
    chosen = _STRIPS.get(media_type)
    if chosen is None:
        return None
    try:
        parts = joined(chosen(file, size, 1), size)
        if parts == [Span(0, size)] or media_type not in _TURNED:
            return parts
        orientation = _orientation(file, max_pixels)
        return parts if orientation == 1 else joined(chosen(file, size, orientation), size)
    except UnknownStructureError:
        return None


def _orientation(file: BinaryIO, max_pixels: int) -> int:
    """How the picture is to be turned, 1 to 8; 1: not at all."""
    try:
        file.seek(0)
        with Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > max_pixels:
                return 1  # finding out would decode it
            found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001  # hostile bytes; what cannot be read turns nothing
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1
