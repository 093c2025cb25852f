"""Choosing the best of many scores, and looking ids up in sorted ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def best(
    scores: NDArray[np.float32], ids: NDArray[np.int64], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The k best columns of each row, as `best_of` gives them."""
    rows = [best_of(*row, k) for row in zip(scores, ids, strict=True)]
    if not rows:
        return np.empty((0, k), np.float32), np.empty((0, k), np.int64)
    return np.stack([row[0] for row in rows]), np.stack([row[1] for row in rows])


def best_of(
    scores: NDArray[np.float32], ids: NDArray[np.int64], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The k best, equal scores by ascending id, padded with -1; what has no score is left out."""
    held = (scores > -np.inf) & (ids >= 0)  # a score that is not a number is none
    if not held.all():
        scores, ids = scores[held], ids[held]
    if len(scores) > 2 * k:
        # Found without sorting the rest; whoever ties with the last of the best is in.
        front = scores >= np.partition(scores, -k)[-k]
        scores, ids = scores[front], ids[front]
    order = np.lexsort((ids, -scores))[:k]
    scores, ids = scores[order].astype(np.float32), ids[order].astype(np.int64)
    short = k - len(order)
    if short > 0:
        scores = np.append(scores, np.full(short, -np.inf, np.float32))
        ids = np.append(ids, np.full(short, -1))
    return scores, ids


def nothing(queries: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Scores and ids that hold no result for any query."""
    return np.empty((queries, 0), np.float32), np.empty((queries, 0), np.int64)


def member(ids: NDArray[np.signedinteger], among: NDArray[np.signedinteger]) -> NDArray[np.bool_]:
    """Which of `ids` are in the sorted `among`."""
    if not len(among):
        return np.zeros(len(ids), dtype=bool)
    places = np.minimum(np.searchsorted(among, ids), len(among) - 1)
    found: NDArray[np.bool_] = among[places] == ids
    return found


def rows_of(ids: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where the sorted `ids` hold those of the sorted `wanted` that they do hold."""
    if not len(ids):
        return np.empty(0, np.int64)
    rows = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    held: NDArray[np.int64] = rows[ids[rows] == wanted]
    return held
