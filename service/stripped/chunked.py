"""PNG, WebP and GIF: files of chunks, of which some are left out."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, BinaryIO, Final

from service.stripped.parts import (
    Part,
    Span,
    UnknownStructureError,
    exactly,
    orientation_exif,
    total,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_PNG_KEPT: Final = frozenset(
    b"IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB iCCP sBIT bKGD pHYs cICP mDCV cLLI acTL fcTL "
    b"fdAT".split()
)
_WEBP_KEPT: Final = frozenset((b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP"))
_WEBP_EXIF, _WEBP_XMP = 0x08, 0x04  # flags of VP8X
_GIF_LOOPS: Final = frozenset((b"NETSCAPE2.0", b"ANIMEXTS1.0"))


def strip_png(file: BinaryIO, size: int, orientation: int) -> Iterator[Part]:
    """Leave out EXIF, texts, times, unknown chunks and what follows the end."""
    yield Span(0, 8)
    place = 8
    while place < size:
        length, kind = struct.unpack(">I4s", exactly(file, place, 8))
        whole = length + 12
        if kind in _PNG_KEPT:
            yield Span(place, min(whole, size - place))
        if kind == b"IHDR" and orientation > 1:
            body = b"eXIf" + orientation_exif(orientation)
            yield struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        if kind == b"IEND":
            return
        place += whole


def strip_webp(file: BinaryIO, size: int, orientation: int) -> Iterator[Part]:
    """Leave out EXIF, XMP, unknown chunks and what follows the end."""
    kept = list(_webp_chunks(file, size, orientation))
    yield b"RIFF" + struct.pack("<I", total(kept) + 4) + b"WEBP"
    yield from kept


def _webp_chunks(file: BinaryIO, size: int, orientation: int) -> Iterator[Part]:
    (told,) = struct.unpack("<I", exactly(file, 4, 4))
    end = min(size, told + 8)
    place = 12
    while place + 8 <= end:
        kind, length = struct.unpack("<4sI", exactly(file, place, 8))
        whole = 8 + length + length % 2
        if kind == b"VP8X":
            if not length:
                raise UnknownStructureError
            body = bytearray(exactly(file, place + 8, length))
            body[0] &= ~(_WEBP_EXIF | _WEBP_XMP)
            body[0] |= _WEBP_EXIF if orientation > 1 else 0
            yield struct.pack("<4sI", kind, length) + bytes(body) + bytes(length % 2)
        elif kind in _WEBP_KEPT:
            yield Span(place, min(whole, end - place))
        place += whole
    if orientation > 1:
        exif = orientation_exif(orientation)
        yield struct.pack("<4sI", b"EXIF", len(exif)) + exif


def strip_gif(file: BinaryIO, size: int, _orientation: int) -> Iterator[Part]:
    """Leave out comments, applications' blocks and what follows the end."""
    place = 13 + _table_bytes(exactly(file, 10, 1)[0])
    yield Span(0, place)
    while place < size:
        start = place
        kind = exactly(file, place, 1)
        if kind == b";":
            yield Span(place, 1)
            return
        if kind == b",":
            data = place + 10 + _table_bytes(exactly(file, place + 9, 1)[0]) + 1
            place = _after_blocks(file, data, size)
            kept = True
        elif kind == b"!":
            label = exactly(file, place + 1, 1)[0]
            place = _after_blocks(file, place + 2, size)
            loops = label == 0xFF and exactly(file, start + 3, 11) in _GIF_LOOPS
            kept = loops or label in (0xF9, 0x01)  # how a frame is shown; text that is drawn
        else:
            raise UnknownStructureError
        if kept:
            yield Span(start, place - start)


def _table_bytes(flags: int) -> int:
    """Size of the colour table that flags speak of."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_blocks(file: BinaryIO, place: int, size: int) -> int:
    """The place after a row of blocks, each led by its length, the last of length 0."""
    while place < size:
        length = exactly(file, place, 1)[0]
        place += 1 + length
        if not length:
            return place
    return size
