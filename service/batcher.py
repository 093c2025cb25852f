"""Concurrent uploads share forward passes of the model.

One thread runs the model. While a forward pass goes on, uploads queue; the next pass takes all of
them, up to the batch size. A lone upload starts at once. Texts go the same way, for a model is run
by one thread at a time.

Clients that ask again as soon as they are answered would fall into two halves, one on its way while
the other is in the model, so that each pass is half as large as it might be, and reading requests
takes processors from it. A pass that follows a shared one therefore waits for those just answered,
for a share of the time that the last one took, and a little longer while they keep coming.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from core.errors import ModelError, UnusableVectorError
from service.errors import as_ours
from service.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from core.vision.embedder import Embedder, Prediction

log = logging.getLogger(__name__)

# What the next pass may wait for company, as shares of the time that the last one took:
_WAIT_SHARE: Final = 0.25  # at first,
_MORE_SHARE: Final = 0.05  # after each that comes,
_MOST_SHARE: Final = 0.4  # and in all


@dataclass(frozen=True, eq=False)
class Seen:
    """What the model makes of one picture."""

    vector: NDArray[np.float32]  # [d], unit length
    predictions: list[Prediction]  # of the model's own classes, as many as were asked for


@dataclass(frozen=True, eq=False)
class _PictureJob:
    """One picture on its way through the model."""

    embedder: Embedder
    pixels: NDArray[np.uint8]  # [size, size, 3]
    classes: int  # how many of the model's own to name
    result: Future[Seen] = field(default_factory=Future)
    queued_at: float = field(default_factory=time.perf_counter)


@dataclass(frozen=True, eq=False)
class _TextJob:
    """Texts on their way through the model."""

    embedder: Embedder
    texts: Sequence[str]
    result: Future[NDArray[np.float32]] = field(default_factory=Future)  # [n, d], unit length
    queued_at: float = field(default_factory=time.perf_counter)


_Job: TypeAlias = _PictureJob | _TextJob
_Answer: TypeAlias = Callable[[], None]  # gives a job its result, or its error


class Batcher:
    """The queue before the model and the thread that runs it."""

    def __init__(
        self,
        batch_size: int,
        metrics: Metrics | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.forwards = 0  # passes of pictures so far
        self.pictures = 0  # pictures so far
        self._batch_size = batch_size
        self._metrics = metrics or Metrics()
        self._clock = clock  # in seconds; passes and waits are told by it
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._company = 1  # jobs that the last pass did, or left waiting
        self._last_s = 0.0  # that the last pass took
        self._last_end = 0.0  # on the clock
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
            if job.result.set_running_or_notify_cancel():
                job.result.set_exception(ModelError("The service is shutting down."))

    @property
    def waiting(self) -> int:
        """How many jobs wait for a pass."""
        return len(self._jobs)

    async def embed(self, embedder: Embedder, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Give the `[d]` unit vector of one prepared picture; see `look`."""
        return (await self.look(embedder, pixels, classes=0)).vector

    async def look(self, embedder: Embedder, pixels: NDArray[np.uint8], classes: int) -> Seen:
        """Give what the model makes of one prepared picture.

        Cancelling the caller takes the picture out of the queue.

        Raises:
            UnusableVectorError: the model could make nothing of the picture.
            ModelError: the model failed, or the service is shutting down.
        """
        job = _PictureJob(embedder, pixels, classes)
        self._put(job)
        return await asyncio.wrap_future(job.result)

    async def embed_texts(self, embedder: Embedder, texts: Sequence[str]) -> NDArray[np.float32]:
        """Give the `[len(texts), d]` unit vectors of texts.

        Raises:
            ModelError: the model failed, or the service is shutting down.
        """
        job = _TextJob(embedder, texts)
        self._put(job)
        return await asyncio.wrap_future(job.result)

    def _put(self, job: _Job) -> None:
        with self._changed:
            if self._closed:
                raise ModelError("The service is shutting down.")
            self._jobs.append(job)
            self._changed.notify()

    def _work(self) -> None:
        while not self._closed:
            batch = self._take()
            if batch:
                began = self._clock()
                answers = self._forward(batch)
                self._last_end = self._clock()
                self._last_s = self._last_end - began
                # Counted before anyone is answered: whoever asks again would count twice.
                self._company = len(batch) + len(self._jobs)
                for answer in answers:
                    answer()

    def _take(self) -> list[_Job]:
        """Wait for jobs and take those that one pass can do together."""
        batch: list[_Job] = []
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closed)
            self._wait_for_company()
            while self._jobs and len(batch) < self._batch_size and not self._closed:
                if batch and not _fit_together(batch[0], self._jobs[0]):
                    break
                job = self._jobs.popleft()
                if job.result.set_running_or_notify_cancel():
                    batch.append(job)
        return batch

    def _wait_for_company(self) -> None:
        wanted = min(self._company, self._batch_size)
        until = self._last_end + _WAIT_SHARE * self._last_s
        while (held := len(self._jobs)) < wanted and not self._closed:
            left_s = until - self._clock()
            if left_s <= 0:
                break
            self._changed.wait(left_s)
            if len(self._jobs) > held:
                until = max(until, self._clock() + _MORE_SHARE * self._last_s)
                until = min(until, self._last_end + _MOST_SHARE * self._last_s)

    def _forward(self, batch: list[_Job]) -> list[_Answer]:
        try:
            return self._run(batch)
        except Exception as error:
            if len(batch) == 1:
                log.exception("The model failed on a picture or text.")
                return [partial(batch[0].result.set_exception, as_ours(error))]
            # One picture, or the size of the batch, may be at fault: the others need not suffer.
            return [answer for job in batch for answer in self._forward([job])]

    def _run(self, batch: list[_Job]) -> list[_Answer]:
        for job in batch:
            waited_s = time.perf_counter() - job.queued_at
            self._metrics.stage_seconds.labels("queue").observe(waited_s)
        pictures = [job for job in batch if isinstance(job, _PictureJob)]
        if not pictures:
            with self._metrics.stage("forward"):
                return _read([job for job in batch if isinstance(job, _TextJob)])
        with self._metrics.stage("forward"):
            seen = _look_at(pictures)
        self._metrics.batch_pictures.observe(len(pictures))
        self.forwards += 1
        self.pictures += len(batch)
        return [
            partial(job.result.set_result, one)
            if np.isfinite(one.vector).all()
            else partial(job.result.set_exception, UnusableVectorError())
            for job, one in zip(pictures, seen, strict=True)
        ]


def _fit_together(one: _Job, other: _Job) -> bool:
    # Right after a change of model two of them may be asked for; a pass is of one.
    return type(one) is type(other) and one.embedder is other.embedder


def _look_at(jobs: list[_PictureJob]) -> list[Seen]:
    embedder = jobs[0].embedder
    pixels = np.stack([job.pixels for job in jobs])
    classes = max(job.classes for job in jobs)
    if not classes:
        return [Seen(vector, []) for vector in embedder.embed(pixels)]
    vectors, predictions = embedder.embed_and_classify(pixels, classes)
    return [
        Seen(vector, predicted[: job.classes])
        for job, vector, predicted in zip(jobs, vectors, predictions, strict=True)
    ]


def _read(jobs: list[_TextJob]) -> list[_Answer]:
    vectors = jobs[0].embedder.embed_texts([text for job in jobs for text in job.texts])
    ends = np.cumsum([len(job.texts) for job in jobs])
    each = np.split(vectors, ends[:-1])
    return [partial(job.result.set_result, rows) for job, rows in zip(jobs, each, strict=True)]
