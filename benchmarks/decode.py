"""From the bytes of a JPEG file to a model's square of pixels, done by several libraries.

Each is timed on one thread on the same photos, in turns, and held to what the model's own library
makes of them: the cosine between the vectors of MobileNetV2, and how often the photo that is most
alike stays the same. A way is fit to be used where the least cosine stays above 0.995. The large
photos are the others, enlarged.
"""

from __future__ import annotations

import shutil
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from PIL import Image
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.v2 import functional

from benchmarks.figures import Figure, Options, Table, seconds
from benchmarks.ingest import copy_photos, librarys
from benchmarks.side_programs import Program, Turns, started
from benchmarks.synthetic_store import fresh_folder
from core.settings import Settings
from core.vision.decode import DecodeLimits, decode_image
from core.vision.models import ModelSource, load_embedder
from core.vision.preprocessing import Preprocessing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from core.vision.embedder import Embedder

    Way = Callable[[bytes, Preprocessing], NDArray[np.uint8]]

_SPEC: Final = "timm:mobilenetv2_100"
_PLAIN: Final = Preprocessing(224, 256, "bicubic", "crop", (0.0,) * 3, (1.0,) * 3)
_LIMITS: Final = DecodeLimits.for_catalogue(Settings())
_SIMPLEJPEG: Final = Program("simplejpeg 1.9.0, scaled", "decode_simplejpeg.py", "simplejpeg")
_LIBRARYS: Final = "Pillow for both, in full"
_OURS: Final = "at least twice the size, quick resizing (what Lookalike does)"
_ENLARGED: Final = 4
_BATCH: Final = 32
_BAR: Final = 0.995


@dataclass(frozen=True)
class _Likeness:
    """How near the vectors of one way are to those of the library's own."""

    least: float  # cosine
    same: float  # share of the photos whose nearest other photo is the same


def measure(options: Options) -> Table:
    """Time every way on photos of both sizes."""
    timed, compared, rounds = (12, 24, 1) if options.quick else (48, 500, 3)
    table = Table("Decoding")
    embedder = _embedder(options.weights)
    how = embedder.preprocessing if embedder else _PLAIN
    absent: dict[str, str] = {}
    sizes = {
        title: jpeg_photos(options.photos, options.folder / f"decode-{scale}", compared, scale)
        for title, scale in (("", 1), (", enlarged", _ENLARGED))
    }
    with ExitStack() as running:
        others = started((_SIMPLEJPEG,), options.folder, absent, running)
        print("decode: timing", file=sys.stderr, flush=True)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        times = {
            title: _times(images, how, others, timed, rounds) for title, images in sizes.items()
        }
        torch.set_num_threads(threads)
        print("decode: comparing", file=sys.stderr, flush=True)
        for title, images in sizes.items():
            likenesses = _likenesses(images, how, others, embedder) if embedder else {}
            width, height = np.median([Image.open(path).size for path in _paths(images)], axis=0)
            what = f"{width:.0f} by {height:.0f}{title}"
            table.figures += [
                _figure(label, what, times[title], likenesses, timed) for label in times[title]
            ]
    notes = [f"{label} did not take part: {why}." for label, why in absent.items()]
    if embedder is None:
        notes.append("The cosines want --weights, real weights of timm's mobilenetv2_100.")
    else:
        notes.append(
            f"The least cosine is over {compared} photos; it should stay above {_BAR}. "
            "The nearest photo is of those."
        )
    table.note = " ".join(notes)
    return table


def quick(data: bytes, how: Preprocessing, margin: int | None = None) -> NDArray[np.uint8]:
    """Decode in full, or leave out what is beyond `margin` times the size that is needed."""
    detail = None if margin is None else margin * how.resize_to
    return how.prepare(decode_image(data, _LIMITS, detail))


def torchvision(data: bytes, how: Preprocessing) -> NDArray[np.uint8]:
    """Decode and resize as tensors."""
    raw = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    image = decode_jpeg(raw, mode=ImageReadMode.RGB)
    image = functional.resize(
        image, [how.resize_to], functional.InterpolationMode(how.resampling), antialias=True
    )
    cut: NDArray[np.uint8] = functional.center_crop(image, [how.size]).permute(1, 2, 0).numpy()
    return cut


