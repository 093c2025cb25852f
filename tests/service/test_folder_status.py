"""What a run would find to do, in a folder that holds some of everything."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from service.folder_status import FolderWatch
from tests.shop import Shop

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def counts(shop: Shop) -> tuple[int, int, int, int]:
    """Total, processed, pending, removed."""
    status = FolderWatch(shop.settings()).read()
    return status.total, status.processed, status.pending, status.removed


def test_what_is_no_picture_counts_as_nothing(shop: Shop) -> None:
    shop.photos(3)
    shop.write("notes.txt", "no picture")
    shop.write("sub/list.csv", "a,b")
    assert counts(shop) == (3, 0, 3, 0)  # before there is a store
    shop.ingest()
    assert counts(shop) == (3, 3, 0, 0)


def test_a_file_that_was_passed_over_may_become_a_picture_change_or_go(shop: Shop) -> None:
    shop.photos(40)
    for name in ("a.txt", "b.txt", "z.txt"):
        shop.write(name, "no picture")
    shop.write("late.png.part", "half a picture")
    shop.ingest()
    shop.write("a.txt", "no picture yet, but another size")
    (shop.images / "b.txt").unlink()
    (shop.images / "late.png.part").rename(shop.images / "late.png")
    assert counts(shop) == (41, 40, 1, 0)


def test_a_failed_photo_is_dealt_with_until_it_changes(shop: Shop) -> None:
    shop.photos(2)
    shop.write("broken.jpg", b"\xff\xd8\xff broken")
    shop.run()
    assert counts(shop) == (3, 3, 0, 0)
    shop.write("broken.jpg", b"\xff\xd8\xff broken otherwise")
    assert counts(shop) == (3, 2, 1, 0)


@pytest.mark.parametrize("seed", range(4))
def test_random_changes_are_counted_each_as_what_it_is(shop: Shop, seed: int) -> None:
    """Enough files for stretches that hold and stretches that differ."""
    chance = random.Random(seed)
    photos = shop.photos(150)
    others = [shop.write(f"{number:04d}.txt", "no picture") for number in range(0, 150, 7)]
    shop.ingest()
    touched = chance.sample(photos, 20)
    for file in touched[:8]:
        file.unlink()
    for file in touched[8:14]:
        file.write_bytes(file.read_bytes() + b"\0")
    added = [f"{chance.randrange(150):04d}-{seed}-{number}.png" for number in range(9)]
    for name in added:
        shop.photo(name)
    for file in chance.sample(others, 5):
        file.unlink()
    for file in chance.sample([file for file in others if file.exists()], 3):
        file.write_text("no picture, and another size")
    pending = 6 + len(set(added))
    assert counts(shop) == (142 + len(set(added)), 136, pending, 8)
    shop.run(allow_mass_removal=True)
    assert counts(shop) == (142 + len(set(added)), 142 + len(set(added)), 0, 0)
