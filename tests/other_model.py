"""A second model for tests of model changes: the built-in one with its axes turned round."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from core.vision.classic import ClassicEmbedder
from core.vision.models import FAMILIES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.vision.models import ModelSource

OTHER_FAMILY = replace(FAMILIES[0], name="other", module="tests.other_model")


def load(source: ModelSource) -> OtherEmbedder:
    return OtherEmbedder(source)


class OtherEmbedder(ClassicEmbedder):
    """Its vectors fit no other model's."""

    light = False  # decoding processes know the built-in families only

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.ascontiguousarray(super().embed(pixels)[:, ::-1])
