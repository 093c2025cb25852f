"""Ingest beside other products: the same photos, the same model, in turns within one run.

Lookalike runs its whole pipeline, from JPEG files to a committed store; the others do what they
call indexing, up to their own files, or to one file of vectors where they keep none. Every model
is loaded before the first turn and stays loaded, so none of the figures counts its loading; nor
what starting worker processes costs, for each rate is of the difference between a short turn and
a long one. Each product runs in an environment of its own (`benchmarks/side`).
"""

from __future__ import annotations

import shutil
import sys
from contextlib import ExitStack, closing
from statistics import median
from typing import TYPE_CHECKING, Final

import numpy as np

from benchmarks.figures import Figure, Options, Table, seconds
from benchmarks.ingest import copy_photos, ingest, random_clip
from benchmarks.side_programs import Program, Turns, UnavailableError, started
from benchmarks.synthetic_store import fresh_folder
from core.settings import Settings
from core.store.catalog import Catalog
from core.store.snapshot import read_snapshot
from ingest.model import RunModel

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MODEL: Final = "open_clip:ViT-B-32"
_LOOP: Final = "one-by-one loop"
_PROGRAMS: Final = (
    Program(_LOOP, "ingest_loop.py"),
    Program("DataLoader", "ingest_loader.py", remark="batches of 32, two workers"),
    Program(
        "rclip 3.3.0",
        "ingest_rclip.py",
        "rclip",
        own_model=True,
        remark="ONNX Runtime, given the same weights and 224 pixels in place of its 256",
    ),
    Program(
        "clip-retrieval 2.45.0",
        "ingest_clip_retrieval.py",
        "clip-retrieval",
        remark="batches of 32, four workers",
    ),
    Program(
        "infinity-emb 0.0.78",
        "ingest_infinity.py",
        "infinity",
        own_model=True,
        remark="the architecture with other random weights; keeps nothing, so no store is written",
    ),
    Program("chromadb 1.5.9", "ingest_chromadb.py", "chromadb", remark="its open_clip function"),
)
_PRECISIONS: Final = ("auto", "int8")
_ROUNDS: Final = 2
_MOST_GAIN: Final = 2.0  # that leaving out the start may bring; more is noise
_SAME: Final = 0.99  # least cosine of two programs' vectors of one photo


class Lookalike:
    """Our own pipeline with its model loaded, in the same manner as the others' programs."""

    def __init__(self, folder: Path, images: Path, precision: str) -> None:
        self.label = "Lookalike" if precision == "auto" else f"Lookalike in {precision}"
        self._folder, self._precision = folder, precision
        self._store = folder / f"products-store-{precision}"
        # Knows the model, and no photo.
        self._empty = fresh_folder(folder / f"products-empty-{precision}")
        self._model = RunModel(self._settings(images))
        with closing(Catalog(self._empty)) as catalog:
            self._model.embedder(catalog)

    def ingest(self, images: Path) -> float:
        """Seconds of one ingest into an empty store."""
        shutil.rmtree(self._store, ignore_errors=True)
        shutil.copytree(self._empty, self._store)
        with closing(Catalog(self._store)) as catalog:
            return seconds(lambda: ingest(self._settings(images), catalog, self._model))

    def vectors(self) -> NDArray[np.float32]:
        """What lies in the store, by the photos' names."""
        with closing(Catalog(self._store)) as catalog:
            snapshot = read_snapshot(catalog)
            assert snapshot.vectors is not None  # noqa: S101  # the store was just filled
            entries = [snapshot.entries[place] for place in range(len(snapshot.entries))]
            rows = {entry.path: entry.vector_id for entry in entries}
            return snapshot.vectors.read(np.array([rows[path] for path in sorted(rows)]))

    def _settings(self, images: Path) -> Settings:
        return Settings.load(
            image_dir=images,
            store_dir=self._store,
            model=MODEL,
            model_weights=random_clip(self._folder),
            precision=self._precision,
        )


