"""What a row of a collection holds, and how names and keys become its fields."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core.store.index.milvus.filters import marks_of, tags_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOMENT_BITS: Final = 31
MOST_TAGS: Final = 3_600  # of a row: an array has room for 4,096, a text for 3,640
MOST_TEXT_BYTES: Final = 65_535  # of a text field, and of a JSON field
_LEAST_LENGTH, _MOST_LENGTH = 0.9, 1.1  # of a unit vector that float16 has rounded

VECTOR: Final = "vector"
SCALARS: Final = (
    "pk",
    "item",
    "at_ms",
    "path",
    "path_key",
    "md5",
    "content",
    "product",
    "tags",
    "attributes",
    "marks",
)


@dataclass(frozen=True)
class Row:
    """One entry as a collection holds it."""

    key: int
    vector: NDArray[np.float32]  # [d], unit length
    item_id: int
    at_ms: int = -1
    path: str = ""
    md5: bytes = b""
    product_id: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    ambiguous: bool = False
    stale: bool = False

    def fields(self, *, tags_as_text: bool) -> dict[str, Any]:
        """The row as the engine takes it."""
        return {VECTOR: self.vector, **self.scalars(tags_as_text=tags_as_text)}

    def scalars(self, *, tags_as_text: bool) -> dict[str, Any]:
        """The fields beside the vector."""
        tags = tags_of(self.attributes)
        return {
            "pk": self.key,
            "item": self.item_id,
            "at_ms": self.at_ms,
            "path": text_of_path(self.path),
            "path_key": path_key(self.path),
            "md5": self.md5.hex(),
            "content": content_key(self.md5),
            "product": self.product_id,
            "tags": marks_of(tags) if tags_as_text else tags,
            "attributes": self.attributes,
            "marks": {"ambiguous": self.ambiguous, "stale": self.stale},
        }

    def objection(self) -> str | None:
        """Why the engine must not have this row; None: it may."""
        objections = {
            "its vector is not finite or not of unit length": not is_unit(self.vector),
            f"its attributes take more than {MOST_TEXT_BYTES} bytes": _bytes_of(
                json.dumps(self.attributes, ensure_ascii=False)
            )
            > MOST_TEXT_BYTES,
            f"it has more than {MOST_TAGS // 2} attributes": 2 * len(self.attributes) > MOST_TAGS,
            f"its product takes more than {MOST_TEXT_BYTES} bytes": _bytes_of(self.product_id)
            > MOST_TEXT_BYTES,
            f"its path takes more than {MOST_TEXT_BYTES} bytes": _bytes_of(text_of_path(self.path))
            > MOST_TEXT_BYTES,
        }
        return next((text for text, holds in objections.items() if holds), None)


def key_of(item_id: int, at_ms: int) -> int:
    """The primary key of an entry: its item, and the moment where it is a video's.

    The same entry has the same key for ever, so writing it twice leaves one row.
    """
    return (item_id << _MOMENT_BITS) | (at_ms + 1)


def keys_of_items(first: int, after: int) -> tuple[int, int]:
    """The range of keys `[low, high)` of the items from `first` to before `after`."""
    return first << _MOMENT_BITS, after << _MOMENT_BITS


def is_unit(vector: NDArray[np.float32]) -> bool:
    """Whether a vector is finite and of unit length, as far as float16 lets it be."""
    length = float(np.linalg.norm(vector))  # NaN compares as false
    return bool(_LEAST_LENGTH <= length <= _MOST_LENGTH)


def path_key(path: str) -> int:
    """A number that stands for a path in expressions; the path itself is compared afterwards."""
    digest = hashlib.blake2b(path.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def content_key(md5: bytes) -> int:
    """A number that stands for a picture's bytes in expressions; the MD5 is compared afterwards."""
    return int.from_bytes(md5[:8], "big", signed=True)


def text_of_path(path: str) -> str:
    """A path as UTF-8 text: bytes that are none, and the percent sign, as `%` and two digits."""
    return re.sub("[%\udc80-\udcff]", lambda found: f"%{ord(found[0]) & 0xFF:02X}", path)


def path_of_text(text: str) -> str:
    """The path that `text_of_path` made `text` of."""

    def byte(found: re.Match[str]) -> str:
        return bytes((int(found[1], 16),)).decode("utf-8", "surrogateescape")

    return re.sub("%([0-9A-F]{2})", byte, text)


def collection_name(prefix: str, fingerprint: str, store_id: str) -> str:
    """The name of the collection of one space of one store: letters, digits, underscores."""
    named = hashlib.blake2b(f"{fingerprint} {store_id}".encode(), digest_size=8).hexdigest()
    return f"{prefix}_{named}"


def _bytes_of(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
