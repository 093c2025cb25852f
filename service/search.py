"""From a vector, or the bytes of an upload, to the photos that look like it."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from core.errors import IndexUnavailableError
from service.errors import NotReadyError, UnknownFilterKeyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    import numpy as np
    from numpy.typing import NDArray

    from core.settings import Settings
    from core.store.view import CatalogueView, Found
    from service.keeper import Keeper, View
    from service.metrics import Metrics
    from service.questions import Question

SCORE_DIGITS: Final = 6
"""Decimals of a score; scores are compared with the threshold as they are shown."""

MOST_FACET_VALUES: Final = 100
"""Values of one key that are counted in an answer: the most frequent ones."""


@dataclass(frozen=True)
class Answer:
    """What was found in one snapshot."""

    matches: list[Found]  # best first, each scored at least `threshold`
    threshold: float
    compared: int  # searchable photos
    facets: dict[str, list[tuple[str, int]]] | None  # of all matches, not only the `top_k` best


class Searcher:
    """Finds the photos that look like something."""

    def __init__(
        self, settings: Settings, keeper: Keeper, workers: Executor, metrics: Metrics
    ) -> None:
        self._threshold = settings.threshold
        self._text_threshold = settings.text_threshold
        self._keeper = keeper
        self._workers = workers
        self._metrics = metrics

    def current_view(self, question: Question | None = None) -> View:
        """The newest state of the store, which is what a request uses from start to end.

        Raises:
            NotReadyError: nothing has been loaded yet.
            UnknownFilterKeyError: the question's filter speaks of what no product has.
        """
        view = self._keeper.view
        if view is None:
            raise NotReadyError(self._keeper.problems)
        if question is not None:
            _check_filters(view.snapshot, question)
        return view

    async def ask(
        self, view: View, vector: NDArray[np.float32], question: Question, *, text: bool = False
    ) -> Answer:
        """Find the nearest photos of a vector made by the view's own model; see `search_of`."""
        search = self.search_of(view, question, text=text)
        return await asyncio.get_running_loop().run_in_executor(self._workers, search, vector)

    def search_of(
        self, view: View, question: Question, *, text: bool = False
    ) -> Callable[[NDArray[np.float32]], Answer]:
        """Give the search that a question asks for, to be done in a thread.

        It takes a `[d]` unit vector made by the view's own model; `text` says that it will be of a
        text, or of a mixture with one.
        """
        threshold = self.threshold_of(view, question.threshold, text=text)

        def search(vector: NDArray[np.float32]) -> Answer:
            with self._metrics.stage("search"):
                return self._find(view, vector, question, threshold)

        return search

    def _find(
        self, view: View, vector: NDArray[np.float32], question: Question, threshold: float
    ) -> Answer:
        try:
            return _find(view.snapshot, vector, question, threshold)
        except IndexUnavailableError as error:
            other = self._keeper.instead(error)
            if other is None or other.embedder.fingerprint != view.embedder.fingerprint:
                raise
            return _find(other.snapshot, vector, question, threshold)

    def threshold_of(self, view: View, asked: float | None, *, text: bool = False) -> float:
        """The least score of a match: as asked, else as set, else the model's own."""
        if text:
            chosen, own = self._text_threshold, view.embedder.default_text_threshold
        else:
            space = view.snapshot.space
            chosen = self._threshold
            own = space.default_threshold if space else view.embedder.default_threshold
        return next(value for value in (asked, chosen, own) if value is not None)


def _check_filters(snapshot: CatalogueView, question: Question) -> None:
    known = snapshot.attribute_keys
    unknown = [key for key in question.filters if key not in known]
    if unknown and snapshot.item_count:
        raise UnknownFilterKeyError(unknown[0], known)


def _find(
    snapshot: CatalogueView, vector: NDArray[np.float32], question: Question, threshold: float
) -> Answer:
    search = snapshot.search_products if question.by_product else snapshot.search
    found = search(vector, question.top_k, question.filters, question.excluded)
    matches = [match for match in found if round(match.score, SCORE_DIGITS) >= threshold]
    facets = _facets(snapshot, vector, question, threshold) if question.facets else None
    return Answer(matches, threshold, snapshot.item_count, facets)


def _facets(
    snapshot: CatalogueView, vector: NDArray[np.float32], question: Question, threshold: float
) -> dict[str, list[tuple[str, int]]]:
    counted = snapshot.facets(
        vector,
        _least(threshold),
        question.filters,
        question.excluded,
        by_product=question.by_product,
    )
    return {key: counts[:MOST_FACET_VALUES] for key, counts in counted.items()}


def _least(threshold: float) -> float:
    """The least score that is shown as `threshold` or more."""
    step = 10**SCORE_DIGITS
    shown = math.ceil(round(threshold * step, 3)) / step
    return shown - 0.5 / step
