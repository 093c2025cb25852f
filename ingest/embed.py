"""Photos to vectors: worker processes decode ahead while the model works on a batch."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from core.errors import DeviceMemoryError, UnusableVectorError
from ingest.decoders import in_order
from ingest.reading import Failure, ReadFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from core.vision.embedder import Embedder
    from ingest.decoders import DecoderPool
    from ingest.progress import Progress

_BATCHES_AHEAD: Final = 4


@dataclass(frozen=True)
class Task:
    """A photo to be embedded."""

    path: str
    md5: bytes  # of its content when it was hashed


@dataclass(frozen=True)
class Embedded:
    """What became of a photo; its hash, stat and vector are of the same bytes."""

    task: Task
    read: ReadFile
    vector: NDArray[np.float32] | None  # `[d]`, unit length; None: see `read`


def embed_files(
    tasks: Iterable[Task],
    pool: DecoderPool,
    embedder: Embedder,
    batch_size: int,
    progress: Progress,
) -> Iterator[Embedded]:
    """Embed photos in batches; a photo that fails is yielded with its failure."""
    window = max(_BATCHES_AHEAD * batch_size, 8)
    started = in_order(tasks, lambda task: pool.submit(task.path), window)
    batch: list[tuple[Task, ReadFile]] = []
    for task, future in started:
        with progress.stage("wait_decode"):
            read = pool.result(task.path, future)
        if read.pixels is None:
            yield Embedded(task, read, None)
            continue
        batch.append((task, read))
        if len(batch) == batch_size:
            yield from _embed(batch, embedder, progress)
            batch = []
    if batch:
        yield from _embed(batch, embedder, progress)


def _embed(
    batch: list[tuple[Task, ReadFile]], embedder: Embedder, progress: Progress
) -> Iterator[Embedded]:
    pixels = np.stack([read.pixels for _, read in batch if read.pixels is not None])
    with progress.stage("embed"):
        vectors = _forward(pixels, embedder)
    progress.count("embedded", len(batch))
    usable = [bool(np.isfinite(vector).all()) for vector in vectors]
    for (task, read), vector, fine in zip(batch, vectors, usable, strict=True):
        kept = replace(read, pixels=None)
        if fine:
            yield Embedded(task, kept, vector)
        else:
            failure = Failure(UnusableVectorError.code, str(UnusableVectorError()))
            yield Embedded(task, replace(kept, failure=failure), None)


def _forward(pixels: NDArray[np.uint8], embedder: Embedder) -> NDArray[np.float32]:
    """Run the model, in smaller batches where its device is too small for this one."""
    try:
        return embedder.embed(pixels)
    except DeviceMemoryError:
        if len(pixels) == 1:
            raise
    halves = np.array_split(pixels, 2)
    return np.concatenate(list(itertools.chain(_forward(half, embedder) for half in halves)))
