"""What was found, as clients see it."""

import time
from collections.abc import Mapping, Sequence

from core.records import STILL, image_id
from core.store.view import Found
from service.describer import Description
from service.names import filename, image_url, shown
from service.schemas.describe import ColourAnswer, DescriptionAnswer, TagAnswer, TraitAnswer
from service.schemas.search import FacetValue, FindSimilarAnswer, Match
from service.search import SCORE_DIGITS, Answer

EMPTY_CATALOGUE = (
    "The catalogue is empty: put photos in the image folder and run `lookalike-ingest run` or "
    "POST /api/v1/preprocess."
)
_SHARE_DIGITS = 4  # of scores that are shares


def answer_of(
    answer: Answer, started: float, description: Description | None = None
) -> FindSimilarAnswer:
    """The answer to one question, asked at `started` on the performance counter."""
    return FindSimilarAnswer(
        matches=[match_of(found) for found in answer.matches],
        total_compared=answer.compared,
        processing_time_ms=milliseconds_since(started),
        threshold_used=answer.threshold,
        facets=facets_of(answer.facets),
        description=None if description is None else description_of(description),
        message=None if answer.compared else EMPTY_CATALOGUE,
    )


def match_of(found: Found) -> Match:
    """A found photo."""
    entry = found.entry
    return Match(
        image_id=shown(image_id(entry.path, ambiguous=entry.ambiguous)),
        image_path=shown(entry.path),
        filename=filename(entry.path),
        similarity_score=round(found.score, SCORE_DIGITS),
        image_url=image_url(entry.path, entry.at_ms),
        product_id=shown(entry.product_id),
        attributes=entry.attributes,
        at_ms=None if entry.at_ms == STILL else entry.at_ms,
        stale=True if entry.stale else None,
    )


def facets_of(
    facets: Mapping[str, Sequence[tuple[str, int]]] | None,
) -> dict[str, list[FacetValue]] | None:
    """The counted values of each key."""
    if facets is None:
        return None
    return {
        key: [FacetValue(value=value, count=count) for value, count in counts]
        for key, counts in facets.items()
    }


def description_of(description: Description) -> DescriptionAnswer:
    """What is said of a picture."""
    return DescriptionAnswer(
        category=[
            TraitAnswer(value=one.value, score=share(one.score), source=one.source)
            for one in description.category
        ],
        colours=[
            ColourAnswer(name=one.name, score=share(one.score), source=one.source)
            for one in description.colours
        ],
        tags=[
            TagAnswer(key=one.key, value=one.value, score=share(one.score), source=one.source)
            for one in description.tags
        ],
    )


def share(score: float) -> float:
    """A score from 0 to 1, with as many digits as mean something."""
    return round(score, _SHARE_DIGITS)


def milliseconds_since(started: float) -> float:
    """The time since `started` on the performance counter."""
    return round(1000 * (time.perf_counter() - started), 2)
