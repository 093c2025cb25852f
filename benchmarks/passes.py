"""What a forward pass costs in the thread that a service runs it in, with and without its care.

A service loads models in a thread that ends, and keeps freed memory (`core/vision/models.py`,
`service/memory.py`). In turn another thread has run the model before, or the C library is told to
return blocks of 4 MB as they are freed; every time in a fresh process. Where the processor has
bf16, a network as torch has it, and one that OpenVINO runs in bf16, stand beside one that is packed
and done in lanes (`core/vision/packed.py`, `core/vision/lanes.py`).

    python -m benchmarks.passes WEIGHTS WAY       as JSON
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.figures import Figure, Options, Table, seconds, show_ms
from benchmarks.ingest import as_the_library_has_it, random_clip
from benchmarks.load import ROOT
from core.vision.models import ModelSource, load_embedder
from core.vision.torch_runtime import TorchRuntime
from service.memory import freed_memory_kept

if TYPE_CHECKING:
    from core.vision.embedder import Embedder

_SPEC: Final = "open_clip:ViT-B-32"
_SERVICE: Final = "as in a service"
_TEAMS: Final = "with another thread that has run it"
_RETURNED: Final = "with freed memory returned at once"
_BF16: Final = "in bf16 as in a service"
_AS_IT_IS: Final = "in bf16 as torch has it"
_WAYS: Final = (_SERVICE, _TEAMS, _RETURNED)
_OPENVINO: Final = "in bf16 by OpenVINO"
_BF16_WAYS: Final = (_BF16, _AS_IT_IS, _OPENVINO)
_BATCHES: Final = (1, 16)
_MMAP_THRESHOLD: Final = -3  # M_MMAP_THRESHOLD of mallopt(3)


def measure(options: Options) -> Table:
    """Run each way in turns."""
    weights = random_clip(options.folder)
    turns = 1 if options.quick else 3
    native = TorchRuntime.choose(ModelSource(_SPEC, weights, "cpu", "auto")).dtype is torch.bfloat16
    families = [_WAYS, _bf16_ways()] if native else [_WAYS]
    every = [way for ways in families for way in ways]
    taken = [{way: _fresh(weights, way) for way in every} for _ in range(turns)]
    table = Table("A pass in a service", note="Medians of the medians of so many processes.")
    for ways in families:
        for place, batch in enumerate(_BATCHES):
            times = {way: median(turn[way][place] for turn in taken) for way in ways}
            table.figures += _compared(batch, times)
    return table


def _compared(batch: int, times: dict[str, float]) -> list[Figure]:
    """Every other way beside the first."""
    (best, reference), *others = times.items()
    return [
        Figure(
            f"{_SPEC}, {batch} at once, {way}",
            show_ms(time),
            f"{best}: {show_ms(reference)}",
            time / reference,
            guarded=False,  # of what is avoided
        )
        for way, time in others
    ]


def _fresh(weights: Path, way: str) -> list[float]:
    command = [sys.executable, "-m", "benchmarks.passes", str(weights), way]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    times: list[float] = json.loads(done.stdout)
    return times


def _median_passes(weights: Path, way: str) -> list[float]:
    """Seconds of a pass of each of `_BATCHES`, in a thread of its own."""
    embedder = _loaded(weights, way)
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


def _bf16_ways() -> tuple[str, ...]:
    there = find_spec("openvino") and find_spec("nncf")
    return tuple(way for way in _BF16_WAYS if there or way != _OPENVINO)


def _loaded(weights: Path, way: str) -> Embedder:
    if way == _OPENVINO:
        import nncf  # noqa: PLC0415  # optional

        # What it does in 8 bits, without the 8 bits: it takes bf16 where the processor has it.
        with patch.object(nncf, "quantize", lambda graph, *_given, **_named: graph):
            return load_embedder(ModelSource(_SPEC, weights, "cpu", "int8"))
    source = ModelSource(_SPEC, weights, "cpu", "bf16" if way in _BF16_WAYS else "fp32")
    return as_the_library_has_it(source) if way == _AS_IT_IS else load_embedder(source)


if __name__ == "__main__":
    print(json.dumps(_median_passes(Path(sys.argv[1]), sys.argv[2])))
