"""What one reader of a store costs that is alone in its process: its start and its memory.

Memory is what belongs to the process and to no file: the stored vectors it reads are the system's
cache, and libraries are shared. The most there was is the kernel's high-water mark less the pages
of files.

    python -m benchmarks.reader STORE QUERIES.npy       as JSON
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.figures import seconds
from core.store.catalog import Catalog
from core.store.snapshot import Snapshot, read_snapshot

_ROOT: Final = Path(__file__).parents[1]
_K: Final = 10


@dataclass(frozen=True)
class ReaderCosts:
    """Seconds and bytes."""

    start: float
    peak: int  # the most memory on the way
    rest: int  # after some searches


def read_alone(store: Path, queries: Path) -> ReaderCosts:
    """Open a store in a fresh process, search it, and say what that cost."""
    command = [sys.executable, "-m", "benchmarks.reader", str(store), str(queries)]
    done = subprocess.run(  # noqa: S603  # our own command
        command, cwd=_ROOT, env=os.environ, capture_output=True, text=True, check=True
    )
    return ReaderCosts(**json.loads(done.stdout))


def _read(store: Path, queries: Path) -> ReaderCosts:
    held: list[Snapshot] = []
    with closing(Catalog(store)) as catalog:  # open as long as the reader lives
        start = seconds(lambda: held.append(read_snapshot(catalog)))
        for query in np.load(queries):
            held[0].search(query, _K)
            held[0].search(query, _K, {"colour": ["red"]})
        peak, rest, files = (_memory(what) for what in ("VmHWM", "RssAnon", "RssFile"))
    return ReaderCosts(start, peak - files, rest)


def _memory(what: str) -> int:
    """One line of what the kernel says of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:"))


if __name__ == "__main__":
    print(json.dumps(asdict(_read(Path(sys.argv[1]), Path(sys.argv[2])))))
