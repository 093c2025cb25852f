"""A network in 8 bits, run by OpenVINO: two to three times as fast on many processors.

Weights and activations become 8-bit integers (Jacob et al., Quantization and Training of Neural
Networks for Efficient Integer-Arithmetic-Only Inference, CVPR 2018). What each activation ranges
over is seen on drawn pictures, the same at every load, so that the vectors depend on no catalogue
and every process makes the same ones. In floating point
stays what costs little and would lose much: convolutions in groups, the first of all and the last.
An optional extra:
`pip install -r requirements-openvino.txt`.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from contextlib import contextmanager, redirect_stdout
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import torch

from core.errors import SettingsError
from core.vision.dead_leaves import draw_pictures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

LIBRARIES: Final = ("nncf", "openvino")
"""Distributions whose version can change the vectors."""

REVISION: Final = 2
"""Raised when other vectors are made of the same weights."""

_PICTURES: Final = 128


def quantised(
    network: torch.nn.Module, batch: Callable[[NDArray[np.uint8]], torch.Tensor], size: int
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Give the network in 8 bits: `[n, 3, size, size]` float32 on the CPU to what it gives.

    Takes some seconds. The result may be called from several threads, one at a time.

    Args:
        network: in evaluation mode, float32 on the CPU.
        batch: makes the network's input of `[n, size, size, 3]` uint8 pixels.
        size: side of the pictures, in pixels.

    Raises:
        SettingsError: the libraries are not installed, or cannot express this network.
    """
    nncf, openvino = _libraries()
    pictures = draw_pictures(_PICTURES, size)
    samples = [batch(pictures[n : n + 1]).numpy() for n in range(_PICTURES)]
    attention = any(isinstance(part, torch.nn.MultiheadAttention) for part in network.modules())
    kind = nncf.ModelType.TRANSFORMER if attention or _is_transformer(network) else None
    try:
        with _quiet(), torch.inference_mode():
            graph = openvino.convert_model(
                network, example_input=torch.from_numpy(samples[0]), input=[-1, 3, size, size]
            )
            graph = nncf.quantize(
                graph,
                nncf.Dataset(samples),
                subset_size=len(samples),
                model_type=kind,
                ignored_scope=nncf.IgnoredScope(names=_left_exact(graph) if kind is None else []),
            )
        compiled = openvino.Core().compile_model(graph, "CPU")
    except Exception as error:  # whatever either library raises, in a typed error
        raise SettingsError(
            f"LOOKALIKE_PRECISION=int8: this model cannot be put into 8 bits ({error}); use auto."
        ) from error
    return _OneAtATime(compiled)


def _left_exact(graph: Any) -> list[str]:  # noqa: ANN401  # the library carries no types
    """The names of a convolutional network's operations that stay in floating point."""
    kinds = ("Convolution", "GroupConvolution")
    found = [op for op in graph.get_ordered_ops() if op.get_type_name() in kinds]
    kept = {*found[:1], *found[-1:], *(op for op in found if op.get_type_name() == kinds[1])}
    return sorted(op.get_friendly_name() for op in kept)


class _OneAtATime:
    """A compiled network; each holds the buffers of one call."""

    def __init__(self, compiled: Any) -> None:  # noqa: ANN401  # the library carries no types
        self._compiled = compiled
        self._lock = Lock()

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        with self._lock:
            return torch.from_numpy(self._compiled(batch.numpy())[0])


def _libraries() -> tuple[Any, Any]:
    # Both libraries report their use to their maker through this package, where it can be imported.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import nncf  # noqa: PLC0415  # optional, and slow to import
        import openvino  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(
            f"LOOKALIKE_PRECISION=int8 needs OpenVINO and NNCF ({error}): "
            "pip install -r requirements-openvino.txt."
        ) from error
    return nncf, openvino


def _is_transformer(network: torch.nn.Module) -> bool:
    return any(type(part).__name__ == "Attention" for part in network.modules())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries' progress and advice off the terminal, and attention traceable."""
    log = logging.getLogger("nncf")
    level, fast = log.level, torch.backends.mha.get_fastpath_enabled()
    log.setLevel(logging.ERROR)
    torch.backends.mha.set_fastpath_enabled(False)  # its fused form cannot be traced
    try:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), warnings.catch_warnings():  # noqa: PTH123
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
        torch.backends.mha.set_fastpath_enabled(fast)
