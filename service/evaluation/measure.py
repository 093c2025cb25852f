"""Figures of a search: from vectors and labels alone, whatever made them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from core.errors import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

THRESHOLDS: Final = tuple(round(0.05 * step, 2) for step in range(2, 20))
"""Scores that the table asks about, 0.10 to 0.95."""

_BLOCK: Final = 256  # queries compared with the whole gallery at once
_SHOWN: Final = 4  # first matches kept of a miss


@dataclass(frozen=True)
class Labelled:
    """Vectors and what they show."""

    vectors: NDArray[np.float32]  # `[n, d]`, unit rows
    labels: list[str]  # n of them
    contents: list[bytes]  # n hashes: photos with one hash are one photo


@dataclass(frozen=True)
class ThresholdRow:
    """What a least score is worth."""

    threshold: float
    answered: float  # share of the queries that have a match
    first_right: float | None  # of those, the share whose first match is right; None: none has one
    precision: float | None  # share of all matches that are right; None: there are no matches
    recall: float  # share of all right photos that are matches


@dataclass(frozen=True)
class Miss:
    """A query whose first match is wrong."""

    query: int  # its place among the queries
    first: list[int]  # places of its first matches in the gallery, best first
    right: int  # place of the best right one
    lead: float  # by how much the wrong one scores higher


@dataclass(frozen=True)
class Figures:
    """How well the gallery answers the queries."""

    queries: int
    gallery: int
    alone: int  # queries left out, because the gallery holds no other photo of their label
    recall_at_1: float
    recall_at_5: float
    mean_average_precision: float
    thresholds: list[ThresholdRow]
    misses: list[Miss]  # the widest lead first


def measure(queries: Labelled, gallery: Labelled, default_threshold: float) -> Figures:
    """Ask the gallery about each query, leaving the query itself and its copies out.

    Raises:
        EvaluationError: the gallery has no photo that any query could find.
    """
    tally = _Tally(default_threshold)
    for places, scores, right in _blocks(queries, gallery):
        tally.take(places, scores, right)
    if not tally.firsts:
        raise EvaluationError(
            "No query can be answered: every label has one photo only. Give a label two photos "
            "or more, or a gallery that has the same labels."
        )
    return tally.figures(len(queries.labels), len(gallery.labels))


def first_places(queries: Labelled, gallery: Labelled) -> NDArray[np.int64]:
    """The place of each query's nearest photo, itself and its copies included: `[n]` int64."""
    nearest = [
        (queries.vectors[start : start + _BLOCK] @ gallery.vectors.T).argmax(axis=1)
        for start in range(0, len(queries.vectors), _BLOCK)
    ]
    return np.concatenate(nearest).astype(np.int64)


def _blocks(
    queries: Labelled, gallery: Labelled
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_]]]:
    """Places `[b]` of queries that have something to find, scores and rightness `[b, m]`."""
    labels, contents = np.array(gallery.labels), np.array(gallery.contents)
    for start in range(0, len(queries.labels), _BLOCK):
        part = slice(start, start + _BLOCK)
        same = np.array(queries.contents[part])[:, None] == contents
        right = (np.array(queries.labels[part])[:, None] == labels) & ~same
        scores = queries.vectors[part] @ gallery.vectors.T
        scores[same] = -np.inf
        useful = np.flatnonzero(right.any(axis=1))
        if len(useful):
            yield useful + start, scores[useful], right[useful]


class _Tally:
    """What has been counted so far."""

    def __init__(self, default_threshold: float) -> None:
        self.firsts: list[int] = []  # of each query asked, 1 if right
        self._fives: list[int] = []
        self._precisions: list[float] = []
        self._misses: list[Miss] = []
        self._thresholds = sorted({*THRESHOLDS, round(default_threshold, 4)})
        self._answered = np.zeros((len(self._thresholds), 2), np.int64)  # all, first right
        self._pairs = np.zeros((len(self._thresholds), 2), np.int64)  # all, right
        self._right = 0

    def take(
        self, places: NDArray[np.int64], scores: NDArray[np.float32], right: NDArray[np.bool_]
    ) -> None:
        order = np.argsort(-scores, axis=1, kind="stable")
        ranked = np.take_along_axis(right, order, axis=1)
        self.firsts += ranked[:, 0].astype(int).tolist()
        self._fives += ranked[:, :5].any(axis=1).astype(int).tolist()
        self._precisions += _average_precision(ranked).tolist()
        self._right += int(right.sum())
        best = scores.max(axis=1)
        for row, threshold in enumerate(self._thresholds):
            over, matches = best >= threshold, scores >= threshold
            self._answered[row] += (over.sum(), (over & ranked[:, 0]).sum())
            self._pairs[row] += (matches.sum(), (matches & right).sum())
        for miss in np.flatnonzero(~ranked[:, 0]).tolist():
            nearest = int(np.where(right[miss], scores[miss], -np.inf).argmax())
            lead = float(best[miss] - scores[miss, nearest])
            first = order[miss, :_SHOWN].tolist()
            self._misses.append(Miss(int(places[miss]), first, nearest, lead))

    def figures(self, queries: int, gallery: int) -> Figures:
        asked = len(self.firsts)
        rows = [
            ThresholdRow(
                threshold=threshold,
                answered=int(answered) / asked,
                first_right=_share(first_right, answered),
                precision=_share(right, matches),
                recall=int(right) / self._right,
            )
            for threshold, (answered, first_right), (matches, right) in zip(
                self._thresholds, self._answered, self._pairs, strict=True
            )
        ]
        return Figures(
            queries=asked,
            gallery=gallery,
            alone=queries - asked,
            recall_at_1=float(np.mean(self.firsts)),
            recall_at_5=float(np.mean(self._fives)),
            mean_average_precision=float(np.mean(self._precisions)),
            thresholds=rows,
            misses=sorted(self._misses, key=lambda miss: (-miss.lead, miss.query)),
        )


def _average_precision(ranked: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The mean, over the right photos of each row `[b, m]`, of the precision down to each."""
    found = ranked.cumsum(axis=1)
    precision = found / np.arange(1, ranked.shape[1] + 1)
    means: NDArray[np.float64] = (precision * ranked).sum(axis=1) / found[:, -1]
    return means


def _share(part: np.int64, whole: np.int64) -> float | None:
    return int(part) / int(whole) if whole else None
