"""A small shop for tests: real photos in a real folder, ingested for real."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import zlib
from contextlib import closing, contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from core.records import Item, ItemState, Run, RunOptions
from core.settings import Settings
from core.store.catalog import Catalog
from core.store.snapshot import Snapshot, read_snapshot
from core.vision.decode import DecodeLimits, decode_image
from core.vision.models import ModelSource, load_embedder
from ingest.runner import run_now
from ingest.verify import verify_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from core.records import RunCounters

REPOSITORY = Path(__file__).resolve().parents[1]
_LIMITS = DecodeLimits(50_000_000, 50_000_000, "none")


def picture_bytes(seed: int, size: tuple[int, int] = (32, 32), kind: str = "PNG") -> bytes:
    """Encode a picture of coloured blocks; another seed gives clearly another picture."""
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST).save(buffer, kind)
    return buffer.getvalue()


@cache
def _embedder():  # noqa: ANN202  # only for the function below
    return load_embedder(ModelSource("classic", None))


@cache
def vector_of(data: bytes) -> NDArray[np.float32]:
    """Embed an encoded picture without the ingester, as its vectors must come out."""
    pixels = _embedder().prepare(decode_image(data, _LIMITS))
    vector: NDArray[np.float32] = _embedder().embed(pixels[None])[0]
    return vector


class Shop:
    """One image folder and the store made of it."""

    def __init__(self, root: Path, **settings: object) -> None:
        self.images = root / "images"
        self.store = root / "store"
        self.images.mkdir(parents=True)
        self._settings = {"decode_workers": 1, **settings}

    def settings(self, **overrides: object) -> Settings:
        folders = {"image_dir": self.images, "store_dir": self.store}
        return Settings.load(**{**folders, **self._settings, **overrides})

    def photo(self, path: str, seed: int | None = None, kind: str = "PNG") -> Path:
        """Put a photo into the folder; the same seed gives the same bytes."""
        file = self.images / path
        file.parent.mkdir(parents=True, exist_ok=True)
        seed = zlib.crc32(os.fsencode(path)) if seed is None else seed
        file.write_bytes(picture_bytes(seed, kind=kind))
        return file

    def photos(self, count: int, folder: str = "", first: int = 0) -> list[Path]:
        numbers = range(first, first + count)
        return [self.photo(f"{folder}{number:04d}.png") for number in numbers]

    def write(self, path: str, data: bytes | str) -> Path:
        file = self.images / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data.encode() if isinstance(data, str) else data)
        return file

    def run(
        self,
        settings: Settings | None = None,
        *,
        stop: threading.Event | None = None,
        show: Callable[[RunCounters], None] | None = None,
        **options: object,
    ) -> Run:
        """Do one run in this process, whatever becomes of it."""
        chosen = RunOptions(**options)  # type: ignore[arg-type]  # named by the caller
        stop = stop or threading.Event()
        return run_now(settings or self.settings(), chosen, "test", stop, show)

    def ingest(self, settings: Settings | None = None, **options: object) -> Run:
        """Do one run that has to succeed."""
        done = self.run(settings, **options)
        assert done.state == "succeeded", done.message
        return done

    @contextmanager
    def catalog(self) -> Iterator[Catalog]:
        with closing(Catalog(self.store)) as catalog:
            yield catalog

    def items(self) -> dict[str, Item]:
        with self.catalog() as catalog:
            return {item.path: item for item in catalog.items(None, 1_000_000)[0]}

    def states(self) -> dict[str, str]:
        return {path: item.state.value for path, item in self.items().items()}

    def snapshot(self, previous: Snapshot | None = None) -> Snapshot:
        with self.catalog() as catalog:
            return read_snapshot(catalog, previous)

    def found(self, data: bytes, least: float = 0.999) -> set[str]:
        """The paths of the photos that show just this picture."""
        matches = self.snapshot().search(vector_of(data), 1000)
        return {match.entry.path for match in matches if match.score >= least}

    def environment(self, **settings: object) -> dict[str, str]:
        """The settings as a process of its own reads them."""
        chosen = {
            "image_dir": self.images,
            "store_dir": self.store,
            **self._settings,
            **settings,
        }
        ours = {f"LOOKALIKE_{name.upper()}": str(value) for name, value in chosen.items()}
        return {**os.environ, "PYTHONPATH": str(REPOSITORY), **ours}

    def cli(
        self, *arguments: str, timeout_s: float = 60, **settings: object
    ) -> subprocess.CompletedProcess[str]:
        """Run `lookalike-ingest` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "ingest", *arguments],
            cwd=self.images.parent,
            env=self.environment(**settings),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def start(self, *arguments: str, **settings: object) -> subprocess.Popen[str]:
        """Start `lookalike-ingest`; the caller ends it."""
        return subprocess.Popen(
            [sys.executable, "-m", "ingest", *arguments],
            cwd=self.images.parent,
            env=self.environment(**settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def assert_sound(self) -> None:
        """Hold every vector against one made anew, and the store against its own checksums."""
        found = verify_store(self.store)
        assert found.sound, found.problems
        snapshot = self.snapshot()
        assert not snapshot.problems
        assert_same_entries(snapshot, self.snapshot())
        held = {snapshot.entries[place].path: place for place in range(len(snapshot.entries))}
        items = self.items()
        indexed = {path for path, item in items.items() if item.state is ItemState.INDEXED}
        assert indexed <= set(held)
        for path in indexed:
            item = items[path]
            data = (self.images / path).read_bytes()
            if item.md5 == hashlib.md5(data).digest():
                place = snapshot.entries.vector_ids[held[path]]
                assert snapshot.vectors is not None
                stored = snapshot.vectors.read(np.array([place]))[0]
                assert float(stored @ vector_of(data)) > 0.9999, path

    def assert_in_step(self) -> None:
        """Hold the catalogue against the folder: every file is an item with its own content."""
        self.assert_sound()
        present = {
            path: item for path, item in self.items().items() if item.state != ItemState.MISSING
        }
        files = {
            str(file.relative_to(self.images)): hashlib.md5(file.read_bytes()).digest()
            for file in self.images.rglob("*")
            if file.is_file() and file.name not in ("products.csv", "products.json")
        }
        assert {path: item.md5 for path, item in present.items()} == files


def assert_same_entries(one: Snapshot, other: Snapshot) -> None:
    """Two snapshots of one generation answer alike, however each was come by."""
    assert one.generation == other.generation
    assert entries_of(one) == entries_of(other)
    assert one.entries.item_count == other.entries.item_count
    if one.index is None or other.index is None:
        assert one.index is other.index
        return
    assert one.index.ids().tolist() == other.index.ids().tolist()
    assert one.vectors is not None
    assert other.vectors is not None
    ids = one.index.ids()
    ours, theirs = one.vectors.read(ids), other.vectors.read(ids)
    assert np.array_equal(ours, theirs)
    for query in ours[:5]:
        mine = [(found.entry.path, round(found.score, 5)) for found in one.search(query, 20)]
        their = [(found.entry.path, round(found.score, 5)) for found in other.search(query, 20)]
        assert sorted(mine, key=lambda f: (-f[1], f[0])) == sorted(
            their, key=lambda f: (-f[1], f[0])
        )


def entries_of(snapshot: Snapshot) -> list[object]:
    table = snapshot.entries
    return sorted((repr(table[place]) for place in range(len(table))), key=str)
