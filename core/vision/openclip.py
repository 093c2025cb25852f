"""Any open_clip model: pictures and texts in one space.

Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021;
the checkpoints are those of https://github.com/mlfoundations/open_clip.
"""

from __future__ import annotations

import logging
from contextlib import nullcontext
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import numpy as np
import open_clip
import torch
from open_clip.factory import convert_state_dict, convert_to_custom_text_state_dict

from core.errors import ModelLoadError, NoTextTowerError, UnknownModelError
from core.vision.embedder import Embedder, space_fingerprint
from core.vision.lanes import passes_at_once
from core.vision.models import default_threshold, find_family
from core.vision.preprocessing import Preprocessing
from core.vision.torch_runtime import TorchRuntime, raw, to_unit_rows
from core.vision.weights import (
    StateDict,
    fill,
    hub_access,
    quiet_root_logger,
    read_state_dict,
    weights_hash,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from core.vision.models import ModelSource
    from core.vision.resizing import Resampling

_log = logging.getLogger(__name__)

_Clip: TypeAlias = Any
"""open_clip's CLIP, CustomTextCLIP or CoCa; the library carries no types."""

_TEXTS_PER_PASS: Final = 256
_SIGLIP_TEXT_THRESHOLD: Final = 0.05  # its loss leaves lower cosines between texts and pictures
_RESIZE_MODES: Final = {"shortest": "crop", "squash": "squash"}


def load(source: ModelSource) -> OpenClipEmbedder:
    """Load ``open_clip:<architecture>/<tag>`` from the hub, or its weights from a file.

    With a file the tag may be left out; where given it still chooses the preprocessing.

    Raises:
        UnknownModelError: open_clip has no such architecture or tag.
        SettingsError: the device or precision does not exist here.
        ModelLoadError: there are no weights, or they do not fit.
    """
    runtime = TorchRuntime.choose(source)
    architecture, tag = _split(source)
    with quiet_root_logger():
        if source.weights is None:
            model = _from_hub(source, architecture, tag)
        else:
            model = _from_file(source, architecture, tag, read_state_dict(source.weights))
    return OpenClipEmbedder(source, architecture, model, runtime)


class OpenClipEmbedder(Embedder):
    """Both towers of a CLIP model.

    Args:
        source: what was asked for.
        architecture: open_clip's name of it.
        model: filled with weights, on the CPU in fp32.
        runtime: where it shall run.
    """

    def __init__(
        self, source: ModelSource, architecture: str, model: _Clip, runtime: TorchRuntime
    ) -> None:
        self.spec = source.spec
        self.preprocessing = _preprocessing(source, model)
        self.default_threshold = default_threshold(source)
        if "siglip" in architecture.lower():
            self.default_text_threshold = _SIGLIP_TEXT_THRESHOLD
        self.device = runtime.device.type
        self._runtime = runtime
        family = find_family(source)
        identity = (
            f"open_clip:{architecture}#{family.revision}"
            f"{'+quickgelu' if _uses_quick_gelu(model) else ''}{runtime.identity}"
        )
        digest = weights_hash(model)
        self._model = runtime.place(model)
        self._encode_image = runtime.picture_half(
            _ImageTower(self._model).eval(), self.preprocessing
        )
        self.passes_at_once = passes_at_once(self._encode_image)
        self.dimension = self._probe()
        self.fingerprint = space_fingerprint(identity, digest, self.preprocessing, self.dimension)
        self._tokenize = _tokenizer(source, architecture)
        self.supports_text = self._tokenize is not None

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed `[n, image_size, image_size, 3]` uint8 to `[n, dimension]` unit float32."""
        with torch.inference_mode():
            return to_unit_rows(self._encode_image(raw(pixels)))

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts to `[n, dimension]` unit float32; what exceeds the context is cut off.

        Raises:
            NoTextTowerError: the tokenizer could not be loaded.
        """
        if self._tokenize is None:
            raise NoTextTowerError(
                f"The tokenizer of {self.spec} is fetched from the hub, which could not be "
                "reached when the model was loaded, so it embeds pictures only."
            )
        rows = [np.empty((0, self.dimension), dtype=np.float32)]
        with torch.inference_mode():
            for start in range(0, len(texts), _TEXTS_PER_PASS):
                tokens = self._tokenize(list(texts[start : start + _TEXTS_PER_PASS]))
                vectors = self._model.encode_text(tokens.to(self._runtime.device))
                rows.append(to_unit_rows(vectors))
        return np.concatenate(rows)

    def _probe(self) -> int:
        """Run one picture: the dimension, and a warm start for the first request."""
        size = self.preprocessing.size
        return int(self.embed(np.zeros((1, size, size, 3), dtype=np.uint8)).shape[1])


class _ImageTower(torch.nn.Module):
    def __init__(self, model: _Clip) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.model.encode_image(batch)
        return vectors


def _split(source: ModelSource) -> tuple[str, str]:
    """The architecture and the tag of a spec, both known to open_clip; the tag may be empty."""
    if source.name.startswith(("hf-hub:", "local-dir:")):
        return source.name, ""
    architecture, _, tag = source.name.partition("/")
    known = open_clip.list_models()
    if architecture not in known:
        raise _unknown(source, "architecture", architecture, known)
    if tag and not open_clip.get_pretrained_cfg(architecture, tag):
        tags = open_clip.list_pretrained_tags_by_model(architecture)
        raise _unknown(source, "pretrained tag", tag, tags)
    return architecture, tag


def _unknown(source: ModelSource, kind: str, name: str, known: list[str]) -> UnknownModelError:
    near = get_close_matches(name, known, n=5, cutoff=0.4) or known[:5]
    return UnknownModelError(
        f"LOOKALIKE_MODEL={source.spec!r}: open_clip knows no {kind} {name!r}"
        + (f"; near it: {', '.join(near)}." if near else "; this architecture has none.")
    )


def _from_hub(source: ModelSource, architecture: str, tag: str) -> _Clip:
    if not tag and ":" not in architecture:
        tags = open_clip.list_pretrained_tags_by_model(architecture)
        example = f"{architecture}/{tags[0]}" if tags else "ViT-B-32/laion2b_s34b_b79k"
        raise ModelLoadError(
            f"LOOKALIKE_MODEL={source.spec!r} names an architecture without weights. Add a "
            f"pretrained tag (LOOKALIKE_MODEL=open_clip:{example}) to fetch them from the hub, or "
            "set LOOKALIKE_MODEL_WEIGHTS to a local .pt or .safetensors file."
        )
    with hub_access(source.spec):
        return open_clip.create_model(
            architecture,
            pretrained=tag or None,
            require_pretrained=True,
            force_quick_gelu=_tag_wants_quick_gelu(architecture, tag),
        )


def _from_file(source: ModelSource, architecture: str, tag: str, state: StateDict) -> _Clip:
    if ":" in architecture:
        raise ModelLoadError(
            f"LOOKALIKE_MODEL={source.spec!r} brings its own weights: leave "
            "LOOKALIKE_MODEL_WEIGHTS empty, or name the architecture, as in open_clip:ViT-B-32."
        )
    wanted = open_clip.get_pretrained_cfg(architecture, tag) if tag else {}
    kept = ("mean", "std", "interpolation", "resize_mode")
    options = {
        "load_weights": False,
        "pretrained_text": False,
        "force_quick_gelu": _tag_wants_quick_gelu(architecture, tag),
        "force_preprocess_cfg": {key: wanted[key] for key in kept if key in wanted},
    }
    with hub_access(source.spec) if _text_config(architecture, "hf_model_name") else nullcontext():
        model = open_clip.create_model(architecture, **options)
    fill(model, _as_this_version_names_it(model, state), source.spec)
    return model


def _tag_wants_quick_gelu(architecture: str, tag: str) -> bool:
    """Whether the checkpoint was trained with the quicker GELU; open_clip itself only warns."""
    return bool(tag) and bool(open_clip.get_pretrained_cfg(architecture, tag).get("quick_gelu"))


def _as_this_version_names_it(model: _Clip, state: StateDict) -> StateDict:
    """Rename what older or foreign checkpoints of the same architecture call otherwise."""
    state = convert_state_dict(model, state)
    if "positional_embedding" in state and not hasattr(model, "positional_embedding"):
        state = convert_to_custom_text_state_dict(state)
    own = model.state_dict()
    for name in ("logit_scale", "logit_bias"):  # a number in some versions, a vector in others
        if name in state and name in own and own[name].numel() == state[name].numel():
            state[name] = state[name].reshape(own[name].shape)
    if "text.transformer.embeddings.position_ids" not in own:
        state.pop("text.transformer.embeddings.position_ids", None)
    return state


def _preprocessing(source: ModelSource, model: _Clip) -> Preprocessing:
    """The library's own description of its transform, as ours."""
    wanted = open_clip.transform.PreprocessCfg(**model.visual.preprocess_cfg)
    sides = {wanted.size} if isinstance(wanted.size, int) else set(wanted.size)
    if len(sides) != 1 or wanted.resize_mode not in _RESIZE_MODES:
        raise ModelLoadError(
            f"LOOKALIKE_MODEL={source.spec!r} wants pictures of {wanted.size} pixels resized by "
            f"their {wanted.resize_mode!r} side, which Lookalike does not do; choose another model."
        )
    size = int(sides.pop())
    return Preprocessing(
        size=size,
        resize_to=size,
        resampling=cast("Resampling", wanted.interpolation),
        mode="crop" if wanted.resize_mode == "shortest" else "squash",
        mean=(float(wanted.mean[0]), float(wanted.mean[1]), float(wanted.mean[2])),
        std=(float(wanted.std[0]), float(wanted.std[1]), float(wanted.std[2])),
    )


def _uses_quick_gelu(model: torch.nn.Module) -> bool:
    return any(type(part).__name__ == "QuickGELU" for part in model.modules())


def _text_config(architecture: str, key: str) -> object:
    """An entry of the text tower's configuration; None without, or for a model of a folder."""
    config = None if ":" in architecture else open_clip.get_model_config(architecture)
    return (config or {}).get("text_cfg", {}).get(key)


def _tokenizer(
    source: ModelSource, architecture: str
) -> Callable[[list[str]], torch.Tensor] | None:
    """The text tower's tokenizer; None, with a warning, where it is on the hub out of reach."""
    in_package = not (
        ":" in architecture
        or "siglip" in architecture.lower()
        or _text_config(architecture, "hf_tokenizer_name")
    )
    try:
        with nullcontext() if in_package else hub_access(source.spec):
            tokenizer = open_clip.get_tokenizer(architecture)
    except ModelLoadError as error:
        _log.warning("%s embeds pictures only; its tokenizer is missing: %s", source.spec, error)
        return None
    return cast("Callable[[list[str]], torch.Tensor]", tokenizer)
