"""A file as the parts that are sent of it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MOST_LITERAL_BYTES: Final = 32_000_000
_CHUNK_BYTES: Final = 262_144


class UnknownStructureError(Exception):
    """The file is not put together as its format says."""


@dataclass(frozen=True)
class Span:
    """Bytes of the file itself."""

    start: int
    length: int


Part: TypeAlias = Span | bytes
"""A piece of the file, or bytes in the place of one."""


def blank(length: int) -> bytes:
    """Zeros in the place of something."""
    if not 0 <= length <= _MOST_LITERAL_BYTES:
        raise UnknownStructureError
    return bytes(length)


def exactly(file: BinaryIO, start: int, length: int) -> bytes:
    """Some bytes of the file, all of them."""
    file.seek(start)
    found = file.read(length)
    if len(found) != length:
        raise UnknownStructureError
    return found


def joined(parts: Iterable[Part], size: int) -> list[Part]:
    """The same with neighbours put together, and nothing beyond the file's end."""
    made = list[Part]()
    for whole in parts:
        part = whole
        if isinstance(part, Span):
            part = Span(part.start, max(0, min(part.length, size - part.start)))
        last = made[-1] if made else None
        if isinstance(part, Span) and isinstance(last, Span):
            if last.start + last.length == part.start:
                made[-1] = Span(last.start, last.length + part.length)
                continue
        elif isinstance(part, bytes) and isinstance(last, bytes):
            made[-1] = last + part
            continue
        made.append(part)
    return made


def total(parts: Iterable[Part]) -> int:
    """How many bytes they are."""
    return sum(part.length if isinstance(part, Span) else len(part) for part in parts)


def read_parts(file: BinaryIO, parts: Iterable[Part], first: int, last: int) -> Iterator[bytes]:
    """The bytes from place `first` to place `last`, both included, in pieces of bounded size."""
    place = 0
    for part in parts:
        length = part.length if isinstance(part, Span) else len(part)
        begin, end = max(first - place, 0), min(last + 1 - place, length)
        place += length
        if begin >= end:
            continue
        if isinstance(part, bytes):
            yield part[begin:end]
            continue
        file.seek(part.start + begin)
        left = end - begin
        while left and (piece := file.read(min(left, _CHUNK_BYTES))):
            left -= len(piece)
            yield piece


def orientation_exif(orientation: int) -> bytes:
    """An EXIF block that says how to turn the picture, and nothing else."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"II*\x00" + struct.pack("<IH", 8, 1) + entry + bytes(4)
