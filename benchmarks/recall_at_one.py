"""How often a model's first neighbour is of the right kind, and what its threshold is worth.

    python -m benchmarks.recall_at_one MODEL GALLERY QUERIES [--weights FILE] [--threshold SCORE]

GALLERY and QUERIES are folders of photos; a photo's label is its folder's path below them. Prints
R@1 (the share of queries whose nearest photo of the gallery has their label) and, for a range of
thresholds, how many queries have a first match at or above it and how many of those are right.
Decoded photos are kept in the system's temporary folder, so that a second run is quick.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.vision.decode import IMAGE_SUFFIXES, DecodeLimits, decode_image
from core.vision.models import ModelSource, load_embedder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.vision.embedder import Embedder
    from core.vision.preprocessing import Preprocessing

_LIMITS = DecodeLimits(100_000_000, 100_000_000, "this benchmark")
_BATCH = 64


@dataclass(frozen=True)
class Photos:
    """The photos below a folder."""

    labels: list[str]  # of each photo, its folder's path below the one given
    pixels: NDArray[np.uint8]  # `[n, size, size, 3]`


def read_photos(folder: Path, preprocessing: Preprocessing) -> Photos:
    """Decode and prepare every photo below `folder`, sorted by path."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise SystemExit(f"{folder} holds no photos.")
    labels = [p.parent.relative_to(folder).as_posix() for p in paths]
    state = repr((preprocessing, [(str(p), p.stat().st_mtime_ns) for p in paths]))
    name = hashlib.sha256(state.encode()).hexdigest()[:16]
    cache = Path(tempfile.gettempdir()) / f"lookalike-bench-{name}.npy"
    if not cache.exists():
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            prepared = pool.map(partial(_prepare, preprocessing), paths, chunksize=32)
            np.save(cache, np.stack(list(prepared)))
    return Photos(labels, np.load(cache))


def _prepare(preprocessing: Preprocessing, path: Path) -> NDArray[np.uint8]:
    return preprocessing.prepare(decode_image(path.read_bytes(), _LIMITS))


def embed_all(embedder: Embedder, photos: Photos) -> NDArray[np.float32]:
    """Embed photos in batches: `[n, dimension]` float32."""
    starts = range(0, len(photos.pixels), _BATCH)
    return np.concatenate([embedder.embed(photos.pixels[s : s + _BATCH]) for s in starts])


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", help="spec, as in LOOKALIKE_MODEL")
    parser.add_argument("gallery", type=Path)
    parser.add_argument("queries", type=Path)
    parser.add_argument("--weights", type=Path, help="file, as in LOOKALIKE_MODEL_WEIGHTS")
    parser.add_argument("--threshold", type=float, help="instead of the model's own")
    options = parser.parse_args()
    embedder = load_embedder(ModelSource(options.model, options.weights))
    gallery = read_photos(options.gallery, embedder.preprocessing)
    queries = read_photos(options.queries, embedder.preprocessing)
    started = time.perf_counter()
    vectors = embed_all(embedder, gallery)
    each_ms = (time.perf_counter() - started) / len(vectors) * 1000
    scores = embed_all(embedder, queries) @ vectors.T
    first = scores.argmax(axis=1)
    right = np.array(gallery.labels)[first] == np.array(queries.labels)
    best = scores.max(axis=1)
    print(f"{options.model}: dimension {embedder.dimension}, {each_ms:.1f} ms a photo to embed")
    print(f"{len(queries.labels)} queries in {len(gallery.labels)} photos: R@1 {right.mean():.3f}")
    chosen = options.threshold or embedder.default_threshold
    for threshold in sorted({chosen, *np.arange(0.2, 1.0, 0.05).round(2).tolist()}):
        over = best >= threshold
        pairs = scores >= threshold
        same = np.array(queries.labels)[:, None] == np.array(gallery.labels)
        precision = f"{right[over].mean():.3f}" if over.any() else "none"
        of_pairs = f"{same[pairs].mean():.3f}" if pairs.any() else "none"
        print(
            f"  threshold {threshold:.2f}: {over.mean():6.1%} of the queries have a match, the "
            f"first is right {precision}, any is right {of_pairs}, "
            f"{pairs.sum(axis=1).mean():.1f} matches a query"
            + (" (default)" if threshold == chosen else "")
        )


if __name__ == "__main__":
    main()
