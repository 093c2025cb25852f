"""An upload on its way through the model: decoded, cut, prepared, embedded."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from core.errors import UnusableVectorError
from core.vision.decode import DecodeLimits
from service.look_processes import LookProcesses
from service.preparing import prepare_upload

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from numpy.typing import NDArray
    from PIL import Image

    from core.settings import Settings
    from core.vision.embedder import Embedder, Prediction
    from service.batcher import Batcher
    from service.metrics import Metrics
    from service.questions import Crop

T = TypeVar("T")


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
        if embedder.light:
            processes = None if keep_image else await self._processes_for(embedder)
            if processes is not None:
                return Look(None, await processes.look(upload, crop), [])
            image, vector = await self._here(self._looked, embedder, upload, crop)
            return Look(image if keep_image else None, vector, [])
        loop = asyncio.get_running_loop()
        image, pixels = await loop.run_in_executor(
            self._workers, self._prepared, embedder, upload, crop
        )
        kept = image if keep_image else None
        del image  # many megabytes, and the model may have others before it
        seen = await self._batcher.look(embedder, pixels, classes)
        return Look(kept, seen.vector, seen.predictions)

    async def find(
        self,
        embedder: Embedder,
        upload: bytes,
        crop: Crop | None,
        search: Callable[[NDArray[np.float32]], T],
    ) -> T:
        """Look at an encoded picture, or at a part of it, and give what `search` finds with it.

        Raises:
            ImageError: the upload cannot be used.
            ModelError: the model failed on it.
        """
        processes = await self._processes_for(embedder) if embedder.light else None
        if processes is not None:
            vector = await processes.look(upload, crop)
        elif embedder.light:
            return await self._here(self._found, embedder, upload, crop, search)
        else:
            vector = (await self.look(embedder, upload, crop)).vector
        return await asyncio.get_running_loop().run_in_executor(self._workers, search, vector)

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

    async def _here(self, work: Callable[..., T], *of: object) -> T:
        """Do all of the work on a picture in one thread: no second one has to be woken."""
        self._under_way += 1
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._workers, work, time.perf_counter(), *of)
        finally:
            self._under_way -= 1

    def _prepared(
        self, embedder: Embedder, upload: bytes, crop: Crop | None
    ) -> tuple[Image.Image, NDArray[np.uint8]]:
        with self._metrics.stage("decode"):
            return prepare_upload(embedder, upload, self._limits, crop)

    def _looked(
        self, queued_at: float, embedder: Embedder, upload: bytes, crop: Crop | None
    ) -> tuple[Image.Image, NDArray[np.float32]]:
        self._metrics.stage_seconds.labels("queue").observe(time.perf_counter() - queued_at)
        image, pixels = self._prepared(embedder, upload, crop)
        with self._metrics.stage("forward"):
            vector = embedder.embed(pixels[None])[0]
        self._metrics.batch_pictures.observe(1)
        if not np.isfinite(vector).all():
            raise UnusableVectorError
        return image, vector

    def _found(
        self,
        queued_at: float,
        embedder: Embedder,
        upload: bytes,
        crop: Crop | None,
        search: Callable[[NDArray[np.float32]], T],
    ) -> T:
        _, vector = self._looked(queued_at, embedder, upload, crop)
        return search(vector)
