"""DreamSim: a perceptual metric, fine-tuned on people's judgements of which pictures look alike.

Fu et al., DreamSim: Learning New Dimensions of Human Visual Similarity using Synthetic Data,
NeurIPS 2023; models and weights are those of https://github.com/ssundaram21/dreamsim. An optional
extra: `pip install -r requirements-dreamsim.txt`.

Its distance of two pictures is 1 - cosine of their vectors here.
"""

from __future__ import annotations

import socket
import sys
import warnings
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import torch

from core.errors import ModelLoadError, SettingsError, UnknownModelError
from core.vision.embedder import Embedder, space_fingerprint
from core.vision.models import default_threshold, find_family
from core.vision.preprocessing import Preprocessing
from core.vision.torch_runtime import TorchRuntime, raw, to_unit_rows
from core.vision.weights import weights_hash

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from core.vision.models import ModelSource

_Metric: TypeAlias = Any
"""The package's PerceptualModel; it carries no types."""

WEIGHTS: Final[dict[str, tuple[str, ...]]] = {
    "dino_vitb16": ("dino_vitb16_pretrain.pth", "dino_vitb16_single_lora"),
    "clip_vitb32": ("clip_vitb32_pretrain.pth.tar", "clip_vitb32_single_lora"),
    "open_clip_vitb32": ("open_clip_vitb32_pretrain.pth.tar", "open_clip_vitb32_single_lora"),
    "dinov2_vitb14": ("dinov2_vitb14_pretrain.pth", "dinov2_vitb14_single_lora"),
    "ensemble": (
        "dino_vitb16_pretrain.pth",
        "open_clip_vitb16_pretrain.pth.tar",
        "clip_vitb16_pretrain.pth.tar",
        "ensemble_lora",
    ),
}
"""Each model type with what the package looks for in its weights folder."""

_PREPROCESSING: Final = Preprocessing(
    size=224,
    resize_to=224,
    resampling="bicubic",
    mode="squash",
    mean=(0.0, 0.0, 0.0),  # the package normalises by itself, each backbone in its own way
    std=(1.0, 1.0, 1.0),
)
_NETWORK_SILENCE_S: Final = 30.0


def load(source: ModelSource) -> DreamSimEmbedder:
    """Load ``dreamsim:<model type>`` from a folder, or by the package's own download.

    Raises:
        UnknownModelError: the package has no such model type.
        SettingsError: the device or precision does not exist here.
        ModelLoadError: the package or the weights are missing or unfit.
    """
    if source.name not in WEIGHTS:
        raise UnknownModelError(
            f"LOOKALIKE_MODEL={source.spec!r}: dreamsim has no model type {source.name!r}; it "
            f"has: {', '.join(WEIGHTS)}."
        )
    runtime = TorchRuntime.choose(source)
    if runtime.eight_bits:
        raise SettingsError("LOOKALIKE_PRECISION=int8 is not for dreamsim models; use auto.")
    return DreamSimEmbedder(source, _load_metric(source), runtime)


class DreamSimEmbedder(Embedder):
    """One of the package's models.

    Args:
        source: what was asked for.
        model: filled with weights, on the CPU in fp32.
        runtime: where it shall run.
    """

    def __init__(self, source: ModelSource, model: _Metric, runtime: TorchRuntime) -> None:
        self.spec = source.spec
        self.preprocessing = _PREPROCESSING
        self.default_threshold = default_threshold(source)
        self.device = runtime.device.type
        # Pixels stay exact until each backbone's own normalisation is done.
        self._exact = replace(runtime, dtype=torch.float32)
        digest = weights_hash(model)
        self._model = runtime.place(model)
        self._model.normalize_embeds = False  # done below, in fp32
        for extractor in self._model.extractor_list:
            extractor.device = runtime.device
            extractor.model.register_forward_pre_hook(
                lambda _module, inputs: (inputs[0].to(runtime.dtype),)
            )
        self.dimension = self._probe()
        self.fingerprint = space_fingerprint(
            f"{source.spec}#{find_family(source).revision}",
            digest,
            self.preprocessing,
            self.dimension,
        )

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed `[n, 224, 224, 3]` uint8 to `[n, dimension]` unit float32."""
        with torch.inference_mode():
            batch = self._exact.normalised(raw(pixels), self.preprocessing)
            features = self._model.embed(batch).to(torch.float32)
            return to_unit_rows(features - features.mean(dim=1, keepdim=True))

    def _probe(self) -> int:
        """Run one picture: the dimension, and a warm start for the first request."""
        size = self.preprocessing.size
        return int(self.embed(np.zeros((1, size, size, 3), dtype=np.uint8)).shape[1])


def _load_metric(source: ModelSource) -> _Metric:
    """The model on the CPU in fp32, its fine-tuning merged into the weights."""
    try:
        from dreamsim import dreamsim  # noqa: PLC0415  # optional, and slow to import
    except ImportError as error:
        raise ModelLoadError(
            f"LOOKALIKE_MODEL={source.spec!r} needs the package dreamsim ({error}): "
            "pip install -r requirements-dreamsim.txt."
        ) from error
    with _fetching(source) as folder:
        tuned, _ = dreamsim(device="cpu", cache_dir=str(folder), dreamsim_type=source.name)
        model = tuned.merge_and_unload()
    for extractor, features in zip(model.extractor_list, model.feat_type_list, strict=True):
        projection = extractor.__dict__.pop("proj", None)
        if features != "embedding":
            extractor.proj = None  # never run, and part of it is drawn at random
        elif projection is not None:
            extractor.register_buffer("proj", projection)  # to travel with the weights
    return model


@contextmanager
def _fetching(source: ModelSource) -> Iterator[Path]:
    """Give the weights folder, and have whatever fails while it is used say the ways out."""
    hub_folder = torch.hub.get_dir()
    usual = Path(hub_folder) / "dreamsim"
    folder = source.weights or usual
    offline_way = (
        "Without a network, load the model once elsewhere with LOOKALIKE_MODEL_WEIGHTS empty, "
        f"copy the whole folder it fills ({usual}) and set LOOKALIKE_MODEL_WEIGHTS to the copy, "
        f"keeping LOOKALIKE_MODEL={source.spec}."
    )
    missing = [name for name in WEIGHTS[source.name] if not (folder / name).exists()]
    if missing and source.weights is not None:
        raise ModelLoadError(
            f"LOOKALIKE_MODEL_WEIGHTS={str(folder)!r} lacks {', '.join(missing)}. {offline_way}"
        )
    silence = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_NETWORK_SILENCE_S)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the package's second adapter over the first
            yield folder
    except Exception as error:  # every layer below raises its own
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ModelLoadError(
            f"LOOKALIKE_MODEL={source.spec!r} could not be loaded from {str(folder)!r}: {reason}. "
            f"{offline_way}"
        ) from error
    finally:
        socket.setdefaulttimeout(silence)
        torch.hub.set_dir(hub_folder)  # the package points it at its own folder
