"""Vectors that lie as a shop's do: in many small groups of uneven size, along few directions.

Given real embeddings, each new vector lies between one of them and one of its nearest neighbours,
moved a little along the directions in which neighbours differ. Without, the same is done with
drawn groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

DIMENSION: Final = 512
_NEIGHBOURS: Final = 10
_SPREAD: Final = 0.6  # of a neighbour's distance
_BATCH: Final = 20_000
_DRAWN_SEEDS: Final = 1_500
_DRAWN_GROUPS: Final = 60


@dataclass(frozen=True)
class VectorSource:
    """Draws unit vectors around seeds."""

    seeds: NDArray[np.float32]  # [s, d], unit length
    near: NDArray[np.int64]  # [s, _NEIGHBOURS]
    real: bool  # whether the seeds are real embeddings

    @classmethod
    def around(cls, embeddings: Path | None) -> VectorSource:
        """Around the rows of an `.npy` file, or around drawn groups."""
        seeds = _unit(np.load(embeddings)) if embeddings else _drawn()
        scores = seeds @ seeds.T
        np.fill_diagonal(scores, -1)
        near = np.argpartition(-scores, _NEIGHBOURS, axis=1)[:, :_NEIGHBOURS]
        return cls(seeds, near, real=embeddings is not None)

    def draw(self, count: int, seed: int) -> NDArray[np.float16]:
        """Give `[count, d]` float16 of unit length, always the same for a seed."""
        dice = np.random.default_rng(seed)
        vectors = np.empty((count, self.seeds.shape[1]), np.float16)
        for start in range(0, count, _BATCH):
            part = vectors[start : start + _BATCH]
            part[:] = self._batch(len(part), dice)
        return vectors

    def _batch(self, count: int, dice: np.random.Generator) -> NDArray[np.float32]:
        first = dice.integers(0, len(self.seeds), count)
        second = self.near[first, dice.integers(0, self.near.shape[1], count)]
        share = dice.random((count, 1), np.float32) / 2
        between = self.seeds[first] * (1 - share) + self.seeds[second] * share
        for _ in range(3):
            one = dice.integers(0, len(self.seeds), count)
            other = self.near[one, dice.integers(0, self.near.shape[1], count)]
            amount = _SPREAD * dice.normal(size=(count, 1)).astype(np.float32)
            between += amount * (self.seeds[one] - self.seeds[other])
        return _unit(between)


def _drawn() -> NDArray[np.float32]:
    dice = np.random.default_rng(0)
    groups = dice.normal(size=(_DRAWN_GROUPS, DIMENSION))
    member = dice.zipf(1.5, _DRAWN_SEEDS) % _DRAWN_GROUPS
    scales = 1 / np.sqrt(1 + np.arange(DIMENSION))
    return _unit(groups[member] * 0.1 + dice.normal(size=(_DRAWN_SEEDS, DIMENSION)) * scales)


def _unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(
        np.float32
    )
    return scaled
