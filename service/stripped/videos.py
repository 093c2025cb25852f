"""MP4 and WebM: boxes that speak of place, time and maker become empty ones of the same size.

Every other byte stays where it is, for the index of a video counts from the file's beginning.
Telemetry that a camera records as a track of its own, like sound, stays.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO, Final

from service.stripped.parts import Part, Span, UnknownStructureError, blank, exactly

if TYPE_CHECKING:
    from collections.abc import Iterator

_MP4_EMPTIED: Final = frozenset((b"udta", b"meta", b"uuid", b"free", b"skip"))
_MP4_ENTERED: Final = frozenset((b"moov", b"trak"))

_SEGMENT, _CLUSTER = 0x18538067, 0x1F43B675
_WEBM_EMPTIED: Final = frozenset((0x1254C367, 0x1941A469))  # tags, attachments
_VOID: Final = b"\xec"
_WIDEST: Final = 8  # bytes of a size


def strip_mp4(file: BinaryIO, size: int, _orientation: int) -> Iterator[Part]:
    """Empty what users, makers and editors may have written into an MP4."""
    yield from _boxes(file, 0, size)


def _boxes(file: BinaryIO, place: int, end: int) -> Iterator[Part]:
    while place < end:
        if end - place < 8:
            yield blank(end - place)
            return
        length, kind = struct.unpack(">I4s", exactly(file, place, 8))
        head = 8
        if length == 1:
            (length,) = struct.unpack(">Q", exactly(file, place + 8, 8))
            head = 16
        elif length == 0:
            length = end - place
        if not head <= length <= end - place:
            raise UnknownStructureError
        if kind in _MP4_EMPTIED:
            yield Span(place, 4)
            yield b"free"
            yield Span(place + 8, head - 8)
            yield blank(length - head)
        elif kind in _MP4_ENTERED:
            yield Span(place, head)
            yield from _boxes(file, place + head, place + length)
        else:
            yield Span(place, length)
        place += length


def strip_webm(file: BinaryIO, size: int, _orientation: int) -> Iterator[Part]:
    """Empty the tags and attachments of a WebM."""
    place = 0
    while place < size:
        kind, head, length = _element(file, place)
        if kind == _SEGMENT:
            yield Span(place, head)
            place += head
        elif length is None:
            if kind != _CLUSTER:
                raise UnknownStructureError
            yield Span(place, size - place)  # a live recording: nothing stands behind it
            return
        elif length > size - place - head:
            raise UnknownStructureError
        else:
            yield from (
                _void(head + length) if kind in _WEBM_EMPTIED else (Span(place, head + length),)
            )
            place += head + length


def _void(whole: int) -> Iterator[Part]:
    """An empty element that takes just so many bytes."""
    wide = min(_WIDEST, whole - 1)
    inside = whole - 1 - wide
    yield _VOID + (inside | 1 << 7 * wide).to_bytes(wide, "big") + blank(inside)


def _element(file: BinaryIO, place: int) -> tuple[int, int, int | None]:
    """An element's id, the length of its head, and that of its content; None: not told."""
    id_wide = _width(exactly(file, place, 1)[0])
    kind = int.from_bytes(exactly(file, place, id_wide), "big")
    wide = _width(exactly(file, place + id_wide, 1)[0])
    bits = (1 << 7 * wide) - 1
    length = int.from_bytes(exactly(file, place + id_wide, wide), "big") & bits
    return kind, id_wide + wide, None if length == bits else length


def _width(first: int) -> int:
    """How many bytes a number has that begins with this one."""
    if not first:
        raise UnknownStructureError
    return _WIDEST + 1 - first.bit_length()
