"""A model of few dimensions, so that a large catalogue is cheap: the built-in one, projected."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from core.vision.classic import ClassicEmbedder
from core.vision.embedder import unit_rows
from core.vision.models import FAMILIES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.vision.models import ModelSource

DIMENSION: Final = 16
TINY_FAMILY = replace(FAMILIES[0], name="tiny", module="tests.tiny_model")


def load(source: ModelSource) -> TinyEmbedder:
    return TinyEmbedder(source)


class TinyEmbedder(ClassicEmbedder):
    """The built-in descriptor in 16 random directions."""

    def __init__(self, source: ModelSource) -> None:
        super().__init__(source)
        shape = (self.dimension, DIMENSION)
        self._directions = np.random.default_rng(5).normal(size=shape).astype(np.float32)
        self.dimension = DIMENSION
        self.fingerprint = "71" * 16

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return unit_rows(super().embed(pixels) @ self._directions)
