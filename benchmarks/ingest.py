"""The ingest pipeline, beside the sum of its parts and the one-by-one loop.

The parts are what no pipeline can do without: decoding alone in the same number of processes, and
the model alone on pictures that lie ready. They are added up, because on a machine whose cores
both parts fill neither can hide behind the other. The loop is what a small service does: read,
decode, embed, one photo at a time, with the library's own transforms and network, in the precision
that the machine has natively. All four are taken in turns; each run starts its own decoding
processes, which the parts are spared.
"""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import numpy as np
import torch
from torchvision import transforms

from benchmarks.figures import Figure, Options, Table, medians
from benchmarks.synthetic_store import fresh_folder
from core.records import RunOptions, RunState
from core.settings import Settings
from core.store.catalog import Catalog
from core.vision.decode import IMAGE_SUFFIXES, DecodeLimits, decode_image
from core.vision.models import ModelSource, load_embedder
from core.vision.torch_runtime import TorchRuntime
from core.vision.video import VideoSampling
from ingest.decoders import DecoderLimits, DecoderPool, in_order
from ingest.model import RunModel
from ingest.reading import Preparation
from ingest.run import IngestRun

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.vision.embedder import Embedder
    from core.vision.preprocessing import Preprocessing

_SAMPLE = Path("data/images")
_PHOTOS = 1000  # so that what a run costs once does not show
_ROUNDS = 3
_LOOP = 32  # photos that the loop is timed on
_LIMITS = DecodeLimits.for_catalogue(Settings())


def measure(options: Options) -> Table:
    """Ingest the same photos with each model."""
    table = Table("Ingest")
    clip = random_clip(options.folder)
    models: list[tuple[str, Path | None, str, int]] = [
        ("classic", None, "auto", 150 if options.quick else _PHOTOS),
        ("open_clip:ViT-B-32", clip, native_precision(), 96 if options.quick else _PHOTOS),
        ("open_clip:ViT-B-32", clip, "int8", 96 if options.quick else _PHOTOS),
    ]
    for spec, weights, precision, count in models:
        images = fresh_folder(options.folder / "ingest-images")
        copy_photos(options.photos, images, count)
        settings = Settings.load(
            image_dir=images,
            store_dir=fresh_folder(options.folder / "ingest-store"),
            model=spec,
            model_weights=weights,
            precision=precision,
        )
        table.figures += _measure_model(settings)
    return table


def _measure_model(settings: Settings) -> list[Figure]:
    source = ModelSource.from_settings(settings)
    embedder = load_embedder(source)
    own = native_precision() if source.precision == "int8" else source.precision
    plain = as_the_library_has_it(replace(source, precision=own))
    how = Preparation(
        embedder.preprocessing,
        DecodeLimits.for_catalogue(settings),
        VideoSampling.from_settings(settings),
    )
    names = sorted(path.name for path in settings.image_dir.iterdir())
    bounds = DecoderLimits.from_settings(settings)
    few = names[:_LOOP]
    model = RunModel(settings)
    with (
        closing(Catalog(settings.store_dir)) as catalog,
        DecoderPool(str(settings.image_dir), how, bounds) as pool,
    ):
        model.embedder(catalog)
        pixels = np.concatenate(_decoded(pool, names))
        decode, forward, loop, taken = medians(
            _ROUNDS,
            partial(_decoded, pool, names),
            partial(_forward, embedder, pixels, settings.batch_size),
            partial(_one_by_one, plain, settings, few),
            partial(ingest, settings, catalog, model),
        )
    what = f"{settings.model}, {len(names)} photos"
    if not embedder.light:
        what += f" in {settings.precision}"
    return [
        _against_parts(what, len(names), taken, decode, forward),
        _against_loop(what, len(names) / taken, len(few) / loop, "" if embedder.light else own),
    ]


def _against_parts(what: str, photos: int, taken: float, decode: float, forward: float) -> Figure:
    return Figure(
        f"{what}, against its parts",
        f"{photos / taken:.1f} photos/s",
        f"decoding {photos / decode:.1f}/s, model {photos / forward:.1f}/s",
        (decode + forward) / taken,
        "at least 0.90",
    )


def _against_loop(what: str, rate: float, loop_rate: float, precision: str) -> Figure:
    return Figure(
        f"{what}, against one by one",
        f"{rate:.1f} photos/s",
        f"loop{' in ' if precision else ''}{precision}: {loop_rate:.1f}/s",
        rate / loop_rate,
        "at least 4 with ViT-B/32",
    )


def native_precision() -> str:
    """The number format that this machine's processor multiplies quickest in, of torch's."""
    dtype = TorchRuntime.choose(ModelSource("open_clip:ViT-B-32", None, "cpu", "auto")).dtype
    return "bf16" if dtype is torch.bfloat16 else "fp32"


def _decoded(pool: DecoderPool, names: list[str]) -> list[NDArray[np.uint8]]:
    started = in_order(pool.chunks(names, str), pool.submit, 16)
    reads = chain.from_iterable(pool.results(chunk, future) for chunk, future in started)
    return [read.pixels for read in reads if read.pixels is not None]


def _forward(embedder: Embedder, pixels: NDArray[np.uint8], batch: int) -> None:
    for start in range(0, len(pixels), batch):
        embedder.embed(pixels[start : start + batch])


def _one_by_one(embedder: Embedder, settings: Settings, names: list[str]) -> None:
    for name in names:
        data = (settings.image_dir / name).read_bytes()
        embedder.embed(librarys(data, embedder.preprocessing)[None])


def as_the_library_has_it(source: ModelSource) -> Embedder:
    """A model whose network is left as it came: neither packed, nor in lanes, nor in 8 bits."""
    with patch.object(TorchRuntime, "picture_half", TorchRuntime.plainly):
        return load_embedder(source)


def librarys(data: bytes, how: Preprocessing) -> NDArray[np.uint8]:
    """What torchvision's transforms, and so timm's and open_clip's, make of a picture."""
    side = how.resize_to
    resize = transforms.Resize(
        side if how.mode == "crop" else (side, side), transforms.InterpolationMode(how.resampling)
    )
    cut = transforms.CenterCrop(how.size)
    return np.asarray(cut(resize(decode_image(data, _LIMITS))))


def ingest(settings: Settings, catalog: Catalog, model: RunModel) -> None:
    """One run over everything; ends the benchmark where a photo fails."""
    run = catalog.runs.start(RunOptions(force_full=True), "cli")
    done = IngestRun(settings, catalog, run, model).execute()
    if done.state is not RunState.SUCCEEDED or done.counters.failed:
        raise SystemExit(f"the ingest did not succeed: {done.message}")


def copy_photos(source: Path | None, target: Path, count: int) -> None:
    """Copy photos under short names; where there are too few, again with a byte added."""
    source = source or _SAMPLE
    paths = sorted(p for p in source.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise SystemExit(f"{source} holds no photos.")
    for number in range(count):
        path = paths[number * len(paths) // count if count < len(paths) else number % len(paths)]
        copy = target / f"{number:06d}{path.suffix}"
        shutil.copyfile(path, copy)
        if number >= len(paths):
            with copy.open("ab") as file:
                file.write(number.to_bytes(4, "big"))


def random_clip(folder: Path, architecture: str = "ViT-B-32") -> Path:
    """A checkpoint of a real architecture with seeded random weights, made once."""
    path = folder / f"{architecture.lower()}.pt"
    if not path.exists():
        import open_clip  # noqa: PLC0415  # heavy, and only needed once
        import torch  # noqa: PLC0415

        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(0)
        torch.save(open_clip.create_model(architecture).state_dict(), path)
    return path
