"""Concurrent uploads share forward passes of the model.

One thread runs the model. While a forward pass goes on, uploads queue; the next pass takes all of
them, up to the batch size. Nobody waits for company: a lone upload starts at once.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from core.errors import LookalikeError, ModelError, UnusableVectorError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.vision.embedder import Embedder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Job:
    """One picture on its way through the model."""

    embedder: Embedder
    pixels: NDArray[np.uint8]  # [size, size, 3]
    vector: Future[NDArray[np.float32]] = field(default_factory=Future)  # [d], unit length


class Batcher:
    """The queue before the model and the thread that runs it."""

    def __init__(self, batch_size: int) -> None:
        self.forwards = 0  # passes so far
        self.pictures = 0  # pictures so far
        self._batch_size = batch_size
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)

    def start(self) -> None:
        """Begin to take jobs."""
        self._thread.start()

    def stop(self) -> None:
        """End after the pass that is going on; whoever still waits is told."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        while self._jobs:
            job = self._jobs.popleft()
            if job.vector.set_running_or_notify_cancel():
                job.vector.set_exception(ModelError("The service is shutting down."))

    @property
    def waiting(self) -> int:
        """How many pictures wait for a pass."""
        return len(self._jobs)

    async def embed(self, embedder: Embedder, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Give the `[d]` unit vector of one prepared picture.

        Cancelling the caller takes the picture out of the queue.

        Raises:
            UnusableVectorError: the model could make nothing of the picture.
            ModelError: the model failed, or the service is shutting down.
        """
        job = _Job(embedder, pixels)
        with self._changed:
            if self._closed:
                raise ModelError("The service is shutting down.")
            self._jobs.append(job)
            self._changed.notify()
        return await asyncio.wrap_future(job.vector)

    def _work(self) -> None:
        while not self._closed:
            batch = self._take()
            if batch:
                self._forward(batch)

    def _take(self) -> list[_Job]:
        """Wait for jobs and take those that one pass can do together."""
        batch: list[_Job] = []
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closed)
            while self._jobs and len(batch) < self._batch_size and not self._closed:
                # Right after a change of model two of them may be asked for; a pass is of one.
                if batch and self._jobs[0].embedder is not batch[0].embedder:
                    break
                job = self._jobs.popleft()
                if job.vector.set_running_or_notify_cancel():
                    batch.append(job)
        return batch

    def _forward(self, batch: list[_Job]) -> None:
        try:
            vectors = batch[0].embedder.embed(np.stack([job.pixels for job in batch]))
        except Exception as error:
            if len(batch) == 1:
                log.exception("The model failed on a picture.")
                batch[0].vector.set_exception(_as_ours(error))
                return
            # One picture, or the size of the batch, may be at fault: the others need not suffer.
            for job in batch:
                self._forward([job])
            return
        self.forwards += 1
        self.pictures += len(batch)
        for job, vector in zip(batch, vectors, strict=True):
            if np.isfinite(vector).all():
                job.vector.set_result(vector)
            else:
                job.vector.set_exception(UnusableVectorError())


def _as_ours(error: Exception) -> LookalikeError:
    if isinstance(error, LookalikeError):
        return error
    return ModelError(f"The model failed on this picture: {type(error).__name__}.")
