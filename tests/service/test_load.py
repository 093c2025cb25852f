"""The load test itself, in short: more than the service can do harms nobody."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_more_than_the_service_can_do_is_refused_in_order_and_soon_forgotten() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load", "--seconds", "3", "--times", "1,6"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
        check=True,
    )
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("| ")]
    columns = [name.strip() for name in rows[0]]
    flood = dict(zip(columns, map(str.strip, rows[-1]), strict=True))
    assert flood["load"] == "6x"
    assert int(flood["failed"]) == 0
    assert int(flood["refused"]) == int(flood["with Retry-After"]) > 0
    assert float(flood["answered/s"]) > 1
    assert float(flood["recovery, s"]) < 20
