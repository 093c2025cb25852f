"""Ingest on a GPU: from JPEG files to vectors, as a share of what the model alone could do.

For ViT-B-32 and ViT-L-14 in bf16: the forward pass on pictures that lie on the GPU, which bounds
all; Lookalike's pipeline, which decodes in processes on the CPU; and the same files decoded on the
GPU by torchvision (nvJPEG), resized there and embedded batch by batch while threads read ahead.
`--device cpu` runs a tiny form of it, for the code's sake.
"""

from __future__ import annotations

import os
import platform
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.v2 import functional

from benchmarks.decode import jpeg_photos
from benchmarks.figures import Figure, Options, Table, medians
from benchmarks.ingest import ingest, random_clip
from benchmarks.synthetic_store import fresh_folder
from core.settings import Settings
from core.store.catalog import Catalog
from core.vision.models import ModelSource, load_embedder
from ingest.model import RunModel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.vision.embedder import Embedder
    from core.vision.preprocessing import Preprocessing

_ROUNDS: Final = 3
_READ_AHEAD: Final = 2  # batches


def measure(options: Options) -> Table | None:
    """Measure both models; None, with a line that says so, where there is no GPU."""
    if options.device != "cpu" and not torch.cuda.is_available():
        print("gpu: torch sees no CUDA GPU on this machine, so nothing is measured.")
        return None
    on_gpu = options.device != "cpu"
    count, batch = (8, 4) if not on_gpu else (512, 128) if options.quick else (8192, 256)
    images = jpeg_photos(options.photos, options.folder / "gpu-images", count)
    table = Table("Ingest on a GPU", note=_machine(on_gpu))
    for architecture in ("ViT-B-32", "ViT-L-14") if on_gpu else ("ViT-B-32",):
        settings = Settings.load(
            image_dir=images,
            store_dir=fresh_folder(options.folder / "gpu-store"),
            model=f"open_clip:{architecture}",
            model_weights=random_clip(options.folder, architecture),
            device="cuda" if on_gpu else "cpu",
            precision="bf16" if on_gpu else "fp32",
            batch_size=batch,
        )
        table.figures += _measure_model(settings, 1 if options.quick or not on_gpu else _ROUNDS)
    return table


def _measure_model(settings: Settings, rounds: int) -> list[Figure]:
    embedder = load_embedder(ModelSource.from_settings(settings))
    paths = sorted(settings.image_dir.iterdir())
    size = embedder.image_size
    ready = np.random.default_rng(0).integers(
        0, 255, (settings.batch_size, size, size, 3), dtype=np.uint8
    )
    model = RunModel(settings)
    with closing(Catalog(settings.store_dir)) as catalog:
        model.embedder(catalog)
        _embed_decoded_there(embedder, paths[: settings.batch_size], settings.batch_size)
        forward, pipeline, there = medians(
            rounds,
            partial(_forward, embedder, ready, len(paths)),
            partial(ingest, settings, catalog, model),
            partial(_embed_decoded_there, embedder, paths, settings.batch_size),
        )
    what = f"{settings.model}, {len(paths):,} photos, {settings.precision}"
    bound = f"forward pass alone: {len(paths) / forward:.0f}/s"
    return [
        Figure(
            f"{what}, {way}",
            f"{len(paths) / taken:.0f} photos/s",
            bound,
            forward / taken,
            guarded=False,  # most machines have none
        )
        for way, taken in (
            ("the pipeline, decoding on the CPU", pipeline),
            (f"decoding on the {embedder.device}", there),
        )
    ]


def _forward(embedder: Embedder, ready: np.ndarray, count: int) -> None:
    """As many pictures as there are photos, all the same."""
    for _ in range(0, count, len(ready)):
        embedder.embed(ready)


def _embed_decoded_there(embedder: Embedder, paths: list[Path], batch: int) -> None:
    """Decode on the model's device; the vectors come to the CPU, as a store wants them."""
    for datas in _read_ahead(paths, batch):
        embedder.embed(decoded(datas, embedder.device, embedder.preprocessing))


def _read_ahead(paths: list[Path], batch: int) -> Iterator[list[torch.Tensor]]:
    """Files in batches, some of them read before they are asked for."""

    def read(path: Path) -> torch.Tensor:
        return torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)

    ahead = _READ_AHEAD * batch
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        started = [pool.submit(read, path) for path in paths[:ahead]]
        for start in range(0, len(paths), batch):
            yield [future.result() for future in started[start : start + batch]]
            following = paths[len(started) : len(started) + batch]
            started += [pool.submit(read, path) for path in following]


def decoded(datas: list[torch.Tensor], device: str, how: Preprocessing) -> np.ndarray:
    """Decode and resize JPEGs where the model is: `[n, size, size, 3]` uint8.

    They cross to the CPU and back, for that is where an embedder takes its pictures.
    """
    images = decode_jpeg(datas, mode=ImageReadMode.RGB, device=device)
    squares = [
        functional.center_crop(
            functional.resize(
                image,
                [how.resize_to],
                functional.InterpolationMode(how.resampling),
                antialias=True,
            ),
            [how.size],
        )
        for image in images
    ]
    pixels: np.ndarray = torch.stack(squares).permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pixels


def _machine(on_gpu: bool) -> str:
    """Which machine gave the figures."""
    if not on_gpu:
        return "Measured on a CPU, to exercise the code: no figure here says anything of a GPU."
    name = torch.cuda.get_device_name()
    memory = torch.cuda.get_device_properties(0).total_memory / 2**30
    return (
        f"Measured on {name}, {memory:.0f} GiB, with {os.cpu_count()} processor cores "
        f"({platform.processor() or platform.machine()}); CUDA {torch.version.cuda}."
    )
