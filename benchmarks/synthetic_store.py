"""Stores of any size made of drawn vectors, through the code that publishes real ones."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from typing import TYPE_CHECKING, Final

import numpy as np

from core.records import FileStat, ModelIdentity
from core.settings import Settings
from core.store.catalog import Catalog
from core.store.commit import Commit, IndexedFile, Label, NewSegment
from core.store.segments import SegmentRows, write_segment
from ingest.maintain import save_index

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmarks.vectors import VectorSource
    from core.records import Space

COMPLETE: Final = "complete"
_SEGMENT_ROWS: Final = 65_536
_COLOURS: Final = ("red", "green", "blue", "black", "white", "grey", "amber", "teal")
_BRANDS: Final = 500
_IDENTITY: Final = ModelIdentity("classic", None, "benchmark", 512, 0.5)


def kept_store(folder: Path, source: VectorSource, items: int) -> Path:
    """A store of `items` drawn vectors, made once; its file `COMPLETE` holds the seconds."""
    store = folder / f"store-{items}-{'real' if source.real else 'drawn'}"
    if not (store / COMPLETE).exists():
        exact_up_to = Settings.model_fields["exact_index_items"].default
        started = time.perf_counter()
        build_store(fresh_folder(store), source, items, exact_up_to)
        (store / COMPLETE).write_text(f"{time.perf_counter() - started:.1f}")
    return store


def build_store(store_dir: Path, source: VectorSource, count: int, exact_up_to: int) -> None:
    """Make a store of `count` items with attributes, and its saved index."""
    catalog = Catalog(store_dir)
    try:
        fill(catalog, catalog.ensure_space(_IDENTITY), source, count, exact_up_to)
    finally:
        catalog.close()


def fill(
    catalog: Catalog, space: Space, source: VectorSource, count: int, exact_up_to: int
) -> None:
    """Publish `count` items in a space, and save its index."""
    for seed, start in enumerate(range(0, count, _SEGMENT_ROWS)):
        rows = min(_SEGMENT_ROWS, count - start)
        publish(catalog, space, source.draw(rows, seed), start)
    save_index(catalog, space, exact_up_to)


def publish(catalog: Catalog, space: Space, vectors: NDArray[np.float16], first: int) -> None:
    """Publish items numbered from `first`, as a run does once they are embedded."""
    numbers = range(first, first + len(vectors))
    md5s = [hashlib.md5(str(n).encode(), usedforsecurity=False).digest() for n in numbers]
    rows = SegmentRows(
        vectors,
        np.frombuffer(b"".join(md5s), np.uint8).reshape(-1, 16),
        np.full(len(vectors), -1, np.int32),
    )
    record = write_segment(
        catalog.store_dir, catalog.next_segment_id(), space.id, space.fingerprint, rows
    )
    stat = FileStat(50_000, 1_700_000_000_000_000_000, 1_700_000_000_000_000_000)
    files = [
        IndexedFile(path_of(n), stat, md5, racy=False) for n, md5 in zip(numbers, md5s, strict=True)
    ]
    labels = [Label(path_of(n), f"p{n // 3}", json.dumps(attributes_of(n))) for n in numbers]
    catalog.publish(space, Commit(NewSegment(record, rows), files, labels=labels))


def path_of(number: int) -> str:
    """The path of an item, in folders of a thousand."""
    return f"photos/{number // 1000:05d}/product-{number:08d}.jpg"


def attributes_of(number: int) -> dict[str, str]:
    """What its product data says: one colour of 8, one brand of 500."""
    return {"brand": f"brand {number * 7919 % _BRANDS}", "colour": _COLOURS[number % 8]}


def bytes_below(folder: Path) -> dict[str, int]:
    """The size of every file below a folder."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            found[str(path)] = path.stat().st_size
    return found


def fresh_folder(folder: Path) -> Path:
    """An empty folder under this name."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
