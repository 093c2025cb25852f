"""From the bytes of an upload to the photos that look like it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from core.vision.decode import DecodeLimits, decode_image
from service.errors import NotReadyError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import numpy as np
    from numpy.typing import NDArray

    from core.settings import Settings
    from core.store.snapshot import Found
    from core.vision.embedder import Embedder
    from service.batcher import Batcher
    from service.snapshots import SnapshotKeeper, View

SCORE_DIGITS: Final = 6
"""Decimals of a score; scores are compared with the threshold as they are shown."""


@dataclass(frozen=True)
class Question:
    """What is asked about one vector."""

    top_k: int
    threshold: float | None = None  # None: the operator's choice, else the model's own


@dataclass(frozen=True)
class Answer:
    """What was found in one snapshot."""

    matches: list[Found]  # best first, each scored at least `threshold`
    threshold: float
    compared: int  # searchable photos


class Searcher:
    """Finds the photos that look like an upload."""

    def __init__(
        self, settings: Settings, keeper: SnapshotKeeper, batcher: Batcher, workers: Executor
    ) -> None:
        self._limits = DecodeLimits.for_uploads(settings)
        self._threshold = settings.threshold
        self._keeper = keeper
        self._batcher = batcher
        self._workers = workers

    async def find_similar(self, upload: bytes, question: Question) -> Answer:
        """Find what looks like an encoded picture.

        Raises:
            ImageError: the upload cannot be used.
            NotReadyError: nothing has been loaded yet.
        """
        view = self.current_view()
        vector = await self.embed(view.embedder, upload)
        return await self.ask(view, vector, question)

    async def embed(self, embedder: Embedder, upload: bytes) -> NDArray[np.float32]:
        """Give the `[d]` unit vector of an encoded picture."""
        loop = asyncio.get_running_loop()
        pixels = await loop.run_in_executor(self._workers, self._pixels, embedder, upload)
        return await self._batcher.embed(embedder, pixels)

    async def ask(self, view: View, vector: NDArray[np.float32], question: Question) -> Answer:
        """Find the nearest photos of a vector made by the view's own model."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, self._find, view, vector, question)

    def current_view(self) -> View:
        """The newest state of the store.

        Raises:
            NotReadyError: nothing has been loaded yet.
        """
        view = self._keeper.view
        if view is None:
            raise NotReadyError(self._keeper.problems)
        return view

    def threshold_of(self, view: View, asked: float | None) -> float:
        """The least score of a match: as asked, else as set, else the model's own."""
        space = view.snapshot.space
        own = view.embedder.default_threshold if space is None else space.default_threshold
        return next(value for value in (asked, self._threshold, own) if value is not None)

    def _pixels(self, embedder: Embedder, upload: bytes) -> NDArray[np.uint8]:
        return embedder.prepare(decode_image(upload, self._limits))

    def _find(self, view: View, vector: NDArray[np.float32], question: Question) -> Answer:
        threshold = self.threshold_of(view, question.threshold)
        found = view.snapshot.search(vector, question.top_k)
        matches = [match for match in found if round(match.score, SCORE_DIGITS) >= threshold]
        return Answer(matches, threshold, view.snapshot.entries.item_count)
