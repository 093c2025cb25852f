"""The models Lookalike knows, described as data, and the one way to load them."""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import Future
from dataclasses import dataclass, replace
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, cast

from core.errors import ModelLoadError, UnknownModelError
from core.vision.augmentation import FLIP_SUFFIX, FlipAveraged

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from core.settings import Settings
    from core.vision.embedder import Embedder

T = TypeVar("T")


@dataclass(frozen=True)
class ModelSource:
    """Everything that decides which vectors come out: what to load, and how to run it."""

    spec: str  # family, or family:name, or family:name/pretrained tag
    weights: Path | None  # local weights file; None: the family's own source
    device: str = "auto"  # auto, cpu or cuda
    precision: str = "auto"  # auto, fp32, bf16, fp16 or int8

    @classmethod
    def from_settings(cls, settings: Settings) -> ModelSource:
        """The model an operator chose."""
        spec = settings.model + (FLIP_SUFFIX if settings.tta == "flip" else "")
        return cls(spec, settings.model_weights, settings.device, settings.precision)

    @property
    def plain(self) -> ModelSource:
        """The same without averaging over views."""
        return replace(self, spec=self.spec.removesuffix(FLIP_SUFFIX))

    @property
    def family(self) -> str:
        """The part before the colon."""
        return self.plain.spec.partition(":")[0]

    @property
    def name(self) -> str:
        """The part after the colon; empty for a family with one model."""
        return self.plain.spec.partition(":")[2]


@dataclass(frozen=True)
class ModelFamily:
    """One kind of model and where its adapter lives."""

    name: str
    module: str  # holds `load(source: ModelSource) -> Embedder`
    needs_name: bool  # whether the spec goes on after the colon
    takes_weights: bool  # whether a local weights file may be given
    libraries: tuple[str, ...]  # distributions whose version can change the vectors
    revision: int  # raised when the adapter makes other vectors of the same weights
    default_threshold: float  # least score of a match, where `THRESHOLDS` knows no better
    example: str
    licence: str
    summary: str
    weights_in_folder: bool = False  # whether local weights are a folder of several files


FAMILIES: Final[tuple[ModelFamily, ...]] = (
    ModelFamily(
        name="classic",
        module="core.vision.classic",
        needs_name=False,
        takes_weights=False,
        libraries=(),
        revision=1,
        default_threshold=0.5,
        example="classic",
        licence="Apache-2.0",
        summary="colour, shape and texture; no weights, milliseconds on a CPU",
    ),
    ModelFamily(
        name="compact",
        module="core.vision.compact",
        needs_name=False,
        takes_weights=True,
        libraries=("timm", "torch"),
        revision=1,
        default_threshold=0.55,
        example="compact",
        licence="Apache-2.0",
        summary="a small network, its weights shipped, beside what classic sees",
    ),
    ModelFamily(
        name="open_clip",
        module="core.vision.openclip",
        needs_name=True,
        takes_weights=True,
        libraries=("open_clip_torch", "timm", "torch"),
        revision=1,
        default_threshold=0.75,
        example="open_clip:ViT-B-32/laion2b_s34b_b79k",
        licence="of each checkpoint",
        summary="any open_clip model; text queries and zero-shot labels",
    ),
    ModelFamily(
        name="timm",
        module="core.vision.timm",
        needs_name=True,
        takes_weights=True,
        libraries=("timm", "torch"),
        revision=1,
        default_threshold=0.6,
        example="timm:mobilenetv2_100",
        licence="of each checkpoint",
        summary="any timm backbone, pooled features; ImageNet classes",
    ),
    ModelFamily(
        name="dreamsim",
        module="core.vision.dreamsim",
        needs_name=True,
        takes_weights=True,
        libraries=("dreamsim", "peft", "timm", "torch"),
        revision=1,
        default_threshold=0.7,
        example="dreamsim:dino_vitb16",
        licence="MIT; weights of each backbone",
        summary="perceptual similarity as people judge it; an optional extra",
        weights_in_folder=True,
    ),
)

THRESHOLDS: Final[tuple[tuple[str, float], ...]] = (("timm:mobilenetv2_100", 0.7),)
"""Least scores of single models by the start of their spec; docs/models.md says how measured."""


class _Adapter(Protocol):
    def load(self, source: ModelSource) -> Embedder: ...


