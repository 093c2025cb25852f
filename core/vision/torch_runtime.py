"""What every model run by torch shares: device, precision, batches and unit rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from core.errors import SettingsError
from core.vision.attention import is_transformer
from core.vision.eight_bits import REVISION as EIGHT_BITS_REVISION
from core.vision.eight_bits import quantised
from core.vision.embedder import unit_rows
from core.vision.lanes import by_lanes
from core.vision.packed import pack

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from core.vision.models import ModelSource
    from core.vision.preprocessing import Preprocessing

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

_Model = TypeVar("_Model", bound=torch.nn.Module)


@dataclass(frozen=True)
class TorchRuntime:
    """Where a model runs and in which number format."""

    device: torch.device
    dtype: torch.dtype
    eight_bits: bool = False  # of the half that sees pictures; the rest stays in `dtype`

    @classmethod
    def choose(cls, source: ModelSource) -> TorchRuntime:
        """Settle `auto`, and refuse what this machine cannot do.

        Raises:
            SettingsError: naming LOOKALIKE_DEVICE or LOOKALIKE_PRECISION.
        """
        if source.precision == "int8":
            if source.device == "cuda":
                raise SettingsError(
                    "LOOKALIKE_PRECISION=int8 runs on a CPU, but LOOKALIKE_DEVICE=cuda; use auto."
                )
            return cls(torch.device("cpu"), torch.float32, eight_bits=True)
        device = _choose_device(source.device)
        return cls(device, _choose_dtype(source.precision, device))

    @property
    def identity(self) -> str:
        """What this adds to a model's name where it makes vectors of another space."""
        return f"+int8#{EIGHT_BITS_REVISION}" if self.eight_bits else ""

    def place(self, model: _Model) -> _Model:
        """Move a model here, ready for inference."""
        model.eval().requires_grad_(requires_grad=False)
        # Batches arrive with channels last; convolutions on a CPU run faster on that layout.
        for parameter in model.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.to(memory_format=torch.channels_last)
        return model.to(device=self.device, dtype=self.dtype)

    def picture_half(
        self, network: torch.nn.Module, preprocessing: Preprocessing
    ) -> Callable[[torch.Tensor], torch.Tensor]:
        """What maps `raw` pixels to the network's answer as `plainly` does, and sooner if it can.

        Args:
            network: already placed here.
            preprocessing: what the model does to pictures.

        Raises:
            SettingsError: 8 bits are asked for and OpenVINO is missing or cannot express it.
        """
        if self.eight_bits:
            return quantised(
                network, lambda pixels: self.normalised(raw(pixels), preprocessing), preprocessing
            )
        half = self.plainly(network, preprocessing)
        if self.device.type != "cpu":
            return half
        if self.dtype is torch.bfloat16:
            pack(network)
        elif is_transformer(network):
            return half  # large products of matrices, which cores do as well together
        return by_lanes(half)

    def plainly(
        self, network: torch.nn.Module, preprocessing: Preprocessing
    ) -> Callable[[torch.Tensor], torch.Tensor]:
        """What maps `raw` pixels to the network's answer by the network as it is."""

        def half(pixels: torch.Tensor) -> torch.Tensor:
            given: torch.Tensor = network(self.normalised(pixels, preprocessing))
            return given

        return half

    def normalised(self, pixels: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
        """Give what a network expects of `raw` pixels: `[n, 3, size, size]` in this precision.

        Brought to the model's mean and deviation with the arithmetic of torchvision's ``ToTensor``
        and ``Normalize``, in fp32.
        """
        mean = torch.tensor(preprocessing.mean, device=self.device)
        std = torch.tensor(preprocessing.std, device=self.device)
        scaled = pixels.to(self.device).to(torch.float32).div_(255.0).sub_(mean).div_(std)
        return scaled.permute(0, 3, 1, 2).to(self.dtype)


def raw(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """Share the memory of `[n, size, size, 3]` pixels, if it may be; else copy them."""
    return torch.from_numpy(np.require(pixels, requirements=["C", "W"]))


def to_unit_rows(vectors: torch.Tensor) -> NDArray[np.float32]:
    """Bring `[n, d]` vectors to the CPU as float32 rows of unit length.

    Rows without a length become NaN.
    """
    return unit_rows(vectors.to(torch.float32).cpu().numpy())


def _choose_device(requested: str) -> torch.device:
    available = torch.cuda.is_available()
    if requested == "cuda" and not available:
        raise SettingsError(
            "LOOKALIKE_DEVICE=cuda, but torch sees no CUDA GPU on this machine; use cpu or auto."
        )
    if requested == "auto":
        return torch.device("cuda" if available else "cpu")
    return torch.device(requested)


def _choose_dtype(requested: str, device: torch.device) -> torch.dtype:
    if requested == "auto":
        return torch.bfloat16 if _has_native_bf16(device) else torch.float32
    if requested == "fp16" and device.type == "cpu":
        raise SettingsError(
            "LOOKALIKE_PRECISION=fp16 needs a GPU; on a CPU use fp32, bf16 or auto."
        )
    return _DTYPES[requested]


def _has_native_bf16(device: torch.device) -> bool:
    """Whether bf16 is computed by the hardware, rather than emulated at a loss of speed."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
