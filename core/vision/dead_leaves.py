"""Pictures of dead leaves: shapes of every size that hide each other.

Lee, Mumford and Huang, Occlusion models for natural images, IJCV 2001: edges, areas and contrasts
of such pictures are spread much as those of photos, and no photo is needed to draw them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LEAVES: Final = (20, 400)  # fewest and most of a picture
_SMALLEST: Final = 0.03  # chance that a leaf is as large as it gets


def draw_pictures(count: int, size: int, seed: int = 0) -> NDArray[np.uint8]:
    """Draw `[count, size, size, 3]` uint8 pictures, the same for the same arguments."""
    dice = np.random.default_rng(seed)
    return np.stack([_picture(size, dice) for _ in range(count)])


def _picture(size: int, dice: np.random.Generator) -> NDArray[np.uint8]:
    canvas = np.empty((size, size, 3), np.float32)
    canvas[:] = dice.uniform(0, 255, 3)
    for _ in range(int(dice.integers(*_LEAVES))):
        _lay_leaf(canvas, dice)
    return np.clip(canvas, 0, 255).astype(np.uint8)


def _lay_leaf(canvas: NDArray[np.float32], dice: np.random.Generator) -> None:
    """Lay an ellipse or a box of one shaded, grainy colour over what is there."""
    size = len(canvas)
    radius = 0.02 * size * dice.uniform(0.5, 2) / np.sqrt(dice.uniform(_SMALLEST, 1))
    x, y = dice.uniform(-0.1, 1.1, 2) * size
    turn, slimness, boxed = dice.uniform(0, np.pi), dice.uniform(0.3, 1), dice.random() < 0.5
    reach = int(np.ceil(1.5 * radius))
    left, top = max(0, int(x) - reach), max(0, int(y) - reach)
    part = canvas[top : int(y) + reach + 1, left : int(x) + reach + 1]
    if not part.size:
        return
    rows, columns = np.mgrid[: part.shape[0], : part.shape[1]]
    right, down = columns + (left - x), rows + (top - y)
    along = (right * np.cos(turn) + down * np.sin(turn)) / radius
    across = (down * np.cos(turn) - right * np.sin(turn)) / (radius * slimness)
    box, ellipse = np.maximum(np.abs(along), np.abs(across)), np.hypot(along, across)
    inside = (box if boxed else ellipse) < 1
    shade = dice.uniform(-60, 60) * along[inside][:, None]
    grain = dice.normal(0, dice.uniform(0, 20), (int(inside.sum()), 1))
    part[inside] = dice.uniform(0, 255, 3) + shade + grain
