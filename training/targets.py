"""What the student shall answer: the teacher's features, centred and turned to 256 axes.

The axes are the principal ones over the whole bank. Unit features of 1280 numbers lose nothing of
their worth for search on these (R@1 of both photo sets is the same or better), and the mean that
all photos share no longer lifts the score of unrelated ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.student import DIMENSION

if TYPE_CHECKING:
    from numpy.typing import NDArray


def make_targets(answers: NDArray[np.float16], photos: NDArray[np.int64]) -> NDArray[np.float32]:
    """Turn `[n, 1280]` features to `[n, 256]` float32 rows of unit length.

    The mean and the axes are those of the views that show a photo, `photos` 0 or more: what is
    searched are photos, not mixtures.
    """
    unit = _unit(answers.astype(np.float32))
    seen = unit[photos >= 0]
    mean = seen.mean(axis=0)
    _, axes = np.linalg.eigh(np.cov((seen - mean).T))
    return _unit((unit - mean) @ axes[:, ::-1][:, :DIMENSION].astype(np.float32))


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled
