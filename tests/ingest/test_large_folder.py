"""A folder of a million files is walked and compared in bounded memory, and none is opened."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from core.records import FileStat
from core.store.catalog import Catalog
from core.store.commit import Commit, PassedOverFile

if TYPE_CHECKING:
    from pathlib import Path

    from tests.shop import Shop

MEASURE = """
import resource, sys, threading
from core.records import RunOptions
from core.settings import Settings
from ingest.runner import run_now

opened = 0
def count(event, arguments):
    global opened
    if event == "open" and isinstance(arguments[0], str) and "/images/" in arguments[0]:
        opened += 1

sys.addaudithook(count)
run = run_now(Settings.load(), RunOptions(), "test", threading.Event())
print(run.state, run.counters.scanned, run.counters.planned, opened,
      resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def fill(folder: Path, count: int, per_folder: int) -> None:
    for start in range(0, count, per_folder):
        inside = folder / f"{start // per_folder:04d}"
        inside.mkdir()
        for number in range(start, min(start + per_folder, count)):
            os.close(os.open(f"{inside}/{number:07d}", os.O_CREAT | os.O_WRONLY))


def remember_all(shop: Shop) -> None:
    """Make the catalog know every file as one that holds no picture, as a first run would."""
    from core.folder.walk import Walk  # noqa: PLC0415  # only here

    with closing(Catalog(shop.store)) as catalog:
        space = catalog.live_space()
        assert space is not None
        files: list[PassedOverFile] = []
        for seen in Walk(shop.images):
            stat = FileStat(seen.stat.size, seen.stat.mtime_ns, seen.stat.ctime_ns)
            if not seen.path.endswith(".png"):
                files.append(PassedOverFile(seen.path, stat, racy=False))
            if len(files) == 50_000:
                catalog.publish(space, Commit(passed_over=files))
                files = []
        catalog.publish(space, Commit(passed_over=files))


def rerun(shop: Shop) -> tuple[str, int, int, int, int]:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE],
        env=shop.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    state, *numbers = done.stdout.split()
    scanned, planned, opened, memory_mb = map(int, numbers)
    return state, scanned, planned, opened, memory_mb


@pytest.mark.parametrize(
    ("count", "per_folder"),
    [
        (20_000, 1_000),
        pytest.param(1_000_000, 2_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
    ],
)
def test_an_unchanged_rerun_opens_no_file_and_holds_no_list(
    shop: Shop, count: int, per_folder: int
) -> None:
    shop.photo("one.png")
    shop.ingest()
    small = rerun(shop)
    fill(shop.images, count, per_folder)
    remember_all(shop)
    state, scanned, planned, opened, memory_mb = rerun(shop)
    assert (state, scanned, planned, opened) == ("succeeded", count + 1, 0, 0)
    # SQLite's page cache and one folder's entries, whatever the number of files.
    assert memory_mb - small[-1] < 60
