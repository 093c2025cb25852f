"""How a path on disk appears in an answer.

A path may hold bytes that are not UTF-8; inside the program they are surrogate escapes, which JSON
cannot carry. For people they are shown as backslash escapes; the URL carries the exact bytes.
"""

from __future__ import annotations

import os
import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from core.records import STILL

IMAGES_PREFIX: Final = "/api/v1/images/"

_ESCAPED_BYTE: Final = re.compile(r"\\x([89a-f][0-9a-f])")


def shown(text: str) -> str:
    """Text that any JSON can carry: undecodable bytes as backslash escapes."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def spellings(text: str) -> set[str]:
    """The paths that `shown` may have turned into `text`."""
    unescaped = _ESCAPED_BYTE.sub(lambda found: chr(0xDC00 + int(found[1], 16)), text)
    return {text, unescaped}


def filename(path: str) -> str:
    """The last part of a path, for people."""
    return shown(path.rpartition("/")[2])


def image_url(path: str, at_ms: int = STILL) -> str:
    """Where the picture of an item is served; for a video, of one of its moments."""
    url = IMAGES_PREFIX + quote(os.fsencode(path))
    return url if at_ms == STILL else f"{url}?at_ms={at_ms}"


def path_of_url(raw_path: bytes) -> str:
    """The path of an item, from the bytes of a request's path as they came."""
    return os.fsdecode(unquote_to_bytes(raw_path.partition(IMAGES_PREFIX.encode())[2]))
