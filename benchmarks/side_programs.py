"""Other programs that take turns with Lookalike: started once, told when to work."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from benchmarks.ingest import random_clip
from benchmarks.side_environments import SCRIPTS, model_of, offline, python_of
from benchmarks.synthetic_store import fresh_folder

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

_LAST_WORDS: Final = 300  # characters of a log that a note may quote


class UnavailableError(Exception):
    """A program cannot take part; the message says why."""


@dataclass(frozen=True)
class Program:
    """A script of benchmarks/side and what it runs in."""

    label: str  # for the table
    script: str
    environment: str = ""  # of benchmarks.side_environments; empty: Lookalike's own
    own_model: bool = False  # whether it is given a form of the model made for it
    remark: str = ""  # what a reader must know to read its figure rightly

    def command(self, folder: Path) -> list[str]:
        """What starts it, its model as the first argument.

        Raises:
            UnavailableError: its environment has not been made.
        """
        python = python_of(self.environment, folder) if self.environment else sys.executable
        if python is None:
            raise UnavailableError(
                "not installed here: python -m benchmarks.side_environments " + self.environment
            )
        model = model_of(self.environment, folder) if self.own_model else random_clip(folder)
        return [str(python), str(SCRIPTS / self.script), str(model)]


class Turns:
    """A running program; `wait_until_loaded` before the first turn.

    Args:
        program: what to start.
        folder: for its log and what it makes.

    Raises:
        UnavailableError: it cannot be started.
    """

    def __init__(self, program: Program, folder: Path) -> None:
        self.label = program.label
        self._out = folder / "side/out" / program.script
        self._log = folder / "side" / f"{program.script}.log"
        command = program.command(folder)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("w") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own command
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=offline(),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait_until_loaded(self) -> None:
        """Raise UnavailableError where it failed on the way."""
        self._answer()

    def ingest(self, images: Path, *more: int) -> float:
        """Seconds that the photos of a folder took; a program may want `more` numbers.

        Raises:
            UnavailableError: it failed, or embedded not every photo.
        """
        task = {"images": str(images), "out": str(fresh_folder(self._out)), "more": more}
        assert self._process.stdin is not None  # noqa: S101  # it was asked for
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(task) + "\n")
            self._process.stdin.flush()
        taken = float(self._answer()["seconds"])
        made, wanted = len(self.vectors()), sum(1 for _ in images.iterdir())
        if made != wanted:
            raise UnavailableError(f"made {made} vectors of {wanted} photos")
        return taken

    def vectors(self) -> NDArray[np.generic]:
        """What the last turn made, a row for each photo, by their names."""
        found: NDArray[np.generic] = np.load(self._out / "vectors.npy")
        return found

    def _answer(self) -> dict[str, float]:
        assert self._process.stdout is not None  # noqa: S101  # it was asked for
        line = self._process.stdout.readline()
        if not line:
            words = self._log.read_text(errors="replace").strip()[-_LAST_WORDS:]
            raise UnavailableError(f"failed: {' '.join(words.split())}")
        found: dict[str, float] = json.loads(line)
        return found


def started(
    programs: tuple[Program, ...], folder: Path, absent: dict[str, str], running: ExitStack
) -> list[Turns]:
    """Start all programs, and give those that come up; `absent` takes why the others do not."""
    found = []
    for program in programs:
        try:
            found.append(running.enter_context(Turns(program, folder)))
        except UnavailableError as error:
            absent[program.label] = str(error)
    for one in found:
        try:
            one.wait_until_loaded()
        except UnavailableError as error:
            absent[one.label] = str(error)
    return [one for one in found if one.label not in absent]
