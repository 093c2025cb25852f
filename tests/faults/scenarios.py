"""Stores that are about to be changed in every way a run can change them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.vision.decode import DecodeLimits, decode_image
from core.vision.models import ModelSource, load_embedder
from ingest.verify import verify_store
from tests.faults.fault_layer import copy_shop
from tests.shop import Shop, vector_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SETTINGS = {"commit_every_images": 3, "removal_guard_items": 1000}
_LIMITS = DecodeLimits(50_000_000, 50_000_000, "none")


@dataclass
class Scenario:
    """A store, what the next run is to make of it, and how to judge what is left."""

    before: Shop
    run_settings: dict[str, object] = field(default_factory=dict)  # of the run that meets a fault
    contents: dict[bytes, bytes] = field(default_factory=dict)  # MD5 -> every picture there was
    start: dict[str, bytes] = field(default_factory=dict)  # what searches show before the run
    goal: dict[str, bytes] = field(default_factory=dict)  # and after it

    def remember(self) -> None:
        """Keep the pictures of the folder as it stands."""
        for data in map(Path.read_bytes, self.before.images.glob("*.png")):
            self.contents[hashlib.md5(data).digest()] = data

    def copy(self, folder: Path) -> Shop:
        """Make a shop of its own that a fault may be tried on."""
        shop = Shop(folder, **{**SETTINGS, **self.run_settings})
        copy_shop(self.before, shop)
        return shop

    def assert_published_state(self, shop: Shop) -> None:
        """A fresh reader finds a sound store that shows old or new content, with its own vector."""
        found = verify_store(shop.store)
        assert found.sound, found.problems
        snapshot = shop.snapshot()
        assert not snapshot.problems
        shown = published(shop)
        for path, md5 in shown.items():
            assert md5 in (self.start.get(path), self.goal.get(path)), path
        for place in range(len(snapshot.entries)):
            entry = snapshot.entries[place]
            assert snapshot.vectors is not None
            assert snapshot.space is not None
            stored = snapshot.vectors.read(np.array([entry.vector_id]))[0]
            expected = _vector(self.contents[shown[entry.path]], snapshot.space.spec)
            assert float(stored @ expected) > 0.9999, entry.path

    def assert_nothing_lost(self, shop: Shop) -> None:
        """And the next run brings it to what a run without a fault gives."""
        self.assert_published_state(shop)
        shop.ingest()
        assert published(shop) == self.goal
        self.assert_published_state(shop)


def published(shop: Shop) -> dict[str, bytes]:
    """What searches show: path to the content whose vector answers."""
    with shop.catalog() as catalog, catalog.database.reading() as connection:
        return {
            bytes(row["path"]).decode(): row["vector_md5"]
            for row in connection.execute(
                "SELECT path, vector_md5 FROM items "
                "WHERE state != 'missing' AND vector_md5 IS NOT NULL"
            )
        }


def build(name: str, folder: Path) -> Scenario:
    """Make a scenario by its name."""
    scenario = _BUILDERS[name](folder / "before")
    scenario.remember()
    scenario.start = published(scenario.before)
    finished = scenario.copy(folder / "goal")
    finished.ingest()
    scenario.goal = published(finished)
    return scenario


def _changes(folder: Path) -> Scenario:
    """Files added, edited, moved, deleted, broken, and product data edited."""
    shop = Shop(folder, **SETTINGS)
    shop.photos(8)
    shop.write("products.csv", "path,colour\n0001.png,red\n")
    shop.ingest()
    scenario = Scenario(shop)
    scenario.remember()
    shop.photos(5, first=8)
    shop.photo("0000.png", seed=900)
    (shop.images / "0001.png").rename(shop.images / "moved.png")
    (shop.images / "0002.png").unlink()
    shop.write("0003.png", "no picture any more")
    shop.write("products.csv", "path,colour\n0004.png,blue\n")
    return scenario


def _merge(folder: Path) -> Scenario:
    """One more run will merge many small segments, some of their rows unused."""
    shop = Shop(folder, **SETTINGS)
    for number in range(7):
        shop.photo(f"{number:04d}.png")
        shop.ingest()
    scenario = Scenario(shop)
    scenario.remember()
    shop.photo("0002.png", seed=901)
    shop.photo("0007.png")
    return scenario


def _switch(folder: Path) -> Scenario:
    """Another model's space is to be built and to go live."""
    shop = Shop(folder, **SETTINGS)
    shop.photos(7)
    shop.ingest()
    scenario = Scenario(shop, run_settings={"tta": "flip"})
    scenario.remember()
    shop.photo("0000.png", seed=902)
    return scenario


_BUILDERS: dict[str, Callable[[Path], Scenario]] = {
    "changes": _changes,
    "merge": _merge,
    "switch": _switch,
}


def _vector(data: bytes, spec: str) -> NDArray[np.float32]:
    if spec == "classic":
        return vector_of(data)
    embedder = load_embedder(ModelSource(spec, None))
    vector: NDArray[np.float32] = embedder.embed(
        embedder.prepare(decode_image(data, _LIMITS))[None]
    )[0]
    return vector
