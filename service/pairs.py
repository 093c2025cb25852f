"""How far apart the two pictures of a pair are, for many pairs at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from core.errors import LookalikeError, ModelError
from core.vision.decode import DecodeLimits
from service.vectors import PictureVectors, cosine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    import numpy as np
    from numpy.typing import NDArray

    from core.settings import Settings
    from service.known_items import KnownItems
    from service.pair_model import PairModel
    from service.references import References

_Outcome: TypeAlias = "NDArray[np.float32] | LookalikeError"

SCORE_DIGITS: Final = 6
"""Decimals of a distance; float32 vectors carry no more."""

_READ_AT_ONCE: Final = 16
"""References of one request that are fetched and decoded at the same time."""


@dataclass(frozen=True)
class Pair:
    """Two pictures, each as base64, a data URI or a URL."""

    reference_image: str
    generated_image: str


@dataclass(frozen=True)
class PairFailure:
    """Why a pair has no score."""

    field: str  # reference_image or generated_image
    error: LookalikeError


class PairScorer:
    """Scores pairs with the pair model."""

    def __init__(
        self,
        settings: Settings,
        model: PairModel,
        references: References,
        known: KnownItems,
        workers: Executor,
    ) -> None:
        self._limits = DecodeLimits.for_uploads(settings)
        self._at_once = settings.pair_batch_size
        self._model = model
        self._references = references
        self._known = known
        self._workers = workers

    async def score(self, pairs: Sequence[Pair]) -> list[float | PairFailure]:
        """Give the distance of each pair, 0 to 2, in their order; a bad pair fails alone.

        Raises:
            ModelError: the model failed on every picture.
            NotReadyError: no model has been loaded yet.
        """
        made = await self._vectors_of({text for pair in pairs for text in _both(pair)})
        failed = [one for one in made.values() if isinstance(one, LookalikeError)]
        if len(failed) == len(made) and isinstance(failed[0], ModelError):
            raise failed[0]
        return [_distance(pair, made) for pair in pairs]

    def vectors(self) -> PictureVectors:
        """What makes the vectors of one request's pictures.

        Raises:
            NotReadyError: no model has been loaded yet.
        """
        return PictureVectors(self._model.current(), self._known, self._limits, self._workers)

    async def _vectors_of(self, references: set[str]) -> dict[str, _Outcome]:
        vectors = self.vectors()
        reading = asyncio.Semaphore(_READ_AT_ONCE)
        # Uploads for a search queue before the same model: they wait for so many pictures at most.
        embedding = asyncio.Semaphore(self._at_once)

        async def outcome(reference: str) -> _Outcome:
            try:
                async with reading:
                    picture = await vectors.prepare(await self._references.read(reference))
                async with embedding:
                    return await vectors.embed(picture)
            except LookalikeError as error:
                return error

        async with asyncio.TaskGroup() as group:
            tasks = {text: group.create_task(outcome(text)) for text in references}
        return {text: task.result() for text, task in tasks.items()}


def _both(pair: Pair) -> tuple[str, str]:
    return pair.reference_image, pair.generated_image


def _distance(pair: Pair, made: dict[str, _Outcome]) -> float | PairFailure:
    reference, generated = made[pair.reference_image], made[pair.generated_image]
    if isinstance(reference, LookalikeError):
        return PairFailure("reference_image", reference)
    if isinstance(generated, LookalikeError):
        return PairFailure("generated_image", generated)
    return round(1.0 - cosine(reference, generated), SCORE_DIGITS)
