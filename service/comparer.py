"""Two uploads compared: how alike the model finds them, and where their pixels differ."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import ImageError
from core.vision.decode import DecodeLimits, decode_image
from service.heatmap import heat_map
from service.vectors import cosine

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from PIL import Image

    from core.settings import Settings
    from service.pairs import PairScorer


@dataclass(frozen=True)
class Comparison:
    """What there is to say of two pictures."""

    similarity: float  # cosine of their vectors, -1 to 1
    heat_map: bytes  # PNG


@dataclass(frozen=True)
class Upload:
    """An encoded picture and the name of the field it came in."""

    field: str
    content: bytes


class Comparer:
    """Compares two uploads with the pair model."""

    def __init__(self, settings: Settings, pairs: PairScorer, workers: Executor) -> None:
        self._limits = DecodeLimits.for_uploads(settings)
        self._pairs = pairs
        self._workers = workers

    async def compare(self, first: Upload, second: Upload) -> Comparison:
        """Compare two uploads.

        Raises:
            ImageError: one of them cannot be used; the message begins with its field.
            ModelError: the model failed.
            NotReadyError: no model has been loaded yet.
        """
        loop = asyncio.get_running_loop()
        vectors = self._pairs.vectors()
        image = await loop.run_in_executor(self._workers, self._decode, first)
        other_image = await loop.run_in_executor(self._workers, self._decode, second)
        drawing = loop.run_in_executor(self._workers, heat_map, image, other_image)
        vector, other_vector = await asyncio.gather(
            vectors.embed(await vectors.prepare(first.content, image)),
            vectors.embed(await vectors.prepare(second.content, other_image)),
        )
        return Comparison(cosine(vector, other_vector), await drawing)

    def _decode(self, upload: Upload) -> Image.Image:
        try:
            return decode_image(upload.content, self._limits)
        except ImageError as error:
            raise type(error)(f"{upload.field}: {error}") from error