def find_family(source: ModelSource) -> ModelFamily:
    """The family of a spec.

    Raises:
        UnknownModelError: no family has that name, or the spec stops too early or too late.
    """
    for family in FAMILIES:
        if family.name == source.family and family.needs_name == bool(source.name):
            return family
    examples = ", ".join(family.example for family in FAMILIES)
    raise UnknownModelError(
        f"LOOKALIKE_MODEL={source.spec!r} names no model. Known forms: {examples}."
    )


def default_threshold(source: ModelSource) -> float:
    """Least score of a match with this model, where the operator chose none.

    Raises:
        UnknownModelError: the spec names no model.
    """
    fitting = [entry for entry in THRESHOLDS if source.spec.startswith(entry[0])]
    longest = max(fitting, key=lambda entry: len(entry[0]), default=None)
    return find_family(source).default_threshold if longest is None else longest[1]


def load_embedder(source: ModelSource) -> Embedder:
    """Load a model, never another one in its place.

    Raises:
        UnknownModelError: the spec names no model.
        SettingsError: this machine cannot run it on the device or in the precision asked for.
        ModelLoadError: the weights or the library are missing or unfit; the message names the
            setting and the way that needs no network.
    """
    family = find_family(source)
    _check_weights(source, family)
    _spin_briefly()
    adapter = cast("_Adapter", import_module(family.module))
    embedder = _in_passing_thread(lambda: adapter.load(source.plain))
    return embedder if source == source.plain else FlipAveraged(embedder)


def _spin_briefly() -> None:
    """Have OpenMP's threads wait awake for half a millisecond, in place of many, for more work.

    That is long enough from one layer to the next. After a pass they would keep processors from
    decoding and answering. The library reads the number as torch loads it.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def _in_passing_thread(work: Callable[[], T]) -> T:
    """Work in a thread that ends with it.

    OpenMP keeps a team of threads for each thread that ever shared work among several. Once there
    are more of them than processors, all of them sleep at every barrier in place of waiting awake,
    and the forward passes of the thread that runs the model take a quarter longer.
    """
    done = Future[T]()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001  # for the caller, whatever it is
            done.set_exception(error)

    threading.Thread(target=run, name="load", daemon=True).start()
    return done.result()


def source_key(source: ModelSource) -> str:
    """Name what `load_embedder` would load, without loading it: 32 hex digits.

    Equal keys mean equal fingerprint, dimension and default threshold, so that a caller can keep
    those by key. Weights count by resolved path, and each file's size and time of change.

    Raises:
        UnknownModelError: the spec names no model.
        ModelLoadError: the weights file is missing, or the model takes none.
    """
    family = find_family(source)
    parts: list[object] = [source.spec, family.revision, default_threshold(source)]
    libraries = family.libraries
    if source.precision == "int8" and libraries:
        parts.append("int8")
        libraries += ("nncf", "openvino")
    parts += [(name, _version(name)) for name in libraries]
    _check_weights(source, family)
    if source.weights is not None:
        parts += [str(source.weights.resolve()), *_file_stats(source.weights)]
    return hashlib.sha256(repr(parts).encode(errors="surrogateescape")).hexdigest()[:32]


def _check_weights(source: ModelSource, family: ModelFamily) -> None:
    """See that local weights, where set, are there and of the kind that the family takes."""
    if source.weights is None:
        return
    if not family.takes_weights:
        raise ModelLoadError(
            f"LOOKALIKE_MODEL={source.spec!r} has no weights: leave LOOKALIKE_MODEL_WEIGHTS empty."
        )
    setting = f"LOOKALIKE_MODEL_WEIGHTS={str(source.weights)!r}"
    try:
        source.weights.stat()
    except OSError as error:
        raise ModelLoadError(f"{setting} cannot be read: {error.strerror}.") from error
    if family.weights_in_folder and not source.weights.is_dir():
        raise ModelLoadError(f"{setting} is not a folder; give the one with all weights files.")
    if not family.weights_in_folder and not source.weights.is_file():
        raise ModelLoadError(f"{setting} is not a file; give a .pt or .safetensors file.")


def _file_stats(weights: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of change of a weights file, or of each file of a folder."""
    files = sorted(weights.rglob("*")) if weights.is_dir() else [weights]
    stats = [(str(file.relative_to(weights)), file.stat()) for file in files if file.is_file()]
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "none"
