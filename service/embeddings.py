"""Vectors and class predictions of several uploads."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from core.errors import LookalikeError
from core.vision.decode import DecodeLimits
from core.vision.embedder import Prediction
from service.neighbours import CATEGORY, SOURCE, vote_on
from service.vectors import ModelInUse, PictureVectors, PreparedPicture

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    import numpy as np
    from numpy.typing import NDArray

    from core.settings import Settings
    from service.batcher import Batcher
    from service.keeper import View
    from service.known_items import KnownItems
    from service.looking import Looker
    from service.zero_shot import ZeroShot

MOST_CLASSES: Final = 20
_REMEMBERED: Final = 4096  # pictures whose classes are kept


@dataclass(frozen=True, eq=False)
class Embedded:
    """The vector of one picture and what it may show."""

    vector: NDArray[np.float32]  # [d], unit length
    predictions: list[Prediction]  # best first


class EmbeddingMaker:
    """Embeds uploads, with as little work for the model as there has to be."""

    def __init__(
        self,
        settings: Settings,
        looker: Looker,
        batcher: Batcher,
        zero_shot: ZeroShot,
        known: KnownItems,
        workers: Executor,
    ) -> None:
        self._limits = DecodeLimits.for_uploads(settings)
        self._looker = looker
        self._batcher = batcher
        self._zero_shot = zero_shot
        self._known = known
        self._workers = workers
        # A stored vector carries no classes; a picture seen before need not be looked at again.
        self._classes: OrderedDict[tuple[str, bytes], list[Prediction]] = OrderedDict()

    async def embed(
        self, view: View, uploads: Sequence[bytes], top: int
    ) -> list[Embedded | LookalikeError]:
        """Embed encoded pictures, in their order; one that cannot be used fails alone.

        A vector that the store holds of the same bytes is taken from there. `top` is how many
        classes of each picture are named; 0: none.
        """
        model = ModelInUse(view.embedder, self._batcher, view.snapshot)
        vectors = PictureVectors(model, self._known, self._limits, self._workers)

        async def outcome(upload: bytes) -> Embedded | LookalikeError:
            try:
                return await self._one(view, vectors, upload, top)
            except LookalikeError as error:
                return error

        return await asyncio.gather(*map(outcome, uploads))

    async def _one(self, view: View, vectors: PictureVectors, upload: bytes, top: int) -> Embedded:
        picture = await vectors.prepare(upload)
        if top and view.embedder.supports_classes:
            return await self._with_own_classes(view, vectors, picture, upload, top)
        vector = await vectors.embed(picture)
        return Embedded(vector, await self._named(view, vector, top) if top else [])

    async def _with_own_classes(
        self,
        view: View,
        vectors: PictureVectors,
        picture: PreparedPicture,
        upload: bytes,
        top: int,
    ) -> Embedded:
        if picture.pixels is not None:
            seen = await self._batcher.look(view.embedder, picture.pixels, MOST_CLASSES)
            return Embedded(seen.vector, seen.predictions[:top])
        known = (view.embedder.fingerprint, picture.key)
        predictions = self._classes.get(known)
        if predictions is None:
            look = await self._looker.look(view.embedder, upload, classes=MOST_CLASSES)
            predictions = self._classes[known] = look.predictions
            if len(self._classes) > _REMEMBERED:
                self._classes.popitem(last=False)
        return Embedded(await vectors.embed(picture), predictions[:top])

    async def _named(self, view: View, vector: NDArray[np.float32], top: int) -> list[Prediction]:
        """Name a picture by the model's words, else by its neighbours in the catalogue."""
        if view.embedder.supports_text:
            return await self._zero_shot.predict(view.embedder, vector, top)
        votes = await asyncio.get_running_loop().run_in_executor(
            self._workers, vote_on, view.snapshot, vector, CATEGORY
        )
        return [Prediction(vote.value, vote.score, SOURCE) for vote in votes[:top]]
