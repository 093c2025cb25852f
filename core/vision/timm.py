"""Any timm backbone: pooled features as vectors, and the classes its own head knows.

Wightman, PyTorch Image Models, https://github.com/huggingface/pytorch-image-models.
"""

from __future__ import annotations

import sys
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import timm
import torch
from timm.data.config import resolve_model_data_config
from timm.data.imagenet_info import ImageNetInfo, infer_imagenet_subset
from timm.models import get_pretrained_cfg

from core.errors import ModelLoadError, UnknownModelError
from core.vision.embedder import Embedder, Prediction, space_fingerprint
from core.vision.lanes import passes_at_once
from core.vision.models import default_threshold, find_family
from core.vision.preprocessing import Preprocessing, resize_for_crop
from core.vision.torch_runtime import TorchRuntime, raw, to_unit_rows
from core.vision.weights import StateDict, fill, hub_access, read_state_dict, weights_hash

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from core.vision.models import ModelSource

_Backbone: TypeAlias = Any
"""Any class of timm's: they share methods, but no base class that declares them."""

_FILTER_ERRORS: Final = (KeyError, IndexError, ValueError, TypeError, AttributeError, RuntimeError)
"""What timm's renaming of foreign checkpoints raises on weights of another architecture."""


def load(source: ModelSource) -> TimmEmbedder:
    """Load ``timm:<model>`` from the hub, or its weights from a file.

    A file may leave the classifier out, or bring one with another number of classes.

    Raises:
        UnknownModelError: timm has no such model.
        SettingsError: the device or precision does not exist here.
        ModelLoadError: there are no weights, or they do not fit.
    """
    runtime = TorchRuntime.choose(source)
    _check_name(source)
    if source.weights is None:
        model = _from_hub(source)
    else:
        model = _from_file(source, read_state_dict(source.weights))
    return TimmEmbedder(source, model, runtime)


class TimmEmbedder(Embedder):
    """A classifier of timm's, cut before its last layer.

    Args:
        source: what was asked for.
        model: filled with weights, on the CPU in fp32.
        runtime: where it shall run.
    """

    def __init__(self, source: ModelSource, model: _Backbone, runtime: TorchRuntime) -> None:
        self.spec = source.spec
        self.preprocessing = _preprocessing(source, model)
        self.default_threshold = default_threshold(source)
        self.device = runtime.device.type
        self.labels = _labels(model)
        self.supports_classes = bool(self.labels)
        digest = weights_hash(model)
        self._model = runtime.place(model)
        self._features = runtime.picture_half(_Features(self._model).eval(), self.preprocessing)
        self.passes_at_once = passes_at_once(self._features)
        self.dimension = self._probe()
        self.fingerprint = space_fingerprint(
            f"{source.spec}#{find_family(source).revision}{runtime.identity}",
            digest,
            self.preprocessing,
            self.dimension,
        )

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed `[n, image_size, image_size, 3]` uint8 to `[n, dimension]` unit float32."""
        with torch.inference_mode():
            return to_unit_rows(self._pooled(self._maps(pixels)))

    def classify(self, pixels: NDArray[np.uint8], top: int) -> list[list[Prediction]]:
        """Name the `top` likeliest classes of each picture; scores are softmax shares."""
        if not self.labels:
            return super().classify(pixels, top)
        with torch.inference_mode():
            return self._predictions(self._maps(pixels), top)

    def embed_and_classify(
        self, pixels: NDArray[np.uint8], top: int
    ) -> tuple[NDArray[np.float32], list[list[Prediction]]]:
        """`embed` and `classify` from one pass of the backbone."""
        if not self.labels:
            return super().embed_and_classify(pixels, top)
        with torch.inference_mode():
            maps = self._maps(pixels)
            return to_unit_rows(self._pooled(maps)), self._predictions(maps, top)

    def _maps(self, pixels: NDArray[np.uint8]) -> torch.Tensor:
        return self._features(raw(pixels))

    def _pooled(self, maps: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self._model.forward_head(maps, pre_logits=True)
        return vectors

    def _predictions(self, maps: torch.Tensor, top: int) -> list[list[Prediction]]:
        logits = self._model.forward_head(maps).to(torch.float32)
        best = torch.softmax(logits, dim=1).topk(min(top, len(self.labels)), dim=1)
        return [
            [
                Prediction(self.labels[index], score, "classifier")
                for index, score in zip(indices, scores, strict=True)
            ]
            for indices, scores in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]

    def _probe(self) -> int:
        """Run one picture: the dimension, and a warm start for the first request."""
        size = self.preprocessing.size
        blank = np.zeros((1, size, size, 3), dtype=np.uint8)
        try:
            with torch.inference_mode():
                vectors = self._pooled(self._maps(blank))
        except (AttributeError, TypeError, NotImplementedError) as error:
            raise self._unfit(f"it has no pooled features ({error})") from error
        if not isinstance(vectors, torch.Tensor) or vectors.ndim != 2:
            raise self._unfit("its features are no single vector")
        return int(vectors.shape[1])

    def _unfit(self, reason: str) -> ModelLoadError:
        return ModelLoadError(
            f"LOOKALIKE_MODEL={self.spec!r} cannot embed pictures: {reason}; choose another model."
        )


class _Features(torch.nn.Module):
    def __init__(self, model: _Backbone) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        maps: torch.Tensor = self.model.forward_features(batch)
        return maps


def _is_remote(name: str) -> bool:
    return name.startswith(("hf-hub:", "hf_hub:", "local-dir:"))


def _check_name(source: ModelSource) -> None:
    if _is_remote(source.name):
        return
    architecture, _, tag = source.name.partition(".")
    if not timm.is_model(architecture):
        near = get_close_matches(architecture, timm.list_models(), n=5, cutoff=0.5)
        hint = f"; near it: {', '.join(near)}" if near else ""
        raise UnknownModelError(
            f"LOOKALIKE_MODEL={source.spec!r}: timm knows no model {architecture!r}{hint}."
        )
    tags = timm.list_pretrained(f"{architecture}.*")
    if tag and source.name not in tags:
        raise UnknownModelError(
            f"LOOKALIKE_MODEL={source.spec!r}: timm knows no pretrained tag {tag!r} of "
            f"{architecture}; it has: {', '.join(tags) or 'none'}."
        )


def _from_hub(source: ModelSource) -> _Backbone:
    known = None if _is_remote(source.name) else get_pretrained_cfg(source.name)
    if not _is_remote(source.name) and (known is None or not known.has_weights):
        raise ModelLoadError(
            f"LOOKALIKE_MODEL={source.spec!r} has no pretrained weights on the hub. Choose a model "
            "that has (for instance timm:mobilenetv2_100), or set LOOKALIKE_MODEL_WEIGHTS to a "
            "local .pt or .safetensors file."
        )
    with hub_access(source.spec):
        return timm.create_model(source.name, pretrained=True)


def _from_file(source: ModelSource, state: StateDict) -> _Backbone:
    if _is_remote(source.name):
        raise ModelLoadError(
            f"LOOKALIKE_MODEL={source.spec!r} brings its own weights: leave "
            "LOOKALIKE_MODEL_WEIGHTS empty, or name the model, as in timm:mobilenetv2_100."
        )
    classes = _classes_in(state, source.name)
    model = timm.create_model(source.name, pretrained=False, num_classes=classes)
    fill(model, _as_this_version_names_it(model, state), source.spec)
    return model


def _classes_in(state: StateDict, name: str) -> int | None:
    """How many classes the file's head has; 0 without a head, None where it cannot be told."""
    known = get_pretrained_cfg(name)
    heads = known.classifier if known is not None else None
    head = heads[0] if isinstance(heads, tuple | list) else heads
    if not head:
        return None
    weight = state.get(f"{head}.weight")
    return 0 if weight is None else int(weight.shape[0])


