"""One vector out of texts, pictures and catalogue items, wanted or unwanted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from core.errors import ImageError
from core.vision.decode import DecodeLimits
from service.errors import (
    EmptyQueryError,
    FetchError,
    InvalidBase64Error,
    PictureNotFoundError,
    UnsupportedDataUriError,
)
from service.vectors import ModelInUse, PictureVectors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from core.settings import Settings
    from core.vision.embedder import Embedder
    from service.batcher import Batcher
    from service.keeper import View
    from service.known_items import KnownItem, KnownItems
    from service.looking import Looker
    from service.pictures import Pictures
    from service.questions import Crop
    from service.references import References

_OF_ONE_PICTURE: Final = (
    ImageError,
    FetchError,
    InvalidBase64Error,
    UnsupportedDataUriError,
    PictureNotFoundError,
)
_LEAST_LENGTH: Final = 1e-4
"""Of the parts' sum, in units of their weights; less is noise of their rounding."""

_CROPPED_FROM: Final = 2048  # longest side of an item's picture that a part is cut from, in pixels


@dataclass(frozen=True)
class Part:
    """One thing to look for or to avoid; of `text`, `image` and `path` one is set."""

    field: str  # where in the request it stands
    weight: float  # negative: away from it
    text: str | None = None
    image: str | None = None  # base64, data URI or URL
    path: str | None = None  # of a catalogue item
    at_ms: int | None = None  # the moment of a video, with `path`
    crop: Crop | None = None


@dataclass(frozen=True, eq=False)
class Query:
    """What to search for."""

    vector: NDArray[np.float32]  # [d], unit length
    items: frozenset[int]  # the catalogue items among its parts


@dataclass(frozen=True, eq=False)
class _Piece:
    vector: NDArray[np.float32]
    item: int | None = None


class QueryMaker:
    """Makes queries with the model of the search."""

    def __init__(
        self,
        settings: Settings,
        looker: Looker,
        batcher: Batcher,
        references: References,
        pictures: Pictures,
        known: KnownItems,
        workers: Executor,
    ) -> None:
        self._limits = DecodeLimits.for_uploads(settings)
        self._looker = looker
        self._batcher = batcher
        self._references = references
        self._pictures = pictures
        self._known = known
        self._workers = workers

    async def make(self, view: View, parts: Sequence[Part]) -> Query:
        """Add up the parts, each by its weight, to one direction.

        Raises:
            EmptyQueryError: nothing is left to look for.
            NoTextTowerError: there is a text, and the model reads none.
            LookalikeError: a part cannot be used; the message begins with its field.
        """
        used = [part for part in parts if part.weight]
        if not used:
            raise EmptyQueryError(
                "The query names nothing to look for: give text or images with a weight that is "
                "not 0."
            )
        if any(part.text is not None for part in used):
            require_text_tower(view.embedder)
        model = ModelInUse(view.embedder, self._batcher, view.snapshot)
        vectors = PictureVectors(model, self._known, self._limits, self._workers)
        pieces = await asyncio.gather(*(self._piece(view, vectors, part) for part in used))
        weights = np.array([part.weight for part in used])
        total = weights @ np.stack([piece.vector for piece in pieces]).astype(np.float64)
        length = float(np.linalg.norm(total))
        if length < _LEAST_LENGTH * np.abs(weights).sum():
            raise EmptyQueryError("The parts of the query cancel out.")
        items = frozenset(piece.item for piece in pieces if piece.item is not None)
        return Query((total / length).astype(np.float32), items)

    async def _piece(self, view: View, vectors: PictureVectors, part: Part) -> _Piece:
        try:
            if part.text is not None:
                return _Piece((await self._batcher.embed_texts(view.embedder, [part.text]))[0])
            if part.path is not None:
                return await self._of_item(view, part, part.path)
            upload = await self._references.read(part.image or "")
            if part.crop is None:
                return _Piece(await vectors.of(upload))
            return _Piece((await self._looker.look(view.embedder, upload, part.crop)).vector)
        except _OF_ONE_PICTURE as error:
            raise type(error)(f"{part.field}: {error}") from error

    async def _of_item(self, view: View, part: Part, path: str) -> _Piece:
        """The stored vector of an item; only a part of its picture has to go through the model."""
        loop = asyncio.get_running_loop()
        item = await loop.run_in_executor(
            self._workers, self._known.find, view.snapshot, path, part.at_ms
        )
        if part.crop is None:
            return _Piece(item.vector, item.id)
        picture = await loop.run_in_executor(self._workers, self._picture, item, part.at_ms)
        look = await self._looker.look(view.embedder, picture, part.crop)
        return _Piece(look.vector, item.id)

    def _picture(self, item: KnownItem, at_ms: int | None) -> bytes:
        return self._pictures.rendered(self._pictures.find(item.path), _CROPPED_FROM, at_ms or 0)


def require_text_tower(embedder: Embedder) -> None:
    """See that a model reads text.

    Raises:
        NoTextTowerError: it does not; the message says why.
    """
    if not embedder.supports_text:
        embedder.embed_texts(())
