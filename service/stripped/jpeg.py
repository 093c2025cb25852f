"""JPEG: segments before, between and after the scans."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, BinaryIO, Final

from service.stripped.parts import (
    Part,
    Span,
    UnknownStructureError,
    exactly,
    orientation_exif,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_EOI, _SOS, _COMMENT = 0xD9, 0xDA, 0xFE
_ALONE: Final = frozenset((0x01, *range(0xD0, 0xD8)))  # markers without a length
_APP: Final = range(0xE0, 0xF0)
_KEPT: Final = {0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}  # without them the colours would change
_JFIF: Final = b"JFIF\0"
_JFIF_BYTES: Final = 16  # of the segment, its length included, without a thumbnail
_MARKER: Final = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
_CHUNK_BYTES: Final = 1 << 20


def strip_jpeg(file: BinaryIO, size: int, orientation: int) -> Iterator[Part]:
    """Leave out EXIF, XMP, IPTC, comments, previews, makers' notes and what follows the end."""
    yield Span(0, 2)
    if orientation > 1:
        exif = b"Exif\0\0" + orientation_exif(orientation)
        yield b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    place = 2
    while place < size:
        marker, start = _next_marker(file, place)
        if marker == _EOI:
            yield Span(start - 2, 2)
            return
        if marker in _ALONE:
            yield Span(start - 2, 2)
            place = start
            continue
        (length,) = struct.unpack(">H", exactly(file, start, 2))
        if length < 2:
            raise UnknownStructureError
        yield from _segment(file, marker, start, length)
        place = start + length
        if marker == _SOS:
            end = _end_of_scan(file, place, size)
            yield Span(place, end - place)
            place = end


def _next_marker(file: BinaryIO, place: int) -> tuple[int, int]:
    """A marker and the place after it; any number of fill bytes may stand before."""
    if exactly(file, place, 1) != b"\xff":
        raise UnknownStructureError
    while (byte := exactly(file, place + 1, 1)) == b"\xff":
        place += 1
    return byte[0], place + 2


def _segment(file: BinaryIO, marker: int, start: int, length: int) -> Iterator[Part]:
    if marker == _COMMENT:
        return
    if marker in _APP:
        head = exactly(file, start + 2, min(length - 2, 14))
        if marker == _APP[0] and head.startswith(_JFIF) and length >= _JFIF_BYTES:
            # A JFIF header may hold a thumbnail, of the picture as it was before it was edited.
            yield b"\xff\xe0" + struct.pack(">H", _JFIF_BYTES) + head[:12] + b"\0\0"
            return
        if marker not in _KEPT or not head.startswith(_KEPT[marker]):
            return
    yield Span(start - 2, length + 2)


def _end_of_scan(file: BinaryIO, place: int, size: int) -> int:
    """Where the first marker after the compressed data begins."""
    while place < size:
        file.seek(place)
        chunk = file.read(_CHUNK_BYTES)
        found = _MARKER.search(chunk)
        if found:
            return place + found.start()
        if len(chunk) < _CHUNK_BYTES:
            break
        place += len(chunk) - 1  # a marker may lie across the border
    return size
