"""What a client may ask of a search, beside the picture or text itself."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Self

from service.errors import MalformedFilterError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from PIL import Image

    from core.store.view import Filters


class GroupBy(StrEnum):
    """What a match may stand for, other than one photo."""

    PRODUCT = "product"


@dataclass(frozen=True)
class Question:
    """What is asked about one vector."""

    top_k: int
    threshold: float | None = None  # None: the operator's choice, else the model's own
    filters: Filters = field(default_factory=dict)
    by_product: bool = False  # one match for each product: its best photo
    facets: bool = False  # count the attribute values of every match
    excluded: frozenset[int] = frozenset()  # items that shall not be found


def parse_filters(texts: Iterable[str]) -> Filters:
    """Read `key:value` texts, split at the first colon: any of a key's values, and every key.

    Raises:
        MalformedFilterError: one has no colon.
    """
    filters: dict[str, list[str]] = {}
    for text in texts:
        key, colon, value = text.partition(":")
        if not colon or not key:
            raise MalformedFilterError(text)
        filters.setdefault(key, []).append(value)
    return dict(filters)


@dataclass(frozen=True)
class Crop:
    """A part of a picture, its edges as shares of width and height from the top left."""

    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `x0,y0,x1,y1`.

        Raises:
            ValueError: it is of another form; the message says what is wrong.
        """
        try:
            edges = [float(part) for part in text.split(",")]
        except ValueError:
            edges = []
        if len(edges) != 4:
            raise ValueError("crop must be four numbers, x0,y0,x1,y1")
        return cls.of(*edges)

    @classmethod
    def of(cls, left: float, top: float, right: float, bottom: float) -> Self:
        """Take edges that lie inside the picture and in order.

        Raises:
            ValueError: they do not.
        """
        # NaN is neither below nor above: every comparison is one that must hold.
        if not all(0 <= edge <= 1 for edge in (left, top, right, bottom)):
            raise ValueError("crop must lie inside the picture: each number from 0 to 1")
        if not (left < right and top < bottom):
            raise ValueError("crop is empty or inverted: x0 must be below x1, y0 below y1")
        return cls(left, top, right, bottom)

    def detail_of_whole(self, detail: int) -> int:
        """Pixels that both sides of a picture need, for those of the part to have `detail`."""
        return math.ceil(detail / min(self.right - self.left, self.bottom - self.top))

    def cut(self, image: Image.Image) -> Image.Image:
        """Give the part of a picture, a pixel wide and high at least."""
        width, height = image.size
        left = min(math.floor(self.left * width), width - 1)
        top = min(math.floor(self.top * height), height - 1)
        right = max(math.ceil(self.right * width), left + 1)
        bottom = max(math.ceil(self.bottom * height), top + 1)
        return image.crop((left, top, right, bottom))


WHOLE: Final = Crop(0.0, 0.0, 1.0, 1.0)
"""All of a picture."""
