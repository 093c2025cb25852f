"""How long the models that run anywhere take for a picture, on one core."""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import TYPE_CHECKING

import torch

from benchmarks.figures import Figure, Options, Table, seconds
from core.vision.dead_leaves import draw_pictures
from core.vision.models import ModelSource, load_embedder

if TYPE_CHECKING:
    from core.vision.embedder import Embedder

_BATCH = 32
_REFERENCE = "timm:mobilenetv2_100"


def measure(options: Options) -> Table:
    """Embed drawn pictures alone and in batches, each model in turns with the reference."""
    repeats = 3 if options.quick else 9
    reference = load_embedder(ModelSource(_REFERENCE, options.weights, "cpu", "fp32"))
    models = [
        load_embedder(ModelSource(spec, None, "cpu", "fp32")) for spec in ("classic", "compact")
    ]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        figures = [
            _figure(model, reference, size, repeats) for model in models for size in (1, _BATCH)
        ]
    finally:
        torch.set_num_threads(threads)
    return Table("Speed on one core", figures)


def _figure(model: Embedder, reference: Embedder, size: int, repeats: int) -> Figure:
    works = [partial(one.embed, draw_pictures(size, one.image_size)) for one in (model, reference)]
    for work in works:
        work()
    taken = [[seconds(work) / size * 1000 for work in works] for _ in range(repeats)]
    ours, theirs = (median(column) for column in zip(*taken, strict=True))
    return Figure(
        f"{model.spec}, {'a picture alone' if size == 1 else f'in batches of {size}'}",
        f"{ours:.1f} ms a picture",
        f"{reference.spec}: {theirs:.1f} ms",
        theirs / ours,
        "8 ms" if model.spec == "compact" else "",
        guarded=False,  # needs weights that bench-check is not given
    )
