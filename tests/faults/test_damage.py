"""Every kind of file of a store, cut short and with flipped bits.

The oracle: a fresh reader shows right vectors or says what is damaged; `verify` names the damage
unless the store still is what it was; `repair` brings it in step, embedding only what was lost.
"""

from __future__ import annotations

import random
import shutil
import threading
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest

from core.errors import LookalikeError
from core.store.database import CATALOG_FILE
from ingest.repair import repair_store
from ingest.verify import verify_store
from tests.faults.fault_layer import copy_shop
from tests.shop import Shop, vector_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PHOTOS = 12
SETTINGS = {"commit_every_images": 4}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    shop = Shop(tmp_path_factory.mktemp("sound"), **SETTINGS)
    shop.photos(PHOTOS)
    shop.ingest()
    return shop


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


def files_of(store: Path) -> list[str]:
    kinds = ("segments/*.h5", "index/*.faiss", CATALOG_FILE)
    return [str(path.relative_to(store)) for kind in kinds for path in store.glob(kind)]


def flip(path: Path, place: int, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= 1 << bit
    path.write_bytes(data)


def cut(path: Path, length: int) -> None:
    with path.open("r+b") as file:
        file.truncate(length)


def assert_right_or_reported(shop: Shop) -> None:
    """No reader takes a wrong vector for a photo's."""
    try:
        snapshot = shop.snapshot()
    except LookalikeError:
        return
    if snapshot.vectors is None:
        return
    by_path = {f"{number:04d}.png": shop.images / f"{number:04d}.png" for number in range(PHOTOS)}
    for place in range(len(snapshot.entries)):
        entry = snapshot.entries[place]
        stored = snapshot.vectors.read(np.array([entry.vector_id]))[0]
        if np.isfinite(stored).all() and entry.path in by_path:
            assert float(stored @ vector_of(by_path[entry.path].read_bytes())) > 0.9999, entry.path


def try_damage(
    sound: Shop, target: Shop, file: str, damage: Callable[[Path], None], stop: threading.Event
) -> bool:
    """Damage one file, judge, repair; whether `verify` saw it."""
    copy_shop(sound, target)
    damage(target.store / file)
    assert_right_or_reported(target)
    try:
        said = verify_store(target.store).problems
    except LookalikeError as error:
        said = (str(error),)
    assert all(str(target.store) in sentence or ".faiss" in sentence for sentence in said), said
    seen = bool(said)
    run, _ = repair_store(target.settings(), stop)
    assert run.state == "succeeded", run.message
    assert verify_store(target.store).sound
    target.assert_in_step()
    if not seen:
        assert run.counters.embedded == 0
    if file != CATALOG_FILE:
        assert run.counters.embedded <= 4, "only what the damaged segment held"
    return seen


def places(size: int, count: int, seed: int) -> Iterator[tuple[int, int]]:
    generator = random.Random(seed)
    for _ in range(count):
        yield generator.randrange(size), generator.randrange(8)


@pytest.mark.parametrize("kind", ["segments", "index"])
def test_any_flipped_bit_of_a_segment_or_index_is_seen_and_mended(
    kind: str, sound: Shop, tmp_path: Path, stop: threading.Event
) -> None:
    file = next(name for name in files_of(sound.store) if name.startswith(kind))
    size = (sound.store / file).stat().st_size
    for number, (place, bit) in enumerate(places(size, 4, seed=len(kind))):
        shop = Shop(tmp_path / str(number), **SETTINGS)
        assert try_damage(sound, shop, file, partial(flip, place=place, bit=bit), stop)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_file_cut_short_anywhere_is_seen_and_mended(
    share: float, sound: Shop, tmp_path: Path, stop: threading.Event
) -> None:
    for number, file in enumerate(files_of(sound.store)):
        size = (sound.store / file).stat().st_size
        shop = Shop(tmp_path / str(number), **SETTINGS)
        seen = try_damage(sound, shop, file, partial(cut, length=int(size * share)), stop)
        # An empty catalog is the catalog of a store never filled.
        assert seen or (file == CATALOG_FILE and share == 0.0)


def test_a_flipped_bit_of_the_catalog_never_shows_a_wrong_vector(
    sound: Shop, tmp_path: Path, stop: threading.Event
) -> None:
    size = (sound.store / CATALOG_FILE).stat().st_size
    for number, (place, bit) in enumerate(places(size, 8, seed=5)):
        shop = Shop(tmp_path / str(number), **SETTINGS)
        try_damage(sound, shop, CATALOG_FILE, partial(flip, place=place, bit=bit), stop)


def test_a_lost_catalog_is_made_from_the_segments_without_embedding(
    sound: Shop, tmp_path: Path, stop: threading.Event
) -> None:
    shop = Shop(tmp_path / "lost", **SETTINGS)
    copy_shop(sound, shop)
    (shop.store / CATALOG_FILE).write_bytes(b"no catalog" * 1000)
    run, mended = repair_store(shop.settings(), stop)
    assert run.counters.embedded == 0
    assert run.counters.new == PHOTOS
    assert any("set aside" in sentence for sentence in mended)
    assert len(list(shop.store.glob(f"{CATALOG_FILE}.damaged-*"))) == 1
    shop.assert_in_step()


def test_a_damaged_segment_costs_its_own_photos_only(
    sound: Shop, tmp_path: Path, stop: threading.Event
) -> None:
    shop = Shop(tmp_path / "one", **SETTINGS)
    copy_shop(sound, shop)
    segment = next(shop.store.glob("segments/*.h5"))
    flip(segment, 5000, 3)
    run, mended = repair_store(shop.settings(), stop)
    assert run.counters.embedded == 4
    assert segment.name in " ".join(mended)


def test_the_command_says_what_it_mended(sound: Shop, tmp_path: Path) -> None:
    shop = Shop(tmp_path / "command", **SETTINGS)
    copy_shop(sound, shop)
    shutil.rmtree(shop.store / "segments")
    done = shop.cli("repair")
    assert done.returncode == 0, done.stderr
    assert "segments" in done.stderr
    assert shop.cli("verify").returncode == 0
    shop.assert_in_step()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(4))
def test_many_flipped_bits_and_cuts_of_every_file(
    seed: int, sound: Shop, tmp_path: Path, stop: threading.Event, tried: Callable[[int], None]
) -> None:
    generator = random.Random(seed)
    for number in range(120):
        file = generator.choice(files_of(sound.store))
        size = (sound.store / file).stat().st_size
        place, bit, short = generator.randrange(size), generator.randrange(8), generator.random()
        shop = Shop(tmp_path / str(number), **SETTINGS)
        damage = partial(cut, length=place) if short < 0.3 else partial(flip, place=place, bit=bit)
        try_damage(sound, shop, file, damage, stop)
        shutil.rmtree(tmp_path / str(number))
    tried(120)
