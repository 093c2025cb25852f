"""One turn after another, as told over standard input.

A line `{"images": FOLDER, "out": FOLDER, "more": []}` asks for one pass over the photos, into an
empty folder; the answer is a line with its seconds, and what it made lies in `vectors.npy` by the
photos' names. What a product prints goes to standard error, from this module's import on. A failure
ends the program at once, whatever threads a product has running.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from pathlib import Path

import numpy as np

_ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def take_turns(work, vectors) -> None:
    """Say that all is loaded, then work when told.

    Args:
        work: takes the folder of photos, an empty folder, and what numbers a task adds; timed.
        vectors: takes what `work` gave, and gives one row for each photo; not timed.
    """
    print("{}", file=_ANSWERS, flush=True)
    try:
        for line in sys.stdin:
            print(json.dumps({"seconds": _turn(json.loads(line), work, vectors)}), file=_ANSWERS)
            _ANSWERS.flush()
    except BaseException:  # noqa: BLE001  # whatever it was, nobody may wait for an answer
        traceback.print_exc()
        os._exit(1)


def _turn(task, work, vectors) -> float:
    images, out = Path(task["images"]), Path(task["out"])
    started = time.perf_counter()
    done = work(images, out, *task["more"])
    taken = time.perf_counter() - started
    np.save(out / "vectors.npy", np.asarray(vectors(done)))
    return taken


def photos(images: Path) -> list[Path]:
    """Every photo of a folder, by name."""
    return sorted(images.iterdir())
