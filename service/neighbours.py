"""What the nearest photos of the catalogue say of a picture, by a weighted vote.

Wu et al., Unsupervised Feature Learning via Non-Parametric Instance Discrimination, CVPR 2018: a
neighbour's vote weighs exp(cosine / 0.07), so that near ones count for more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from core.store.view import CatalogueView, Found

SOURCE: Final = "neighbours"
CATEGORY: Final = "category"
"""The attribute that says what a product is."""

_VOTERS: Final = 10
_TEMPERATURE: Final = 0.07


@dataclass(frozen=True)
class Vote:
    """A value of an attribute and how much of the vote it has."""

    key: str
    value: str
    score: float  # share of all voters' weight, 0 to 1


def vote_on(snapshot: CatalogueView, vector: NDArray[np.float32], key: str) -> list[Vote]:
    """Have the nearest photos that have an attribute vote on its value, the most voted first."""
    found = snapshot.search(vector, 4 * _VOTERS)
    voters = [match for match in found if key in match.entry.attributes][:_VOTERS]
    if len(voters) < _VOTERS:
        voters = snapshot.search_having(vector, _VOTERS, key)
    return _count(voters, {key})


def vote_on_all(snapshot: CatalogueView, vector: NDArray[np.float32], keys: set[str]) -> list[Vote]:
    """Have the nearest photos vote on several attributes, the most voted values first."""
    return _count(snapshot.search(vector, _VOTERS), keys)


def _count(voters: list[Found], keys: set[str]) -> list[Vote]:
    if not voters:
        return []
    best = voters[0].score
    weights = [math.exp((voter.score - best) / _TEMPERATURE) for voter in voters]
    total = sum(weights)
    shares: dict[tuple[str, str], float] = {}
    for voter, weight in zip(voters, weights, strict=True):
        for key, value in voter.entry.attributes.items():
            if key in keys:
                shares[key, value] = shares.get((key, value), 0.0) + weight / total
    votes = [Vote(key, value, min(share, 1.0)) for (key, value), share in shares.items()]
    return sorted(votes, key=lambda vote: (-vote.score, vote.key, vote.value))
