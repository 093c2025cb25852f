"""The photos to learn from: every kind but those held out, shrunk once and kept in memory."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SHORT_SIDE = 288
"""Shortest side that a photo is kept at, in pixels: a crop of half its area still fills a view."""


@dataclass(frozen=True)
class PhotoSet:
    """Photos of several folders, in the order of the folders and of the paths in them."""

    pixels: list[NDArray[np.uint8]]  # of each photo `[height, width, 3]`
    labels: NDArray[np.int64]  # of each photo, the number of its kind
    kinds: list[str]  # what the numbers stand for: folder, then the photo's folder below it


def find_photos(folders: list[Path], held_out: set[str]) -> list[tuple[Path, str]]:
    """Each photo below `folders` whose folder there is not held out, and its kind."""
    found: list[tuple[Path, str]] = []
    for number, folder in enumerate(folders):
        for path in sorted(folder.rglob("*.jpg")):
            kind = path.parent.relative_to(folder).as_posix()
            if kind not in held_out:
                found.append((path, f"{number}/{kind}"))
    return found


def read_photos(folders: list[Path], held_out: set[str]) -> PhotoSet:
    """Read every photo below `folders` whose folder there is not held out."""
    found = find_photos(folders, held_out)
    kinds = sorted({kind for _, kind in found})
    labels = np.array([kinds.index(kind) for _, kind in found], np.int64)
    with ProcessPoolExecutor() as pool:
        pixels = list(pool.map(_shrunk, [path for path, _ in found], chunksize=32))
    return PhotoSet(pixels, labels, kinds)


def read_held_out(path: Path) -> set[str]:
    """The kinds that `path` lists, one a line; # starts a remark."""
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return {line for line in lines if line}


def _shrunk(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        picture = image.convert("RGB")
    scale = SHORT_SIDE / min(picture.size)
    size = (round(picture.width * scale), round(picture.height * scale))
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC))
