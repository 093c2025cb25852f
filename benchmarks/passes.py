"""What a forward pass costs in the thread that a service runs it in, with and without its care.

A service loads models in a thread that ends, and keeps freed memory (`core/vision/models.py`,
`service/memory.py`). In turn another thread has run the model before, or the C library is told to
return blocks of 4 MB as they are freed; every time in a fresh process.

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
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np

from benchmarks.figures import Figure, Options, Table, seconds, show_ms
from benchmarks.ingest import random_clip
from benchmarks.load import ROOT
from core.vision.models import ModelSource, load_embedder
from service.memory import freed_memory_kept

_SPEC: Final = "open_clip:ViT-B-32"
_SERVICE: Final = "as in a service"
_TEAMS: Final = "with another thread that has run it"
_RETURNED: Final = "with freed memory returned at once"
_WAYS: Final = (_SERVICE, _TEAMS, _RETURNED)
_BATCHES: Final = (1, 16)
_MMAP_THRESHOLD: Final = -3  # M_MMAP_THRESHOLD of mallopt(3)


def measure(options: Options) -> Table:
    """Run each way in turns."""
    weights = random_clip(options.folder)
    turns = 1 if options.quick else 3
    taken = [{way: _fresh(weights, way) for way in _WAYS} for _ in range(turns)]
    table = Table("A pass in a service", note="Medians of the medians of so many processes.")
    for place, batch in enumerate(_BATCHES):
        times = {way: median(turn[way][place] for turn in taken) for way in _WAYS}
        table.figures += [
            Figure(
                f"{_SPEC}, {batch} at once, {way}",
                show_ms(times[way]),
                f"{_SERVICE}: {show_ms(times[_SERVICE])}",
                times[way] / times[_SERVICE],
                guarded=False,  # of what is avoided
            )
            for way in _WAYS[1:]
        ]
    return table


def _fresh(weights: Path, way: str) -> list[float]:
    command = [sys.executable, "-m", "benchmarks.passes", str(weights), way]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    times: list[float] = json.loads(done.stdout)
    return times


def _median_passes(weights: Path, way: str) -> list[float]:
    """Seconds of a pass of each of `_BATCHES`, in a thread of its own."""
    embedder = load_embedder(ModelSource(_SPEC, weights, "cpu", "fp32"))
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


if __name__ == "__main__":
    print(json.dumps(_median_passes(Path(sys.argv[1]), sys.argv[2])))
