"""Vectors that lie as a shop's do: in many small groups of uneven size, along few directions.

Given real embeddings, each new vector starts at one of them, is moved towards and away from some of
its nearest neighbours, and a little along the directions in which all of them differ. The amounts
are such that as many drawn vectors as there are real ones have the local dimension of the real ones
and slightly lower scores to their neighbours: `python -m benchmarks.vectors FILE` prints both.
Without real ones, the same is done with drawn groups.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIMENSION: Final = 512
_NEIGHBOURS: Final = 20
_MOVES: Final = 3  # along so many lines to neighbours
_STEP: Final = 0.4  # of the way, times a normal number
_SPREAD: Final = 0.35  # of the deviation of all seeds
_BATCH: Final = 20_000
_DRAWN_SEEDS: Final = 1_500
_DRAWN_GROUPS: Final = 60


@dataclass(frozen=True)
class VectorSource:
    """Draws unit vectors around seeds."""

    seeds: NDArray[np.float32]  # [s, d], unit length
    near: NDArray[np.int64]  # [s, _NEIGHBOURS]
    directions: NDArray[np.float32]  # [d, d]: normal numbers to the seeds' covariance
    real: bool  # whether the seeds are real embeddings

    @classmethod
    def around(cls, embeddings: Path | None) -> VectorSource:
        """Around the rows of an `.npy` file, or around drawn groups."""
        if embeddings is None:
            return cls.around_rows(_drawn(), real=False)
        return cls.around_rows(_unit(np.load(embeddings)))

    @classmethod
    def around_rows(cls, seeds: NDArray[np.float32], *, real: bool = True) -> VectorSource:
        """Around `[s, d]` unit vectors, more than `_NEIGHBOURS` of them."""
        scores = seeds @ seeds.T
        np.fill_diagonal(scores, -1)
        near = np.argpartition(-scores, _NEIGHBOURS, axis=1)[:, :_NEIGHBOURS]
        strengths, axes = np.linalg.eigh(np.cov(seeds.T))
        directions = (axes * np.sqrt(np.maximum(strengths, 0))).T.astype(np.float32)
        return cls(seeds, near, directions, real)

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
        moved = self.seeds[first].copy()
        for _ in range(_MOVES):
            near = self.near[first, dice.integers(0, _NEIGHBOURS, count)]
            amount = _STEP * dice.standard_normal((count, 1), np.float32)
            moved += amount * (self.seeds[near] - self.seeds[first])
        noise = dice.standard_normal((count, len(self.directions)), np.float32)
        return _unit(moved + _SPREAD * noise @ self.directions)


def local_figures(vectors: NDArray[np.float32], k: int = 20) -> tuple[float, float, float]:
    """Medians over unit vectors `[n, d]`: local dimension, score of the nearest, of the tenth.

    The dimension is the maximum-likelihood one of Levina and Bickel, Maximum Likelihood Estimation
    of Intrinsic Dimension, NeurIPS 2004, over `k` neighbours.
    """
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -2)
    best = -np.sort(-scores, axis=1)[:, :k]
    distances = np.sqrt(np.maximum(1e-9, 2 - 2 * best))
    dimension = 1 / np.log(distances[:, k - 1 : k] / distances[:, : k - 1]).mean(axis=1)
    return float(np.median(dimension)), float(np.median(best[:, 0])), float(np.median(best[:, 9]))


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


def main() -> None:
    """Print the figures of the seeds and of as many drawn vectors."""
    source = VectorSource.around(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    drawn = source.draw(len(source.seeds), 1).astype(np.float32)
    for name, rows in (("seeds", source.seeds), ("drawn", drawn)):
        dimension, nearest, tenth = local_figures(rows)
        print(f"{name}: local dimension {dimension:.1f}, nearest {nearest:.3f}, tenth {tenth:.3f}")


if __name__ == "__main__":
    main()