def measure(options: Options) -> Table:
    """Let everyone ingest the same photos, in turns."""
    few, many, rounds = (8, 24, 1) if options.quick else (32, 320, _ROUNDS)
    folders = [fresh_folder(options.folder / f"products-images-{n}") for n in (few, many)]
    for folder, count in zip(folders, (few, many), strict=True):
        copy_photos(options.photos, folder, count)
    absent: dict[str, str] = {}
    with ExitStack() as running:
        others = started(_PROGRAMS, options.folder, absent, running)
        ours = [Lookalike(options.folder, folders[0], precision) for precision in _PRECISIONS]
        print("all models are loaded", file=sys.stderr, flush=True)
        taken = _rounds([*ours, *others], folders, rounds, absent)
        same = [one.label for one in others if one.label in taken and _same(one, ours[0])]
    rates = {label: steady_rate(times, few, many) for label, times in taken.items()}
    table = Table("Ingest beside other products", note=_note(same, absent))
    for one in ours:
        mine = rates.pop(one.label)
        table.figures += _figures(one.label, mine, rates, many)
    return table


def steady_rate(times: list[tuple[float, float]], few: int, many: int) -> float:
    """Photos a second once all is under way, from the seconds that few and many took.

    What starting and ending cost is in both and falls out; where noise leaves nothing of the
    difference, the rate of the longer turns counts as it is.
    """
    short, long = (median(column) for column in zip(*times, strict=True))
    plain = many / long
    steady = (many - few) / (long - short) if long > short else plain
    return max(plain, min(steady, _MOST_GAIN * plain))


def _rounds(
    all_of_us: list[Lookalike | Turns], folders: list[Path], rounds: int, absent: dict[str, str]
) -> dict[str, list[tuple[float, float]]]:
    """Seconds that the few and the many photos took, of each by turns; a short warm-up first."""
    taken: dict[str, list[tuple[float, float]]] = {one.label: [] for one in all_of_us}
    for number in range(rounds + 1):
        for one in all_of_us:
            if one.label in absent:
                continue
            try:
                short = one.ingest(folders[0])
                if number > 0:
                    taken[one.label].append((short, one.ingest(folders[1])))
            except UnavailableError as error:
                absent[one.label] = str(error)
    return {label: times for label, times in taken.items() if label not in absent}


def _same(theirs: Turns, ours: Lookalike) -> bool:
    """Whether the same model saw the same photos."""
    a, b = theirs.vectors().astype(np.float32), ours.vectors()
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return bool(((a * b).sum(axis=1) / lengths).min() > _SAME)


def _figures(who: str, mine: float, rates: dict[str, float], count: int) -> list[Figure]:
    """One of ours beside each of the others, the slowest first."""
    others = {label: rate for label, rate in rates.items() if not label.startswith("Lookalike")}
    products = {label for label in others if label[-1].isdigit()}
    fastest = max(products, key=others.__getitem__, default="")
    remarks = {program.label: program.remark for program in _PROGRAMS}
    figures = []
    for label, rate in sorted(others.items(), key=lambda pair: pair[1]):
        budget = "at least 5" if label == _LOOP else "at least 2" if label == fastest else ""
        figures.append(
            Figure(
                f"{who}, {MODEL}, {count} photos, against {label}",
                f"{mine:.1f} photos/s",
                f"{rate:.1f}/s" + (f" ({remarks[label]})" if remarks[label] else ""),
                mine / rate,
                budget,
                guarded=False,  # needs what bench-check cannot count on
            )
        )
    return figures


def _note(same: list[str], absent: dict[str, str]) -> str:
    notes = [f"Vectors equal to Lookalike's (cosine above {_SAME}): {', '.join(same)}."]
    return " ".join(
        [*notes, *(f"{label} did not take part: {why}." for label, why in absent.items())]
    )
