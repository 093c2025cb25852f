"""Photos to vectors: worker processes decode ahead while the model works on a batch."""

from __future__ import annotations

import itertools
import time
from collections import deque
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from core.errors import DeviceMemoryError, UnusableVectorError
from ingest.decoders import MOST_TOGETHER, in_order
from ingest.reading import Failure, ReadFile

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from core.vision.embedder import Embedder
    from ingest.decoders import DecoderPool
    from ingest.progress import Ticker

_BATCHES_AHEAD: Final = 4


@dataclass(frozen=True)
class Task:
    """A photo to be embedded."""

    path: str
    md5: bytes  # of its content when it was hashed


@dataclass(frozen=True)
class Embedded:
    """What became of a photo or video; its hash, stat and vectors are of the same bytes."""

    task: Task
    read: ReadFile  # its `at_ms` are the moments of the vectors
    vectors: NDArray[np.float32] | None  # `[m, d]`, unit length; None: see `read`


def embed_files(
    tasks: Iterable[Task],
    pool: DecoderPool,
    embedder: Embedder,
    batch_size: int,
    progress: Ticker,
) -> Generator[Embedded, None, None]:
    """Embed photos in batches; a photo that fails is yielded with its failure.

    To close it ends the passes in hand; what they make is lost.
    """
    window = max(_BATCHES_AHEAD * batch_size // MOST_TOGETHER, 2 * pool.workers)
    chunks = pool.chunks(tasks, lambda task: task.path)
    started = in_order(chunks, lambda chunk: pool.submit([task.path for task in chunk]), window)
    waiting: list[tuple[Task, ReadFile]] = []
    pictures = 0
    with _Model(embedder, batch_size, progress) as model:
        for chunk, future in started:
            with progress.stage("wait_decode"):
                reads = pool.results([task.path for task in chunk], future)
            for task, read in zip(chunk, reads, strict=True):
                if read.pixels is None:
                    yield _without_model(task, read, progress)
                    continue
                waiting.append((task, read))
                pictures += len(read.pixels)
                if pictures >= batch_size:
                    yield from model.take(waiting)
                    waiting, pictures = [], 0
        if waiting:
            yield from model.take(waiting)
        yield from model.rest()


def _without_model(task: Task, read: ReadFile, progress: Ticker) -> Embedded:
    """A photo that failed, or that the decoding process has embedded."""
    if read.vectors is None:
        return Embedded(task, read, None)
    with progress.stage("embed"):
        progress.count("embedded")
        return _usable(task, replace(read, vectors=None), read.vectors)


@dataclass(frozen=True)
class _Pass:
    """What the model made of a batch, and when."""

    vectors: NDArray[np.float32]
    began_s: float
    ended_s: float


class _Model:
    """The model at work on batches while those before are stored and those after are decoded.

    It has as many batches in hand as it can do together, and the next one ready, so that it never
    waits for the rest of the run.
    """

    def __init__(self, embedder: Embedder, batch_size: int, progress: Ticker) -> None:
        self._embedder = embedder
        self._batch_size = batch_size
        self._progress = progress
        self._threads = ThreadPoolExecutor(embedder.passes_at_once, "model")
        self._going: deque[tuple[list[tuple[Task, ReadFile]], Future[_Pass]]] = deque()
        self._busy_until_s = 0.0
        self._closing = Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._threads.shutdown(cancel_futures=True)

    def take(self, batch: list[tuple[Task, ReadFile]]) -> Iterator[Embedded]:
        """Start on a batch; give an earlier one where enough are in hand."""
        self._going.append((batch, self._threads.submit(self._run, batch)))
        if len(self._going) > self._embedder.passes_at_once:
            yield from self._finish()

    def rest(self) -> Iterator[Embedded]:
        """Give what is still in hand."""
        while self._going:
            yield from self._finish()

    def _run(self, batch: list[tuple[Task, ReadFile]]) -> _Pass:
        began_s = time.monotonic()
        pixels = np.concatenate([read.pixels for _, read in batch if read.pixels is not None])
        vectors = []
        for start in range(0, len(pixels), self._batch_size):
            if self._closing.is_set():
                raise CancelledError
            vectors.append(_forward(pixels[start : start + self._batch_size], self._embedder))
        return _Pass(np.concatenate(vectors), began_s, time.monotonic())

    def _finish(self) -> Iterator[Embedded]:
        batch, future = self._going.popleft()
        done = future.result()
        # Passes side by side keep the model busy once, and the later may end first.
        since_s = max(done.began_s, self._busy_until_s)
        self._progress.spent("embed", max(0.0, done.ended_s - since_s))
        self._busy_until_s = max(done.ended_s, self._busy_until_s)
        self._progress.count("embedded", len(batch))
        start = 0
        for task, read in batch:
            stop = start + len(read.at_ms)
            yield _usable(task, replace(read, pixels=None), done.vectors[start:stop])
            start = stop


def _usable(task: Task, read: ReadFile, vectors: NDArray[np.float32]) -> Embedded:
    """Leave out the moments the model could make nothing of."""
    fine = [place for place, vector in enumerate(vectors) if np.isfinite(vector).all()]
    if not fine:
        failure = Failure(UnusableVectorError.code, str(UnusableVectorError()))
        return Embedded(task, replace(read, failure=failure), None)
    moments = tuple(read.at_ms[place] for place in fine)
    return Embedded(task, replace(read, at_ms=moments), vectors[fine])


def _forward(pixels: NDArray[np.uint8], embedder: Embedder) -> NDArray[np.float32]:
    """Run the model, in smaller batches where its device is too small for this one."""
    try:
        return embedder.embed(pixels)
    except DeviceMemoryError:
        if len(pixels) == 1:
            raise
    halves = np.array_split(pixels, 2)
    return np.concatenate(list(itertools.chain(_forward(half, embedder) for half in halves)))