_WAYS: Final[dict[str, Way]] = {
    _LIBRARYS: librarys,
    "in full, quick resizing": quick,
    _OURS: partial(quick, margin=Preprocessing.oversampling),
    "at least the size, quick resizing": partial(quick, margin=1),
    "torchvision.io": torchvision,
}


def _embedder(weights: Path | None) -> Embedder | None:
    return load_embedder(ModelSource(_SPEC, weights, "cpu", "fp32")) if weights else None


def jpeg_photos(photos: Path | None, images: Path, count: int, scale: int = 1) -> Path:
    """Fill a folder with so many photos, as JPEG files and enlarged where asked."""
    copy_photos(photos, fresh_folder(images), count)
    for path in images.iterdir():
        if scale == 1 and path.suffix.lower() in {".jpg", ".jpeg"}:
            continue
        image = Image.open(path).convert("RGB")
        larger = image.resize((image.width * scale, image.height * scale), Image.Resampling.LANCZOS)
        path.unlink()
        larger.save(path.with_suffix(".jpg"), quality=92)
    return images


def _paths(images: Path) -> list[Path]:
    return sorted(images.iterdir())


def _times(
    images: Path, how: Preprocessing, others: list[Turns], count: int, rounds: int
) -> dict[str, float]:
    """Seconds of the first `count` photos, by way; a first round is not counted."""
    few = fresh_folder(images.with_name("decode-few"))
    for path in _paths(images)[:count]:
        shutil.copyfile(path, few / path.name)
    datas = [path.read_bytes() for path in _paths(few)]
    taken: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        for label, way in _WAYS.items():
            once = seconds(partial(_all, way, datas, how))
            taken.setdefault(label, []).append(once)
        for one in others:
            taken.setdefault(one.label, []).append(one.ingest(few, how.resize_to, how.size))
        if number == 0:
            taken.clear()
    return {label: median(times) for label, times in taken.items()}


def _all(way: Way, datas: list[bytes], how: Preprocessing) -> None:
    for data in datas:
        way(data, how)


def _likenesses(
    images: Path, how: Preprocessing, others: list[Turns], embedder: Embedder
) -> dict[str, _Likeness]:
    """How near each photo's vector is to that of what the library itself prepares."""
    datas = [path.read_bytes() for path in _paths(images)]
    true = _vectors([librarys(data, how) for data in datas], embedder)
    found = {}
    for label, way in _WAYS.items():
        if label != _LIBRARYS:
            found[label] = _likeness(true, _vectors([way(data, how) for data in datas], embedder))
    for one in others:
        one.ingest(images, how.resize_to, how.size)
        found[one.label] = _likeness(true, _vectors(list(one.vectors()), embedder))
    return found


def _likeness(true: NDArray[np.float32], theirs: NDArray[np.float32]) -> _Likeness:
    cosines = (true * theirs).sum(axis=1)
    nearest = []
    for queries in (true, theirs):  # among the true ones, as of a catalogue decoded in full
        scores = queries @ true.T
        np.fill_diagonal(scores, -np.inf)
        nearest.append(scores.argmax(axis=1))
    return _Likeness(float(cosines.min()), float((nearest[0] == nearest[1]).mean()))


def _vectors(pixels: list[NDArray[np.uint8]], embedder: Embedder) -> NDArray[np.float32]:
    parts = [
        embedder.embed(np.stack(pixels[start : start + _BATCH]))
        for start in range(0, len(pixels), _BATCH)
    ]
    return np.concatenate(parts)


def _figure(
    label: str,
    what: str,
    times: dict[str, float],
    likenesses: dict[str, _Likeness],
    count: int,
) -> Figure:
    value = f"{count / times[label]:.0f} photos/s"
    if label in likenesses:
        likeness = likenesses[label]
        value += f"; cosine at least {likeness.least:.4f}; same nearest {likeness.same:.1%}"
    return Figure(
        f"{label}, {what}",
        value,
        f"{_LIBRARYS}: {count / times[_LIBRARYS]:.0f}/s",
        times[_LIBRARYS] / times[label],
        guarded=False,  # of libraries, not of Lookalike
    )
