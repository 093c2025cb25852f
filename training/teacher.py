"""The teacher: timm's mobilenetv2_100, run by OpenVINO, several times as fast as torch on a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import openvino
import timm
import torch
from safetensors.torch import load_file

from training.views import VIEW_SIZE

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_STD = np.array([0.229, 0.224, 0.225], np.float32)


class Teacher:
    """Answers about views.

    Args:
        weights: safetensors file of timm's mobilenetv2_100.
    """

    dimension = 1280

    def __init__(self, weights: Path) -> None:
        model = timm.create_model("mobilenetv2_100")
        stored = {name: tensor.float() for name, tensor in load_file(weights).items()}
        missing = model.load_state_dict(stored, strict=False).missing_keys
        if [name for name in missing if not name.endswith("num_batches_tracked")]:
            raise SystemExit(f"{weights} is not mobilenetv2_100: {missing[:3]} are missing.")
        example = torch.zeros(1, 3, VIEW_SIZE, VIEW_SIZE)
        graph = openvino.convert_model(
            _Features(model.eval()), example_input=example, input=[-1, 3, VIEW_SIZE, VIEW_SIZE]
        )
        self._run: Any = openvino.Core().compile_model(graph, "CPU")

    def answer(self, views: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Pooled features of `[n, 224, 224, 3]` uint8 views: `[n, 1280]` float16."""
        scaled = (views.astype(np.float32) / 255 - _MEAN) / _STD
        features: NDArray[np.float32] = self._run(
            np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))
        )[0]
        return features.astype(np.float16)


class _Features(torch.nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.model.forward_head(
            self.model.forward_features(pictures), pre_logits=True
        )
        return features
