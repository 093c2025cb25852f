"""A run killed, torn or starved at any of its steps leaves a published state and loses nothing.

The oracle after every fault: a fresh reader finds the store sound; what it finds is a state that
was published, before the run or by a commit of it; every vector is that of its photo; and the next
run brings the store to what a run without a fault gives.
"""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.faults.fault_layer import KILLING, Faulty, build_shim, unmeasured
from tests.faults.scenarios import SETTINGS, Scenario, build
from tests.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

KINDS = (*KILLING, "enospc", "eio")
SAMPLE = 29  # of so many steps `make test` tries one
_SURE_SHARE = 0.9  # of the steps are in every run


@pytest.fixture(scope="session")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Faulty:
    return Faulty(build_shim(tmp_path_factory.mktemp("shim")))


@pytest.fixture(scope="session", params=["changes", "merge", "switch"])
def scenario(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    return build(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="session")
def steps(faulty: Faulty, scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> int:
    return faulty.count_steps(scenario.copy(tmp_path_factory.mktemp("counted")))


def try_step(kind: str, number: int, faulty: Faulty, scenario: Scenario, folder: Path) -> bool:
    """Whether the run had such a step: it shows its progress by the clock, so a few come or go."""
    shop = scenario.copy(folder)
    done = faulty.run(shop, at=number, kind=kind)
    met = done.returncode != 0 or faulty.steps_of(shop) >= number
    if not met:
        assert faulty.steps_of(shop) > _SURE_SHARE * number
    elif kind in KILLING:
        assert done.returncode == -signal.SIGKILL, (number, done.stderr)
    else:
        # The last steps only tidy up, and a run that could not tidy up has done its work.
        assert done.returncode in (0, 1), (number, done.returncode, done.stderr)
        assert "Traceback" not in done.stderr, (number, done.stderr)
    scenario.assert_nothing_lost(shop)
    shutil.rmtree(folder)
    return met


def try_steps(
    numbers: Iterable[int], kind: str, faulty: Faulty, scenario: Scenario, folder: Path
) -> int:
    met = [
        try_step(kind, number, faulty, scenario, folder / f"{kind}-{number}") for number in numbers
    ]
    assert any(met)
    return sum(met)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_at_a_sample_of_the_steps_loses_nothing(
    kind: str,
    faulty: Faulty,
    scenario: Scenario,
    steps: int,
    tmp_path: Path,
    tried: Callable[[int], None],
) -> None:
    first = 3 + 7 * KINDS.index(kind)  # the kinds meet different steps
    tried(try_steps(range(first, steps + 1, SAMPLE), kind, faulty, scenario, tmp_path))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_at_any_step_loses_nothing(
    kind: str,
    faulty: Faulty,
    scenario: Scenario,
    steps: int,
    tmp_path: Path,
    tried: Callable[[int], None],
) -> None:
    tried(try_steps(range(1, steps + 1), kind, faulty, scenario, tmp_path))


# The new program limits itself: a copy of this one that did would first meet what libraries such as
# gRPC, loaded by other tests, do in copies.
_LIMITED = """
import os, resource, sys
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
os.execv(sys.executable, [sys.executable, "-m", "ingest", "run"])
"""


@pytest.mark.parametrize("limit", [2_000, 9_000, 40_000, 120_000])
def test_files_that_may_not_grow_end_the_run_with_an_error(
    limit: int, scenario: Scenario, tmp_path: Path
) -> None:
    shop = scenario.copy(tmp_path / "limited")
    # Coverage's own file in this process would meet the limit as well, and so would bytecode, of
    # which Python keeps what was cut off.
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(limit)],
        env={**unmeasured(shop.environment()), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=shop.images.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (0, 1), (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr, done.stderr
    scenario.assert_nothing_lost(shop)


@contextmanager
def small_disk(folder: Path, size_kb: int) -> Iterator[Path]:
    """A file system of its own, in memory; skipped where one may not be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("free_kb", [0, 16, 96])
def test_a_disk_that_is_full_ends_the_run_and_a_larger_one_lets_it_succeed(
    free_kb: int, scenario: Scenario, tmp_path: Path
) -> None:
    shop = scenario.copy(tmp_path / "shop")
    used_kb = -(-sum(file.stat().st_size for file in shop.store.rglob("*")) // 1024)
    with small_disk(tmp_path / "disk", used_kb + 64 + free_kb) as disk:
        shutil.move(shop.store, disk / "store")
        shop.store = disk / "store"
        done = shop.cli("run")
        assert done.returncode in (0, 1), (done.returncode, done.stderr)
        assert "Traceback" not in done.stderr, done.stderr
        if done.returncode:
            said = " ".join((done.stdout + done.stderr).split())
            assert "No space left" in said or "disk is full" in said, said
            assert "LOOKALIKE_STORE_DIR" in said
        scenario.assert_published_state(shop)
        remount = ["mount", "-o", "remount,size=64m", str(disk)]
        subprocess.run(remount, check=True)
        scenario.assert_nothing_lost(shop)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_fifty_random_moments_a_larger_run_loses_nothing(
    seed: int, tmp_path: Path, tried: Callable[[int], None]
) -> None:
    dice = random.Random(seed)
    shop = Shop(tmp_path, **SETTINGS)
    shop.photos(60)
    for number in range(50):
        shop.photo(f"{dice.randrange(80):04d}.png", seed=1000 * seed + number)
        run = shop.start("run")
        time.sleep(dice.uniform(0.1, 1.2))
        run.kill()
        run.wait()
        assert shop.cli("verify").returncode == 0
    shop.ingest()
    shop.assert_in_step()
    tried(50)
