"""One process that decodes uploads and runs a light model on them, as the service sees it.

It is asked over its standard input and answers on its output, in numbers and JSON: nothing that
could run code here. `service.look_worker` is the program.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from core.errors import ImageError, ModelError, UnusableVectorError
from service.look_worker import ANSWER, QUESTION
from service.supervisor import SECRETS

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray

    from service.questions import Crop

log = logging.getLogger(__name__)

_KINDS: Final[list[type[ImageError]]] = [ImageError, *ImageError.__subclasses__()]
_IMAGE_ERRORS: Final = {kind.code: kind for kind in _KINDS}


@dataclass(frozen=True)
class LookAnswer:
    """What a process made of a picture."""

    fine: bool
    decode_s: float
    pass_s: float
    body: bytes

    def vector(self) -> NDArray[np.float32]:
        """The `[d]` unit vector; what the process raised is raised here."""
        if not self.fine:
            told = json.loads(self.body)
            if "trace" in told:
                log.error("The model failed on a picture.\n%s", told["trace"])
            raise _IMAGE_ERRORS.get(told["code"], ModelError)(told["message"])
        vector = np.frombuffer(self.body, "<f4")
        if not np.isfinite(vector).all():
            raise UnusableVectorError
        return vector


@dataclass(frozen=True, eq=False)
class LookProcess:
    """One process and the way to it."""

    process: Process
    questions: asyncio.StreamWriter
    answers: asyncio.StreamReader

    @classmethod
    async def start(cls, command: tuple[str, ...], fingerprint: str) -> Self:
        """Start a process and wait until its model is loaded.

        Raises:
            OSError: it cannot be started, or has another model than that of the fingerprint.
            EOFError: it ended at once.
        """
        known = {name: value for name, value in os.environ.items() if name not in SECRETS}
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, env=known)
        assert process.stdin is not None  # noqa: S101  # both are pipes
        assert process.stdout is not None  # noqa: S101
        started = cls(process, process.stdin, process.stdout)
        try:
            await started._meet(fingerprint)
        except BaseException:
            await started.end()
            raise
        return started

    @property
    def pid(self) -> int:
        """Its number in the system."""
        return self.process.pid

    def put(self, upload: bytes, crop: Crop) -> None:
        """Ask about a picture; answers come in the order of the questions.

        Raises:
            EOFError, OSError, RuntimeError: the process is gone.
        """
        if self.answers.at_eof() or self.questions.is_closing():
            raise EOFError
        edges = (crop.left, crop.top, crop.right, crop.bottom)
        self.questions.write(QUESTION.pack(*edges, len(upload)))
        self.questions.write(upload)

    async def answer(self) -> LookAnswer:
        """Wait for the next answer.

        Raises:
            EOFError, OSError, RuntimeError: the process is gone.
        """
        head = await self.answers.readexactly(ANSWER.size)
        fine, decode_s, pass_s, length = ANSWER.unpack(head)
        return LookAnswer(fine, decode_s, pass_s, await self.answers.readexactly(length))

    async def end(self) -> None:
        """Kill it, whatever it does."""
        try:
            if self.process.returncode is None:
                self.process.kill()
            await self.process.wait()
        finally:
            # Left open by who is cancelled here, its pipes would outlive the event loop. asyncio
            # has no public way to close them.
            self.process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001

    async def _meet(self, fingerprint: str) -> None:
        told = (await self.answer()).body.decode()
        if told != fingerprint:
            # A service outlives an update of its files; vectors of two versions never mix.
            raise OSError(f"its model is another one, {told}: restart the service")
