"""The model that needs no weights and no network: a descriptor of colour, shape and texture.

`classic_parts` says what it measures. The mean over many photos is taken away, so that unrelated
pictures score near zero, and the parts are weighed against each other. Each picture is worked out
alone, so a row never depends on its batch; a picture and its mirror image have the same row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from core.vision.classic_mean import mean_parts
from core.vision.classic_parts import PART_SIZES, SIDE, describe
from core.vision.embedder import Embedder, space_fingerprint, unit_rows
from core.vision.models import default_threshold, find_family
from core.vision.preprocessing import Preprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.vision.models import ModelSource

PREPROCESSING: Final = Preprocessing(
    size=SIDE,
    resize_to=SIDE,
    resampling="bilinear",
    mode="squash",
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
)

_WEIGHTS: Final = {"colour": 1.2, "shape": 0.8, "outline": 0.4, "edges": 0.4, "texture": 0.3}
"""What each part counts: colour first, because it tells products of one kind apart."""


def load(source: ModelSource) -> ClassicEmbedder:
    """Give the descriptor; there is nothing to load, and it always runs on the CPU."""
    return ClassicEmbedder(source)


class ClassicEmbedder(Embedder):
    """The descriptor as a model."""

    light = True

    def __init__(self, source: ModelSource) -> None:
        self.spec = source.spec
        self.preprocessing = PREPROCESSING
        self.default_threshold = default_threshold(source)
        self.device = "cpu"
        self.dimension = sum(PART_SIZES.values())
        self.fingerprint = space_fingerprint(
            source.spec,
            f"revision {find_family(source).revision}",
            self.preprocessing,
            self.dimension,
        )
        self._mean, lengths = mean_parts()
        scales = [_WEIGHTS[part] / length for part, length in zip(PART_SIZES, lengths, strict=True)]
        self._scale = np.repeat(np.array(scales, np.float32), list(PART_SIZES.values()))

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed `[n, image_size, image_size, 3]` uint8 to `[n, dimension]` unit float32."""
        rows = np.stack([describe(picture) for picture in pixels])
        return unit_rows((rows - self._mean) * self._scale)
