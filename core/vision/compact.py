"""The model that ships with Lookalike: a small network beside the descriptor of `classic`.

The network says what a thing is, as far as six megabytes can; the descriptor says which colours and
outline it has. A linear map joins both. `training/` makes the weights, `data/models/compact.md`
says of what. The shipped file is held against its checksum before it is read; a file of one's own
(LOOKALIKE_MODEL_WEIGHTS) is not.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import timm
import torch

from core.errors import ModelLoadError
from core.vision.classic_parts import PART_SIZES, SIDE, describe
from core.vision.embedder import Embedder, space_fingerprint, unit_rows
from core.vision.folding import fold_norms
from core.vision.lanes import passes_at_once
from core.vision.models import default_threshold, find_family
from core.vision.preprocessing import Preprocessing
from core.vision.torch_runtime import TorchRuntime, raw, to_unit_rows
from core.vision.weights import fill, read_state_dict, weights_hash

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.vision.models import ModelSource

WEIGHTS: Final = Path(__file__).parents[2] / "data" / "models" / "compact.safetensors"
"""In a clone, in the container and, as the package `data.models`, where a wheel is installed."""

WEIGHTS_SHA256: Final = "c37d03ca2f24ae4b2daa5c92cbc1bf2a002d7734580c9e654154f736148e96b9"
"""With other weights, raise the family's revision in `core/vision/models.py` too."""

ARCHITECTURE: Final = "mobilenetv4_conv_small"
NETWORK_DIMENSION: Final = 256
DIMENSION: Final = 256

PREPROCESSING: Final = Preprocessing(
    size=SIDE,
    resize_to=SIDE,
    resampling="bilinear",
    mode="squash",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)


class CompactNetwork(torch.nn.Module):
    """What the weights file holds: the network, and the map that joins it with the descriptor."""

    def __init__(self) -> None:
        super().__init__()
        self.network: Any = timm.create_model(ARCHITECTURE, num_classes=NETWORK_DIMENSION)
        self.mix = torch.nn.Linear(NETWORK_DIMENSION + sum(PART_SIZES.values()), DIMENSION)


def load(source: ModelSource) -> CompactEmbedder:
    """Load the network with the shipped weights, or with a file of one's own.

    Raises:
        SettingsError: the device or precision does not exist here.
        ModelLoadError: the weights are missing, changed, or do not fit.
    """
    runtime = TorchRuntime.choose(source)
    if source.weights is None:
        check_shipped_weights(WEIGHTS)
    model = CompactNetwork()
    fill(model, read_state_dict(source.weights or WEIGHTS), source.spec)
    return CompactEmbedder(source, model, runtime)


def check_shipped_weights(path: Path) -> None:
    """Hold the shipped file against its checksum.

    Raises:
        ModelLoadError: it is missing, or holds other bytes.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelLoadError(
            f"The weights that ship with Lookalike, {path}, cannot be read: {error.strerror}. "
            "Install Lookalike again, or choose LOOKALIKE_MODEL=classic, which needs none."
        ) from error
    if hashlib.sha256(content).hexdigest() != WEIGHTS_SHA256:
        raise ModelLoadError(
            f"{path} is not the file that ships with Lookalike. Install Lookalike again; weights "
            "of your own belong elsewhere, named by LOOKALIKE_MODEL_WEIGHTS."
        )


class CompactEmbedder(Embedder):
    """Network, descriptor and map as a model.

    Args:
        source: what was asked for.
        model: filled with weights, on the CPU in fp32.
        runtime: where the network shall run.
    """

    def __init__(self, source: ModelSource, model: CompactNetwork, runtime: TorchRuntime) -> None:
        self.spec = source.spec
        self.preprocessing = PREPROCESSING
        self.default_threshold = default_threshold(source)
        self.device = runtime.device.type
        self.dimension = DIMENSION
        self.fingerprint = space_fingerprint(
            f"{source.spec}#{find_family(source).revision}{runtime.identity}",
            weights_hash(model),
            self.preprocessing,
            self.dimension,
        )
        self._matrix: NDArray[np.float32] = model.mix.weight.detach().numpy().copy()
        self._offset: NDArray[np.float32] = model.mix.bias.detach().numpy().copy()
        network = runtime.place(fold_norms(model.network.eval()))
        self._network = runtime.picture_half(network, PREPROCESSING)
        self.passes_at_once = passes_at_once(self._network)

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed `[n, image_size, image_size, 3]` uint8 to `[n, dimension]` unit float32."""
        with torch.inference_mode():
            seen = to_unit_rows(self._network(raw(pixels)))
        described = np.stack([describe(picture) for picture in pixels])
        joined = np.concatenate([seen, described], axis=1)
        return unit_rows(joined @ self._matrix.T + self._offset)
