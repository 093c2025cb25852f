"""The vector of an uploaded picture: out of the store where it holds one, else from the model.

A stored vector is rounded to float16, so one picture's two vectors differ in the fourth digit.
Whoever compares or hands out vectors takes them from here, and the same bytes then have the same
vector everywhere.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from service.preparing import prepare_upload

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Executor

    from numpy.typing import NDArray
    from PIL import Image

    from core.store.view import CatalogueView
    from core.vision.decode import DecodeLimits
    from core.vision.embedder import Embedder
    from service.batcher import Batcher
    from service.known_items import KnownItems

T = TypeVar("T")


@dataclass(frozen=True)
class ModelInUse:
    """What one request makes vectors with."""

    embedder: Embedder
    batcher: Batcher  # runs the embedder
    snapshot: CatalogueView | None  # whose vectors may be of the same space


@dataclass(frozen=True, eq=False)
class PreparedPicture:
    """A picture that has been read; only `pixels` or `stored` is kept of it."""

    key: bytes  # the same for pictures that must have the same vector
    stored: NDArray[np.float32] | None  # [d] unit length, of the store
    pixels: NDArray[np.uint8] | None  # [size, size, 3], for the model


class PictureVectors:
    """Makes the vectors of one request's pictures; one that occurs twice is embedded once."""

    def __init__(
        self, model: ModelInUse, known: KnownItems, limits: DecodeLimits, workers: Executor
    ) -> None:
        self.model = model
        self._known = known
        self._limits = limits
        self._workers = workers
        self._prepared: dict[bytes, asyncio.Task[PreparedPicture]] = {}  # by MD5 of the file
        self._vectors: dict[bytes, asyncio.Task[NDArray[np.float32]]] = {}  # by key

    async def of(self, upload: bytes) -> NDArray[np.float32]:
        """Give the `[d]` unit vector of an encoded picture.

        Raises:
            ImageError: the upload cannot be used.
            ModelError: the model failed on it.
        """
        return await self.embed(await self.prepare(upload))

    async def prepare(self, upload: bytes, image: Image.Image | None = None) -> PreparedPicture:
        """Do what comes before the model, after which `upload` need not be kept.

        `image` is the upload decoded, where somebody did that already.

        Raises:
            ImageError: the upload cannot be used.
        """
        md5 = await self._work(lambda: hashlib.md5(upload).digest())

        def read() -> PreparedPicture:
            return self._read(md5, upload, image)

        return await _once(self._prepared, md5, lambda: self._work(read))

    async def embed(self, picture: PreparedPicture) -> NDArray[np.float32]:
        """Give the `[d]` unit vector of a prepared picture.

        Raises:
            ImageError: the model could make nothing of the picture.
            ModelError: the model failed on it.
        """
        if picture.stored is not None:
            return picture.stored
        pixels = picture.pixels
        assert pixels is not None  # noqa: S101  # what is not stored was decoded
        batcher, embedder = self.model.batcher, self.model.embedder
        return await _once(self._vectors, picture.key, lambda: batcher.embed(embedder, pixels))

    def _read(self, md5: bytes, upload: bytes, image: Image.Image | None) -> PreparedPicture:
        stored = self._stored(md5)
        if stored is not None:
            return PreparedPicture(md5, stored, None)
        embedder = self.model.embedder
        if image is None:
            _, pixels = prepare_upload(embedder, upload, self._limits)
        else:
            pixels = embedder.prepare(image)
        # By pixels: the same picture in another file format must not differ by the rounding of
        # another batch.
        return PreparedPicture(hashlib.md5(pixels.tobytes()).digest(), None, pixels)

    def _stored(self, md5: bytes) -> NDArray[np.float32] | None:
        return self._known.vector_of_content(
            self.model.snapshot, self.model.embedder.fingerprint, md5
        )

    async def _work(self, task: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._workers, task)


def cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """The cosine of two vectors: exactly 1 for equal ones, never beyond -1 or 1."""
    if np.array_equal(one, other):
        return 1.0
    first, second = one.astype(np.float64), other.astype(np.float64)
    value = float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))
    return min(1.0, max(-1.0, value))


async def _once(
    made: dict[bytes, asyncio.Task[T]], key: bytes, make: Callable[[], Coroutine[object, object, T]]
) -> T:
    """Make what `key` stands for the first time it is asked for."""
    task = made.get(key)
    if task is None:
        task = made[key] = asyncio.ensure_future(make())
    return await task
