"""The contract every model obeys: prepared pictures in, unit vectors out."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.errors import NoTextTowerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from PIL import Image

    from core.vision.preprocessing import Preprocessing


@dataclass(frozen=True)
class Prediction:
    """One class a picture may belong to."""

    label: str
    score: float  # share of belief, 0 to 1
    source: str  # where it comes from: classifier, zero-shot or neighbours


class Embedder(ABC):
    """A model that turns pictures into vectors whose inner product is their cosine.

    `prepare` is cheap and may run in any thread or process; `embed` runs the model and is called
    from no more threads at a time than `passes_at_once`, the other methods from one.
    """

    spec: str  # as in LOOKALIKE_MODEL
    fingerprint: str  # two embedders with the same fingerprint make comparable vectors
    dimension: int
    preprocessing: Preprocessing
    device: str  # cpu or cuda
    default_threshold: float  # least score of a match, where the operator chose none

    # The same for a match with a text: texts and pictures lie apart even where they agree.
    default_text_threshold: float = 0.2

    # Plain arithmetic without weights, so that a decoding process can run it on its own pictures.
    light: bool = False

    passes_at_once: int = 1  # threads that keep every core busy, and that `embed` bears

    supports_text: bool = False
    supports_classes: bool = False

    @property
    def image_size(self) -> int:
        """Side of the square that `prepare` makes, in pixels."""
        return self.preprocessing.size

    def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
        """Give the `[image_size, image_size, 3]` uint8 pixels of an RGB picture."""
        return self.preprocessing.prepare(image)

    @abstractmethod
    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed prepared pictures.

        Args:
            pixels: `[n, image_size, image_size, 3]` uint8, n at least 1.

        Returns:
            `[n, dimension]` float32, each row of unit length and independent of the other rows.
            A row the model could make nothing of is not finite; callers check.
        """

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts into the space of the pictures: `[n, dimension]` float32 of unit length.

        Raises:
            NoTextTowerError: the model has none.
        """
        del texts
        raise NoTextTowerError(
            f"{self.spec} embeds pictures only; text needs a model with a text tower, for "
            "instance LOOKALIKE_MODEL=open_clip:ViT-B-32/laion2b_s34b_b79k."
        )

    def classify(self, pixels: NDArray[np.uint8], top: int) -> list[list[Prediction]]:
        """Name the `top` likeliest classes of each picture, best first; empty where it has none."""
        del top
        return [[] for _ in pixels]

    def embed_and_classify(
        self, pixels: NDArray[np.uint8], top: int
    ) -> tuple[NDArray[np.float32], list[list[Prediction]]]:
        """`embed` and `classify` together; a model with its own classes needs one pass for both."""
        return self.embed(pixels), self.classify(pixels, top)


def unit_rows(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Scale each row to length 1; a row without a length becomes NaN, which callers refuse."""
    rows = np.asarray(vectors, dtype=np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled


def space_fingerprint(
    spec: str, weights_hash: str, preprocessing: Preprocessing, dimension: int
) -> str:
    """Name the vector space of a model: 32 hex digits over all that shapes its vectors."""
    parts = repr((spec, weights_hash, astuple(preprocessing), dimension))
    return hashlib.sha256(parts.encode()).hexdigest()[:32]
