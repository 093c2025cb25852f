"""What can be said of a picture: category, colours and tags, each with a score and a source."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from core.vision.colours import ColourNamer
from service.neighbours import CATEGORY, SOURCE, vote_on, vote_on_all

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from core.store.view import CatalogueView
    from core.vision.colours import NamedColour
    from core.vision.embedder import Prediction
    from service.keeper import View
    from service.looking import Look
    from service.zero_shot import ZeroShot

CLASSES: Final = 5
"""Classes of the model's own that a description looks at."""

_MOST_CATEGORIES: Final = 3
_MOST_TAGS: Final = 10
_LEAST_CATEGORY: Final = 0.05
_LEAST_TAG: Final = 0.3  # share of the vote, for a value of the neighbours
_LEAST_CLASS: Final = 0.3  # share of belief, for a label or class; less is often nonsense
_MOST_TAG_CHARACTERS: Final = 40  # longer values are sentences, not tags
_NO_TAGS: Final = frozenset((CATEGORY, "colour", "color"))  # told elsewhere


@dataclass(frozen=True)
class Trait:
    """One thing said of a picture."""

    value: str
    score: float  # 0 to 1
    source: str  # neighbours, zero-shot, classifier
    key: str | None = None  # the attribute that the value is of


@dataclass(frozen=True)
class Description:
    """What is said of a picture, best first."""

    category: list[Trait]
    colours: list[NamedColour]
    tags: list[Trait]


class Describer:
    """Describes pictures from the catalogue's attributes, the model's words and the pixels."""

    def __init__(self, zero_shot: ZeroShot, workers: Executor) -> None:
        self._zero_shot = zero_shot
        self._workers = workers
        self._colours = ColourNamer()

    async def describe(self, view: View, look: Look) -> Description:
        """Describe a picture that was looked at with the view's own model.

        Raises:
            ModelError: the model failed on the labels.
        """
        loop = asyncio.get_running_loop()
        named = look.predictions or await self._zero_shot.predict(
            view.embedder, look.vector, CLASSES
        )
        assert look.image is not None  # noqa: S101  # looks to be described keep it
        colours, category, tags = await asyncio.gather(
            loop.run_in_executor(self._workers, self._colours.name, look.image),
            loop.run_in_executor(self._workers, _category, view.snapshot, look),
            loop.run_in_executor(self._workers, _tags, view.snapshot, look),
        )
        own = [trait for trait in map(_trait, named) if trait.score >= _LEAST_CLASS]
        if not category:
            category, own = own[:_MOST_CATEGORIES] or list(map(_trait, named[:1])), []
        return Description(category, colours, (tags + own)[:_MOST_TAGS])


def _trait(prediction: Prediction) -> Trait:
    # ImageNet's classes come with all their synonyms.
    name = prediction.label.partition(",")[0]
    return Trait(name, prediction.score, prediction.source)


def _category(snapshot: CatalogueView, look: Look) -> list[Trait]:
    votes = vote_on(snapshot, look.vector, CATEGORY)[:_MOST_CATEGORIES]
    return [
        Trait(vote.value, vote.score, SOURCE) for vote in votes if vote.score >= _LEAST_CATEGORY
    ]


def _tags(snapshot: CatalogueView, look: Look) -> list[Trait]:
    keys = set(snapshot.attribute_keys) - _NO_TAGS
    return [
        Trait(vote.value, vote.score, SOURCE, vote.key)
        for vote in vote_on_all(snapshot, look.vector, keys)
        if vote.score >= _LEAST_TAG and _is_word(vote.value)
    ]


def _is_word(value: str) -> bool:
    """Whether a value says what a thing is: no price, no sentence."""
    if len(value) > _MOST_TAG_CHARACTERS:
        return False
    try:
        float(value.replace(",", "."))
    except ValueError:
        return True
    return False
