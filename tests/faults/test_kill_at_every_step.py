"""A run killed, torn or starved at any of its steps leaves a published state and loses nothing.

The oracle after every fault: a fresh reader finds the store sound; what it finds is a state that
was published, before the run or by a commit of it; every vector is that of its photo; and the next
run brings the store to what a run from scratch gives.
"""

from __future__ import annotations

import hashlib
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ingest.verify import verify_store
from tests.faults.fault_layer import Faulty, build_shim, copy_shop
from tests.shop import Shop, vector_of

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENTS: dict[bytes, bytes] = {}  # MD5 -> bytes of every picture the tests show
SETTINGS = {"commit_every_images": 3, "removal_guard_items": 1000}
SAMPLE = 23  # of this many steps, `make test` tries one


@pytest.fixture(scope="session")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Faulty:
    return Faulty(build_shim(tmp_path_factory.mktemp("shim")))


@pytest.fixture(scope="session")
def before(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A store in step with a folder that has since changed in every way."""
    shop = Shop(tmp_path_factory.mktemp("before"), **SETTINGS)
    shop.photos(8)
    shop.write("products.csv", "path,colour\n0001.png,red\n")
    shop.ingest()
    CONTENTS.update(contents(shop))
    shop.photos(5, first=8)
    shop.photo("0000.png", seed=900)
    (shop.images / "0001.png").rename(shop.images / "moved.png")
    (shop.images / "0002.png").unlink()
    shop.write("0003.png", "no picture any more")
    shop.write("products.csv", "path,colour\n0004.png,blue\n")
    CONTENTS.update(contents(shop))
    return shop


def contents(shop: Shop) -> dict[bytes, bytes]:
    """Every picture of the folder by its MD5."""
    return {
        hashlib.md5(data).digest(): data for data in map(Path.read_bytes, shop.images.glob("*.png"))
    }


def assert_vectors_right(shop: Shop) -> None:
    """Every item that a fresh reader finds shows the vector of its own content."""
    found = verify_store(shop.store)
    assert found.sound, found.problems
    snapshot = shop.snapshot()
    assert not snapshot.problems
    shown = published(shop)
    for place in range(len(snapshot.entries)):
        entry = snapshot.entries[place]
        assert snapshot.vectors is not None
        stored = snapshot.vectors.read(np.array([entry.vector_id]))[0]
        assert float(stored @ vector_of(CONTENTS[shown[entry.path]])) > 0.9999, entry.path


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


def assert_nothing_lost(shop: Shop, start: dict[str, bytes], goal: dict[str, bytes]) -> None:
    assert_vectors_right(shop)
    for path, md5 in published(shop).items():
        assert md5 in (start.get(path), goal.get(path)), path
    run = shop.ingest()
    assert run.state == "succeeded"
    assert published(shop) == goal
    shop.assert_in_step()


@pytest.fixture(scope="session")
def goal(before: Shop, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    shop = Shop(tmp_path_factory.mktemp("goal"), **SETTINGS)
    copy_shop(before, shop)
    shop.ingest()
    return published(shop)


@pytest.fixture(scope="session")
def steps(faulty: Faulty, before: Shop, tmp_path_factory: pytest.TempPathFactory) -> int:
    shop = Shop(tmp_path_factory.mktemp("counted"), **SETTINGS)
    copy_shop(before, shop)
    return faulty.count_steps(shop)


def chosen(steps: int, *, every: bool, offset: int = 0) -> Iterator[int]:
    for step in range(1, steps + 1):
        if every or step % SAMPLE == offset % SAMPLE:
            yield step


def try_steps(
    kind: str,
    numbers: Iterator[int],
    faulty: Faulty,
    before: Shop,
    goal: dict[str, bytes],
    tmp_path: Path,
) -> int:
    start = published(before)
    tried = 0
    for number in numbers:
        shop = Shop(tmp_path / f"{kind}-{number}", **SETTINGS)
        copy_shop(before, shop)
        done = faulty.run(shop, at=number, kind=kind)
        if kind in ("kill", "torn"):
            assert done.returncode == -signal.SIGKILL, (number, done.stderr)
        else:
            # A fault in housekeeping's tail may leave the run's work done; a crash never is.
            assert done.returncode in (0, 1), (number, done.returncode, done.stderr)
            assert "Traceback" not in done.stderr, (number, done.stderr)
        assert_nothing_lost(shop, start, goal)
        tried += 1
    return tried


@pytest.mark.parametrize("kind", ["kill", "torn", "enospc", "eio"])
def test_a_fault_at_a_sample_of_the_steps_loses_nothing(
    kind: str, faulty: Faulty, before: Shop, goal: dict[str, bytes], steps: int, tmp_path: Path
) -> None:
    numbers = chosen(steps, every=False, offset=len(kind))
    assert try_steps(kind, numbers, faulty, before, goal, tmp_path) >= steps // SAMPLE


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["kill", "torn", "enospc", "eio"])
def test_a_fault_at_any_step_loses_nothing(
    kind: str, faulty: Faulty, before: Shop, goal: dict[str, bytes], steps: int, tmp_path: Path
) -> None:
    assert try_steps(kind, chosen(steps, every=True), faulty, before, goal, tmp_path) == steps
