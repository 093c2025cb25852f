"""Runs a real ingester under the shim, and holds what is left against the promises."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.shop import Shop

KILLING = ("kill", "torn")
SOURCE = Path(__file__).with_name("shim.c")


def build_shim(folder: Path) -> Path:
    """Compile the shim, once for a session."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("the fault layer needs Linux and a C compiler")
    target = folder / "shim.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(target), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return target


@dataclass(frozen=True)
class Faulty:
    """A run of `lookalike-ingest` that meets a fault."""

    shim: Path

    def run(
        self, shop: Shop, *arguments: str, at: int = 0, kind: str = "kill", **settings: object
    ) -> subprocess.CompletedProcess[str]:
        """Run with the fault at step `at`; 0: none, only count."""
        environment = shop.environment(**settings)
        if kind in KILLING:  # what it measured would die with it
            environment = unmeasured(environment)
        environment |= {
            "LD_PRELOAD": str(self.shim),
            "FAULT_ROOT": str(shop.store.resolve()),
            "FAULT_AT": str(at),
            "FAULT_KIND": kind,
            "FAULT_COUNT": str(self._count_file(shop)),
        }
        return subprocess.run(
            [sys.executable, "-m", "ingest", *(arguments or ("run",))],
            cwd=shop.images.parent,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def count_steps(self, shop: Shop, *arguments: str, **settings: object) -> int:
        """How many steps the run takes; it has to succeed."""
        done = self.run(shop, *arguments, **settings)
        assert done.returncode == 0, done.stderr
        return self.steps_of(shop)

    def steps_of(self, shop: Shop) -> int:
        """How many steps the last run took, which ended by itself."""
        return int(self._count_file(shop).read_text())

    @staticmethod
    def _count_file(shop: Shop) -> Path:
        return shop.images.parent / "steps"


def unmeasured(environment: dict[str, str]) -> dict[str, str]:
    """The environment of a process whose coverage is not measured."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith("COVERAGE_PROCESS_")
    }


def copy_shop(shop: Shop, target: Shop) -> None:
    """Make `target` the same folder and store, with the same timestamps."""
    for source, destination in ((shop.images, target.images), (shop.store, target.store)):
        shutil.rmtree(destination, ignore_errors=True)
        shutil.copytree(source, destination)
