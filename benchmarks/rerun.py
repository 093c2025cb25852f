"""A run that finds nothing changed, beside `find` printing every file's size and time.

The survey is the run's look at the folder: it walks, stats every file and compares with the
catalog. What else such a run does is counted too, as a process of its own would: all but the
interpreter's start.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.figures import Figure, Options, Table, medians
from benchmarks.synthetic_store import fresh_folder, path_of
from core.folder.walk import Walk
from core.records import STILL, RunOptions, RunState
from core.settings import Settings
from core.store.catalog import Catalog
from core.store.commit import Commit, IndexedFile, NewSegment
from core.store.segments import SegmentRows, write_segment
from ingest.model import RunModel
from ingest.run import IngestRun

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_REPEATS = 5
_DIMENSION = 8


def measure(options: Options) -> Table:
    """Time reruns over many tiny files."""
    files = 10_000 if options.quick else 100_000
    folder = fresh_folder(options.folder / "rerun")
    images = folder / "images"
    _make_files(images, files)
    settings = Settings.load(image_dir=images, store_dir=folder / "store", exact_index_items=files)
    _know_all(settings, images)
    find = ["find", str(images), "-printf", "%s %T@ %p\\n"]
    _run(settings)  # saves the index, once
    works: list[Callable[[], object]] = [
        partial(subprocess.run, find, stdout=subprocess.DEVNULL, check=True),
        lambda: sum(len(stretch.rows) for stretch in Walk(images).stretches()),
        partial(_run, settings),
    ]
    reference, walk, run = medians(3 if options.quick else _REPEATS, *works)
    return Table(
        "A rerun with nothing changed",
        [
            Figure(
                f"the walk alone, {files:,} files",
                f"{walk:.2f} s",
                f"find: {reference:.2f} s",
                walk / reference,
                more_is_better=False,
            ),
            Figure(
                f"the whole run, {files:,} files",
                f"{run:.2f} s",
                f"find: {reference:.2f} s",
                run / reference,
                "at most 3",
                more_is_better=False,
            ),
        ],
    )


def _make_files(images: Path, count: int) -> None:
    for number in range(count):
        path = images / path_of(number)
        if number % 1000 == 0:
            path.parent.mkdir(parents=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))


def _know_all(settings: Settings, images: Path) -> None:
    """Fill the catalog as if every file had been looked at; short vectors are enough."""
    with closing(Catalog(settings.store_dir)) as catalog:
        identity = RunModel(settings).identity(catalog)
        space = catalog.ensure_space(replace(identity, dimension=_DIMENSION))
        seen = list(Walk(images))
        md5s = [hashlib.md5(file.path.encode(), usedforsecurity=False).digest() for file in seen]
        vectors = np.random.default_rng(0).normal(size=(len(seen), _DIMENSION))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        rows = SegmentRows(
            vectors.astype(np.float16),
            np.frombuffer(b"".join(md5s), np.uint8).reshape(-1, 16),
            np.full(len(seen), STILL, np.int32),
        )
        record = write_segment(settings.store_dir, 1, space.id, space.fingerprint, rows)
        files = [
            IndexedFile(file.path, file.stat, md5, racy=False)
            for file, md5 in zip(seen, md5s, strict=True)
        ]
        catalog.publish(space, Commit(NewSegment(record, rows), files))


def _run(settings: Settings) -> None:
    with closing(Catalog(settings.store_dir)) as catalog:
        run = catalog.runs.start(RunOptions(), "cli")
        done = IngestRun(settings, catalog, run, RunModel(settings)).execute()
        if done.counters.planned or done.state is not RunState.SUCCEEDED:
            raise SystemExit(f"the rerun found something to do: {done}")
