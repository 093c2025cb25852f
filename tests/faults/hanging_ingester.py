"""An ingester whose decoding processes all hang: started by a test, which then kills it."""

from __future__ import annotations

import sys
import threading
import time

from core.records import RunOptions
from core.settings import Settings
from ingest import decoders
from ingest.runner import run_now


def hang(_root: str, path: str, *_: object) -> None:
    """Tell that it began, then never come back."""
    sys.stdout.write(f"{path}\n")
    sys.stdout.flush()
    while True:
        time.sleep(60)


if __name__ == "__main__":
    decoders.prepare_file = hang  # type: ignore[assignment]  # what a hostile photo may do
    run_now(Settings.load(), RunOptions(), "test", threading.Event())
