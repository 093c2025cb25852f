"""What a forward pass costs in the thread that a service runs it in, with and without its care.

A service loads models in a thread that ends, and keeps freed memory (`core/vision/models.py`,
`service/memory.py`). In turn another thread has run the model before, or the C library is told to
return blocks of 4 MB as they are freed; every time in a fresh process. In the same manner a network
as its library has it, and one that OpenVINO runs in bf16, stand beside one that is packed and done
in lanes (`core/vision/packed.py`, `core/vision/lanes.py`).

    python -m benchmarks.passes SPEC PRECISION WEIGHTS WAY       as JSON
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final
from unittest.mock import patch

import numpy as np
import timm
import torch

from benchmarks.figures import Figure, Options, Table, seconds, show_ms
from benchmarks.ingest import as_the_library_has_it, native_precision, random_clip
from benchmarks.load import ROOT
from core.vision.models import ModelSource, load_embedder
from service.memory import freed_memory_kept

if TYPE_CHECKING:
    from core.vision.embedder import Embedder

_CLIP: Final = "open_clip:ViT-B-32"
_SERVICE: Final = "as in a service"
_TEAMS: Final = "with another thread that has run it"
_RETURNED: Final = "with freed memory returned at once"
_AS_IT_IS: Final = "as its library has it"
_OPENVINO: Final = "by OpenVINO"
_BATCHES: Final = (1, 16)
_MMAP_THRESHOLD: Final = -3  # M_MMAP_THRESHOLD of mallopt(3)


@dataclass(frozen=True)
class _Family:
    """A model, and the ways in which it is run in turns, the service's first."""

    spec: str
    precision: str
    ways: tuple[str, ...]

    def fresh(self, weights: Path, way: str) -> list[float]:
        """Seconds of a pass of each of `_BATCHES`, in a process of its own."""
        names = (self.spec, self.precision, str(weights), way)
        command = [sys.executable, "-m", "benchmarks.passes", *names]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
        times: list[float] = json.loads(done.stdout)
        return times


def measure(options: Options) -> Table:
    """Run each way in turns."""
    turns = 1 if options.quick else 3
    table = Table("A pass in a service", note="Medians of the medians of so many processes.")
    for family in _families():
        weights = _random_weights(options.folder, family.spec)
        taken = [{way: family.fresh(weights, way) for way in family.ways} for _ in range(turns)]
        for place, batch in enumerate(_BATCHES):
            times = {way: median(turn[way][place] for turn in taken) for way in family.ways}
            what = f"{family.spec} in {family.precision}, {batch} at once"
            table.figures += _compared(what, times)
    return table


def _families() -> list[_Family]:
    families = [
        _Family(_CLIP, "fp32", (_SERVICE, _TEAMS, _RETURNED)),
        _Family("timm:mobilenetv2_100", "fp32", (_SERVICE, _AS_IT_IS)),
    ]
    if native_precision() == "bf16":
        there = find_spec("openvino") and find_spec("nncf")
        others = (_AS_IT_IS, _OPENVINO) if there else (_AS_IT_IS,)
        families.append(_Family(_CLIP, "bf16", (_SERVICE, *others)))
    return families


def _random_weights(folder: Path, spec: str) -> Path:
    if spec == _CLIP:
        return random_clip(folder)
    name = spec.partition(":")[2]
    path = folder / f"{name}.pt"
    torch.manual_seed(0)
    torch.save(timm.create_model(name).state_dict(), path)
    return path


def _compared(what: str, times: dict[str, float]) -> list[Figure]:
    """Every other way beside the service's."""
    service = times[_SERVICE]
    return [
        Figure(
            f"{what}, {way}",
            show_ms(time),
            f"{_SERVICE}: {show_ms(service)}",
            time / service,
            guarded=False,  # of what is avoided
        )
        for way, time in times.items()
        if way != _SERVICE
    ]


def _median_passes(source: ModelSource, way: str) -> list[float]:
    """Seconds of a pass of each of `_BATCHES`, in a thread of its own."""
    embedder = _loaded(source, way)
    side = embedder.image_size
    shape = (max(_BATCHES), side, side, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    if way == _TEAMS:
        embedder.embed(pixels[:1])
    found = list[float]()
    if way == _RETURNED:
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, 4 << 20)
    kept = nullcontext() if way == _RETURNED else freed_memory_kept()
    with kept, ThreadPoolExecutor(1) as model:
        for batch in _BATCHES:
            work = partial(embedder.embed, pixels[:batch])
            for _ in range(2):
                model.submit(work).result()
            rounds = 24 if batch == 1 else 6
            found.append(median(model.submit(seconds, work).result() for _ in range(rounds)))
    return found


def _loaded(source: ModelSource, way: str) -> Embedder:
    if way == _OPENVINO:
        import nncf  # noqa: PLC0415  # optional

        # What it does in 8 bits, without the 8 bits: it takes bf16 where the processor has it.
        with patch.object(nncf, "quantize", lambda graph, *_given, **_named: graph):
            return load_embedder(replace(source, precision="int8"))
    return as_the_library_has_it(source) if way == _AS_IT_IS else load_embedder(source)


def _main(spec: str, precision: str, weights: str, way: str) -> None:
    print(json.dumps(_median_passes(ModelSource(spec, Path(weights), "cpu", precision), way)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
