"""A small network that a shop trains on photos of its own: `training/` makes the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import timm
import torch

from core.errors import ModelLoadError
from core.vision.embedder import Embedder, space_fingerprint
from core.vision.models import default_threshold, find_family
from core.vision.preprocessing import Preprocessing, resize_for_crop
from core.vision.torch_runtime import TorchRuntime, to_unit_rows
from core.vision.weights import fill, read_state_dict, weights_hash

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from core.vision.models import ModelSource

ARCHITECTURE: Final = "mobilenetv4_conv_small"
DIMENSION: Final = 256
SIZE: Final = 128

PREPROCESSING: Final = Preprocessing(
    size=SIZE,
    resize_to=resize_for_crop(SIZE, 0.875),
    resampling="bicubic",
    mode="crop",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)


def load(source: ModelSource) -> CompactEmbedder:
    """Load the network with weights that `training.distil` wrote.

    Raises:
        SettingsError: the device or precision does not exist here.
        ModelLoadError: no weights are named, or they are missing or do not fit.
    """
    runtime = TorchRuntime.choose(source)
    if source.weights is None:
        raise ModelLoadError(
            "The model 'compact' has no weights of its own: train some as training/README.md says "
            "and name the file in LOOKALIKE_MODEL_WEIGHTS."
        )
    model = timm.create_model(ARCHITECTURE, pretrained=False, num_classes=DIMENSION)
    fill(model, read_state_dict(source.weights), source.spec)
    return CompactEmbedder(source, model, runtime)


class CompactEmbedder(Embedder):
    """The network as a model.

    Args:
        source: what was asked for.
        model: filled with weights, on the CPU in fp32.
        runtime: where it shall run.
    """

    def __init__(self, source: ModelSource, model: torch.nn.Module, runtime: TorchRuntime) -> None:
        self.spec = source.spec
        self.preprocessing = PREPROCESSING
        self.default_threshold = default_threshold(source)
        self.device = runtime.device.type
        self.dimension = DIMENSION
        self.fingerprint = space_fingerprint(
            f"{source.spec}#{find_family(source).revision}",
            weights_hash(model),
            self.preprocessing,
            self.dimension,
        )
        self._runtime = runtime
        self._model = runtime.place(model)

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed `[n, image_size, image_size, 3]` uint8 to `[n, dimension]` unit float32."""
        with torch.inference_mode():
            return to_unit_rows(self._model(self._runtime.batch(pixels, self.preprocessing)))
