"""A network in 8 bits, run by OpenVINO: about three times as fast where bf16 is not native.

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
from queue import SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import torch

from core.errors import SettingsError
from core.vision.attention import attention_written_out, is_transformer
from core.vision.dead_leaves import draw_pictures
from core.vision.lanes import Given, Lanes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from core.vision.preprocessing import Preprocessing

LIBRARIES: Final = ("nncf", "openvino")
"""Distributions whose version can change the vectors."""

REVISION: Final = 3
"""Raised when other vectors are made of the same weights."""

_PICTURES: Final = 128

_SHARE: Final = 8
"""Pictures that a core, or a group of cores, takes at once of many."""

_STREAMS: Final = min(4, os.cpu_count() or 1)
"""How many take them: no more than there are shares in a batch of 32."""


def quantised(
    network: torch.nn.Module,
    batch: Callable[[NDArray[np.uint8]], torch.Tensor],
    preprocessing: Preprocessing,
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Give the network in 8 bits: `[n, size, size, 3]` uint8 pixels to what it gives.

    It brings the pixels to the model's mean and deviation by itself. Takes some seconds. The
    result may be called from several threads.

    Args:
        network: in evaluation mode, float32 on the CPU.
        batch: makes the network's input of `[n, size, size, 3]` uint8 pixels.
        preprocessing: how the model wants its pictures.

    Raises:
        SettingsError: the libraries are not installed, or cannot express this network.
    """
    nncf, openvino = _libraries()
    size = preprocessing.size
    pictures = draw_pictures(_PICTURES, size)
    samples = [batch(pictures[n : n + 1]).numpy() for n in range(_PICTURES)]
    kind = nncf.ModelType.TRANSFORMER if is_transformer(network) else None
    try:
        with _quiet(), attention_written_out(network), torch.inference_mode():
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
            compiled = _Compiled(openvino, _from_pixels(openvino, graph, preprocessing), size)
    except Exception as error:  # whatever either library raises, in a typed error
        raise SettingsError(
            f"LOOKALIKE_PRECISION=int8: this model cannot be put into 8 bits ({error}); use auto."
        ) from error
    return compiled


def _from_pixels(openvino: Any, graph: Any, preprocessing: Preprocessing) -> Any:  # noqa: ANN401
    """Put before the network what makes its input of pixels, for OpenVINO to do in one go."""
    from openvino.preprocess import PrePostProcessor  # noqa: PLC0415  # optional

    size = preprocessing.size
    steps = PrePostProcessor(graph)
    pixels = steps.input().tensor().set_element_type(openvino.Type.u8)
    pixels.set_layout(openvino.Layout("NHWC")).set_shape([-1, size, size, 3])
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    normalise = steps.input().preprocess().convert_element_type(openvino.Type.f32)
    normalise.mean([255 * mean for mean in preprocessing.mean])
    normalise.scale([255 * std for std in preprocessing.std])
    return steps.build()


def _left_exact(graph: Any) -> list[str]:  # noqa: ANN401  # the library carries no types
    """The names of a convolutional network's operations that stay in floating point."""
    kinds = ("Convolution", "GroupConvolution")
    found = [op for op in graph.get_ordered_ops() if op.get_type_name() in kinds]
    kept = {*found[:1], *found[-1:], *(op for op in found if op.get_type_name() == kinds[1])}
    return sorted(op.get_friendly_name() for op in kept)


class _Compiled(Lanes):
    """A network compiled once for few pictures and once for many.

    Few are worked on by all cores together, many in lanes. Both give the same numbers.
    """

    def __init__(self, openvino: Any, graph: Any, size: int) -> None:  # noqa: ANN401  # no types
        core = openvino.Core()
        self._few = core.compile_model(graph, "CPU", {"NUM_STREAMS": 1}).create_infer_request()
        many = core.compile_model(graph, "CPU", {"NUM_STREAMS": _STREAMS})
        self._one_at_a_time = Lock()  # a request holds the buffers of one call
        self._idle: SimpleQueue[Any] = SimpleQueue()  # the requests of lanes that do nothing
        for _ in range(_STREAMS):
            self._idle.put(many.create_infer_request())
        super().__init__(_STREAMS)
        # What is left to prepare is prepared with the first pictures, which nobody waits for yet.
        self(torch.zeros((2 * _SHARE, size, size, 3), dtype=torch.uint8))

    def __call__(self, batch: torch.Tensor) -> Given:
        if len(batch) >= 2 * _SHARE:
            return self._side_by_side(torch.split(batch, _SHARE))
        with self._one_at_a_time:
            return torch.from_numpy(self._few.infer([batch.numpy()])[0])

    def _run(self, share: torch.Tensor) -> torch.Tensor:
        request = self._idle.get()
        try:
            return torch.from_numpy(request.infer([share.numpy()])[0])
        finally:
            self._idle.put(request)


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
