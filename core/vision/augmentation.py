"""Averages over views of a picture at embedding: steadier vectors for twice the work.

Part of the space's fingerprint: vectors with and without never mix.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import numpy as np

from core.vision.embedder import Embedder, Prediction, unit_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FLIP_SUFFIX: Final = "+flip"
"""What a spec ends with where the vectors are averages of a picture and its mirror image."""


class FlipAveraged(Embedder):
    """Another embedder, averaged over a picture and its mirror image."""

    def __init__(self, inner: Embedder) -> None:
        self._inner = inner
        self.spec = inner.spec + FLIP_SUFFIX
        self.fingerprint = hashlib.sha256(f"{inner.fingerprint}:flip".encode()).hexdigest()[:32]
        self.dimension = inner.dimension
        self.preprocessing = inner.preprocessing
        self.device = inner.device
        self.default_threshold = inner.default_threshold
        self.default_text_threshold = inner.default_text_threshold
        self.light = inner.light
        self.passes_at_once = inner.passes_at_once
        self.supports_text = inner.supports_text
        self.supports_classes = inner.supports_classes

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Embedder.embed`."""
        mirrored = np.ascontiguousarray(pixels[:, :, ::-1])
        return unit_rows(self._inner.embed(pixels) + self._inner.embed(mirrored))

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `Embedder.embed_texts`."""
        return self._inner.embed_texts(texts)

    def classify(self, pixels: NDArray[np.uint8], top: int) -> list[list[Prediction]]:
        """See `Embedder.classify`."""
        return self._inner.classify(pixels, top)