def _as_this_version_names_it(model: _Backbone, state: StateDict) -> StateDict:
    """Rename the entries of a checkpoint from the model's authors, as timm does for the hub."""
    rename = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if rename is None or not set(state) - set(model.state_dict()):
        return state
    try:
        renamed: StateDict = rename(dict(state), model)
    except _FILTER_ERRORS:
        return state
    return renamed


def _preprocessing(source: ModelSource, model: _Backbone) -> Preprocessing:
    """The library's own description of its transform, as ours."""
    wanted = resolve_model_data_config(model)  # type: ignore[no-untyped-call]
    channels, height, width = wanted["input_size"]
    crops = {"center": "crop", "squash": "squash"}
    if channels != 3 or height != width or wanted["crop_mode"] not in crops:
        raise ModelLoadError(
            f"LOOKALIKE_MODEL={source.spec!r} wants pictures of {width} x {height} x {channels} "
            f"with crop mode {wanted['crop_mode']!r}, which Lookalike does not do; choose another "
            "model."
        )
    return Preprocessing(
        size=height,
        resize_to=resize_for_crop(height, wanted["crop_pct"]),
        resampling=wanted["interpolation"],
        mode="crop" if wanted["crop_mode"] == "center" else "squash",
        mean=_triple(wanted["mean"]),
        std=_triple(wanted["std"]),
    )


def _triple(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = values
    return float(red), float(green), float(blue)


def _labels(model: _Backbone) -> tuple[str, ...]:
    """What each output of the head stands for; empty for a model without a head."""
    classes = int(model.num_classes or 0)
    own = model.pretrained_cfg.get("label_names")
    if own is not None and len(own) == classes:
        return tuple(own)
    subset = infer_imagenet_subset(model) if classes else None
    if subset is not None:
        return tuple(ImageNetInfo(subset).label_descriptions())
    return tuple(f"class {number}" for number in range(classes))
