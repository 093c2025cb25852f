"""An upload on its way through the model: decoded, cut, prepared, embedded."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.vision.decode import DecodeLimits, decode_image

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from core.settings import Settings
    from core.vision.embedder import Embedder, Prediction
    from service.batcher import Batcher
    from service.metrics import Metrics
    from service.questions import Crop


@dataclass(frozen=True, eq=False)
class Look:
    """A picture and what the model makes of it."""

    image: Image.Image | None  # RGB, the part that was asked for; None: not kept
    vector: NDArray[np.float32]  # [d], unit length
    predictions: list[Prediction]  # of the model's own classes, as many as were asked for


class Looker:
    """Looks at uploads with the model of the search."""

    def __init__(
        self, settings: Settings, batcher: Batcher, workers: Executor, metrics: Metrics
    ) -> None:
        self._limits = DecodeLimits.for_uploads(settings)
        self._batcher = batcher
        self._workers = workers
        self._metrics = metrics

    async def look(
        self,
        embedder: Embedder,
        upload: bytes,
        crop: Crop | None = None,
        *,
        classes: int = 0,
        keep_image: bool = False,
    ) -> Look:
        """Look at an encoded picture, or at a part of it.

        Raises:
            ImageError: the upload cannot be used.
            ModelError: the model failed on it.
        """
        loop = asyncio.get_running_loop()
        image, pixels = await loop.run_in_executor(
            self._workers, self._prepared, embedder, upload, crop
        )
        kept = image if keep_image else None
        del image  # many megabytes, and the model may have others before it
        seen = await self._batcher.look(embedder, pixels, classes)
        return Look(kept, seen.vector, seen.predictions)

    def _prepared(
        self, embedder: Embedder, upload: bytes, crop: Crop | None
    ) -> tuple[Image.Image, NDArray[np.uint8]]:
        with self._metrics.stage("decode"):
            detail = embedder.preprocessing.detail
            if crop is None:
                image = decode_image(upload, self._limits, detail)
            else:
                image = crop.cut(decode_image(upload, self._limits, crop.detail_of_whole(detail)))
            return image, embedder.prepare(image)
