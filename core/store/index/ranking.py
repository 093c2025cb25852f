"""Choosing the best of many scores, and looking ids up in sorted ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def best(
    scores: NDArray[np.float32], ids: NDArray[np.int64], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The k best columns of each row, equal scores by ascending id, padded with -1."""
    ids = np.where(np.isneginf(scores), -1, ids)
    if scores.shape[1] > 2 * k:
        scores, ids = _front(scores, ids, k)
    order = np.lexsort((ids, -scores), axis=1)[:, :k]
    scores, ids = np.take_along_axis(scores, order, 1), np.take_along_axis(ids, order, 1)
    short = k - scores.shape[1]
    if short > 0:
        scores = np.pad(scores, ((0, 0), (0, short)), constant_values=-np.inf)
        ids = np.pad(ids, ((0, 0), (0, short)), constant_values=-1)
    return scores.astype(np.float32), ids.astype(np.int64)


def _front(
    scores: NDArray[np.float32], ids: NDArray[np.int64], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """What may be among the k best of each row, found without sorting the rest."""
    least = np.partition(scores, -k, axis=1)[:, -k:].min(axis=1, keepdims=True)
    kept = scores >= least  # whoever ties with the last of the best is in
    width = int(kept.sum(axis=1).max())
    places = np.argsort(~kept, axis=1, kind="stable")[:, :width] if len(scores) > 1 else None
    if places is None:
        return scores[:, kept[0]], ids[:, kept[0]]
    return np.take_along_axis(scores, places, 1), np.take_along_axis(ids, places, 1)


def nothing(queries: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Scores and ids that hold no result for any query."""
    return np.empty((queries, 0), np.float32), np.empty((queries, 0), np.int64)


def member(ids: NDArray[np.int64], among: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of `ids` are in the sorted `among`."""
    if not len(among):
        return np.zeros(len(ids), dtype=bool)
    places = np.minimum(np.searchsorted(among, ids), len(among) - 1)
    return np.equal(among[places], ids)


def rows_of(ids: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where the sorted `ids` hold those of the sorted `wanted` that they do hold."""
    if not len(ids):
        return np.empty(0, np.int64)
    rows = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    held: NDArray[np.int64] = rows[ids[rows] == wanted]
    return held
