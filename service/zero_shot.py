"""Names for a picture by comparing it with words, where the model has a text tower.

Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021:
the vector of a label is the mean over several sentences about it, and the scores are the softmax
of the cosines, scaled as those models were trained.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import numpy as np

from core.vision.embedder import Prediction, unit_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from core.vision.embedder import Embedder
    from service.batcher import Batcher

SOURCE: Final = "zero-shot"

_SENTENCES: Final = ("a photo of a {}.", "a product photo of a {}.")
_TEXTS_AT_ONCE: Final = 32
"""Sentences in one pass; uploads wait for no more than that while the labels are embedded."""
_SCALE: Final = 100.0
_MOST_MODELS: Final = 2
"""Models whose label vectors are kept: while a model is replaced there are two."""


class ZeroShot:
    """Compares pictures with a list of labels."""

    def __init__(self, labels: Sequence[str], batcher: Batcher) -> None:
        self.labels = tuple(labels)
        self._batcher = batcher
        self._vectors: dict[str, asyncio.Task[NDArray[np.float32]]] = {}  # by fingerprint

    async def predict(
        self, embedder: Embedder, vector: NDArray[np.float32], top: int
    ) -> list[Prediction]:
        """Give the labels that fit a picture's `[d]` unit vector best, best first.

        Empty where the model reads no text.

        Raises:
            ModelError: the model failed on the labels.
        """
        if not embedder.supports_text:
            return []
        return closest(self.labels, await self._label_vectors(embedder), vector, top)

    async def _label_vectors(self, embedder: Embedder) -> NDArray[np.float32]:
        """One unit vector for each label: `[len(labels), d]`, made once for each model."""
        task = self._vectors.get(embedder.fingerprint)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = asyncio.ensure_future(self._embed_labels(embedder))
            self._vectors[embedder.fingerprint] = task
            for old in list(self._vectors)[:-_MOST_MODELS]:
                del self._vectors[old]
        # The request that asked first may be given up; the others still want the vectors.
        return await asyncio.shield(task)

    async def _embed_labels(self, embedder: Embedder) -> NDArray[np.float32]:
        texts = sentences(self.labels)
        rows = [
            await self._batcher.embed_texts(embedder, texts[start : start + _TEXTS_AT_ONCE])
            for start in range(0, len(texts), _TEXTS_AT_ONCE)
        ]
        return label_vectors(self.labels, np.concatenate(rows))


def sentences(labels: Sequence[str]) -> list[str]:
    """What a model is asked to embed for the labels."""
    return [sentence.format(label) for label in labels for sentence in _SENTENCES]


def label_vectors(labels: Sequence[str], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """One unit vector for each label, `[len(labels), d]`, from those of its sentences."""
    return unit_rows(vectors.reshape(len(labels), len(_SENTENCES), -1).mean(axis=1))


def closest(
    labels: Sequence[str], vectors: NDArray[np.float32], vector: NDArray[np.float32], top: int
) -> list[Prediction]:
    """The labels whose vectors are nearest to a picture's `[d]` unit vector, best first."""
    cosines = vectors @ vector
    shares = np.exp(_SCALE * (cosines - cosines.max()))
    shares /= shares.sum()
    best = np.argsort(-shares, kind="stable")[:top]
    return [Prediction(labels[place], float(shares[place]), SOURCE) for place in best]
