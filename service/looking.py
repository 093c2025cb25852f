"""An upload on its way through the model: decoded, cut, prepared, embedded."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.errors import UnusableVectorError
from core.vision.decode import DecodeLimits
from service.look_processes import LookProcesses
from service.preparing import prepare_upload

if TYPE_CHECKING:
    from concurrent.futures import Executor

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
    """Looks at uploads with the model of the search, a light one in processes of their own."""

    def __init__(
        self, settings: Settings, batcher: Batcher, workers: Executor, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._limits = DecodeLimits.for_uploads(settings)
        self._batcher = batcher
        self._workers = workers
        self._metrics = metrics
        self._under_way = 0  # looks in this process
        self.processes: LookProcesses | None = None  # of a light model, once it is asked much

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
        if embedder.light and not keep_image:
            processes = await self._processes_for(embedder)
            if processes is not None:
                return Look(None, await processes.look(upload, crop), [])
        self._under_way += 1
        try:
            return await self._look_here(embedder, upload, crop, classes, keep_image=keep_image)
        finally:
            self._under_way -= 1

    @property
    def waiting(self) -> int:
        """How many pictures wait for the model, or for a process that runs it."""
        return self._batcher.waiting + (self.processes.waiting if self.processes else 0)

    async def close(self) -> None:
        """End the processes of a light model."""
        processes, self.processes = self.processes, None
        if processes is not None:
            await processes.close()

    async def _processes_for(self, embedder: Embedder) -> LookProcesses | None:
        """The processes of a light model, which start with its second picture at once."""
        held = self.processes
        if held is not None and held.fingerprint != embedder.fingerprint:
            if held.busy:
                return None
            await self.close()
        if self.processes is None and self._under_way:
            self.processes = LookProcesses(self._settings, embedder, self._metrics)
        if self.processes is None or self.processes.pids:
            return self.processes
        self.processes.start()
        return None

    async def _look_here(
        self,
        embedder: Embedder,
        upload: bytes,
        crop: Crop | None,
        classes: int,
        *,
        keep_image: bool,
    ) -> Look:
        loop = asyncio.get_running_loop()
        if embedder.light:  # and needs no other thread, which would have to be woken
            image, vector = await loop.run_in_executor(
                self._workers, self._looked, embedder, upload, crop, time.perf_counter()
            )
            return Look(image if keep_image else None, vector, [])
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
            return prepare_upload(embedder, upload, self._limits, crop)

    def _looked(
        self, embedder: Embedder, upload: bytes, crop: Crop | None, queued_at: float
    ) -> tuple[Image.Image, NDArray[np.float32]]:
        self._metrics.stage_seconds.labels("queue").observe(time.perf_counter() - queued_at)
        image, pixels = self._prepared(embedder, upload, crop)
        with self._metrics.stage("forward"):
            vector = embedder.embed(pixels[None])[0]
        self._metrics.batch_pictures.observe(1)
        if not np.isfinite(vector).all():
            raise UnusableVectorError
        return image, vector
