"""Photos to vectors: worker processes decode ahead while the model works on a batch."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from core.errors import DeviceMemoryError, UnusableVectorError
from ingest.decoders import MOST_TOGETHER, in_order
from ingest.reading import Failure, ReadFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
) -> Iterator[Embedded]:
    """Embed photos in batches; a photo that fails is yielded with its failure."""
    window = max(_BATCHES_AHEAD * batch_size // MOST_TOGETHER, 2 * pool.workers)
    chunks = pool.chunks(tasks, lambda task: task.path)
    started = in_order(chunks, lambda chunk: pool.submit([task.path for task in chunk]), window)
    waiting: list[tuple[Task, ReadFile]] = []
    pictures = 0
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
                yield from _embed(waiting, embedder, batch_size, progress)
                waiting, pictures = [], 0
    if waiting:
        yield from _embed(waiting, embedder, batch_size, progress)


def _without_model(task: Task, read: ReadFile, progress: Ticker) -> Embedded:
    """A photo that failed, or that the decoding process has embedded."""
    if read.vectors is None:
        return Embedded(task, read, None)
    with progress.stage("embed"):
        progress.count("embedded")
        return _usable(task, replace(read, vectors=None), read.vectors)


def _embed(
    waiting: list[tuple[Task, ReadFile]], embedder: Embedder, batch_size: int, progress: Ticker
) -> Iterator[Embedded]:
    pixels = np.concatenate([read.pixels for _, read in waiting if read.pixels is not None])
    with progress.stage("embed"):
        vectors = np.concatenate(
            [
                _forward(pixels[start : start + batch_size], embedder)
                for start in range(0, len(pixels), batch_size)
            ]
        )
    progress.count("embedded", len(waiting))
    start = 0
    for task, read in waiting:
        stop = start + len(read.at_ms)
        yield _usable(task, replace(read, pixels=None), vectors[start:stop])
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
