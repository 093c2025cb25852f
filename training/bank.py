"""Draw the views, ask the teacher about each once, and keep both in a folder.

    python -m training.bank PHOTOS... --teacher FILE --out FOLDER [--views N] [--seed N]

The folder then holds, in shards of 4,096 views: `views-000.npy`, `[4096, 128, 128, 3]` uint8 at the
student's size; `answers-000.npy`, `[4096, 1280]` float16, the teacher's features of the same views
at 224 pixels; `photos-000.npy`, `[4096]` int64, the photo each shows most of, or -1;
`kinds-000.npy`, `[4096]` int64, the kind of that photo where the view is much as the photo is, or
-1. A run that was stopped goes on with the first shard that is missing.
"""

from __future__ import annotations

import argparse
import random
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from training.photos import read_held_out, read_photos
from training.views import make_view

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARD = 4096
STUDENT_SIZE = 128
_BATCH = 64
HELD_OUT = Path(__file__).with_name("held_out.txt")

_PARTS = ("views", "answers", "kinds", "photos")  # the last one shows that a shard is whole

# Filled before the workers are forked, so that they share them.
_photos: list[NDArray[np.uint8]] = []
_kinds: list[int] = []


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photos", type=Path, nargs="+", help="folders of photos, one folder a kind")
    parser.add_argument("--teacher", type=Path, required=True, help="mobilenetv2_100.safetensors")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--views", type=int, default=15 * SHARD, help="a multiple of 4096")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    photos = read_photos(options.photos, read_held_out(HELD_OUT))
    print(f"{len(photos.pixels)} photos of {len(photos.kinds)} kinds", flush=True)
    _photos.extend(photos.pixels)
    _kinds.extend(photos.labels.tolist())
    _fill(options.out, options.teacher, options.views // SHARD, options.seed)


def _fill(out: Path, weights: Path, shards: int, seed: int) -> None:
    with ProcessPoolExecutor(2, get_context("fork")) as pool:
        pool.submit(int).result()  # fork before the teacher starts its threads
        from training.teacher import Teacher  # noqa: PLC0415

        teacher = Teacher(weights)
        for shard in range(shards):
            if (out / f"photos-{shard:03}.npy").exists():
                continue
            seeds = [seed * 10_000_000 + shard * SHARD + number for number in range(SHARD)]
            batches = [seeds[start : start + _BATCH] for start in range(0, SHARD, _BATCH)]
            parts: dict[str, list[NDArray[Any]]] = {name: [] for name in _PARTS}
            for large, drawn in pool.map(_draw, batches):
                for name, rows in {**drawn, "answers": teacher.answer(large)}.items():
                    parts[name].append(rows)
            for name in _PARTS:
                np.save(out / f"{name}-{shard:03}.npy", np.concatenate(parts[name]))
            print(f"shard {shard + 1} of {shards}", flush=True)


def _draw(seeds: list[int]) -> tuple[NDArray[np.uint8], dict[str, NDArray[Any]]]:
    """The views of `seeds` at the teacher's size, and what is kept of them."""
    views = [make_view(_photos, random.Random(seed)) for seed in seeds]
    size = (STUDENT_SIZE, STUDENT_SIZE)
    small = [np.asarray(v.picture.resize(size, Image.Resampling.BICUBIC)) for v in views]
    photos = np.array([view.photo for view in views], np.int64)
    alike = np.array([view.alike for view in views])
    kinds = np.where(alike, np.array(_kinds)[photos], -1)
    large = np.stack([np.asarray(view.picture) for view in views])
    return large, {"views": np.stack(small), "photos": photos, "kinds": kinds}


if __name__ == "__main__":
    main()
