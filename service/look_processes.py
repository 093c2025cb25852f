"""Processes that decode uploads and run a light model on them at once.

A light model is arithmetic in many small steps, and between them it needs the interpreter, which
runs one thread at a time: beside the threads that answer, decode and search, all of them together
keep one core busy and no more. A process each makes them independent.

They start one by one, whenever a picture has to wait and there may be more of them, and stay. A
picture that a process is lost on goes to another; one that costs a second process is refused.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from core.errors import (
    DecoderCrashedError,
    DecodeTimeoutError,
    ImageError,
    ModelError,
    UnusableVectorError,
)
from core.vision.decode import DecodeLimits
from service.look_worker import ANSWER, QUESTION
from service.questions import WHOLE, Crop
from service.supervisor import SECRETS

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray

    from core.settings import Settings
    from core.vision.embedder import Embedder
    from service.metrics import Metrics

log = logging.getLogger(__name__)

_ENOUGH: Final = 4  # more looks than these give one service does not answer in the same time
_START_S: Final = 60.0  # for a process to begin
_AGAIN_S: Final = 5.0  # after which one that could not be started is tried again

_KINDS: Final[list[type[ImageError]]] = [ImageError, *ImageError.__subclasses__()]
_IMAGE_ERRORS: Final = {kind.code: kind for kind in _KINDS}


class LookProcesses:
    """The processes for one light model."""

    def __init__(self, settings: Settings, embedder: Embedder, metrics: Metrics) -> None:
        self.fingerprint = embedder.fingerprint
        self.waiting = 0  # pictures that no process has yet
        self._most = settings.decode_workers or min(_ENOUGH, os.cpu_count() or 1)
        limits = DecodeLimits.for_uploads(settings)
        self._memory_mb = settings.decode_memory_mb
        numbers = (limits.max_pixels, limits.max_bytes, self._memory_mb)
        self._command = (
            *(sys.executable, "-m", "service.look_worker"),
            *(embedder.spec, *map(str, numbers)),
        )
        self._timeout_s = settings.decode_timeout_s
        self._metrics = metrics
        self._all: set[_Worker] = set()
        self._idle: list[_Worker] = []
        self._changed = asyncio.Condition()  # `_idle` or `_starting`
        self._starting: asyncio.Task[None] | None = None
        self._not_before = 0.0  # when the next may be started, on `time.monotonic`
        self._exchanges: set[asyncio.Task[NDArray[np.float32]]] = set()

    @property
    def pids(self) -> list[int]:
        """The processes that can be asked; empty: none has started yet, or none can be."""
        return [worker.pid for worker in self._all]

    @property
    def busy(self) -> bool:
        """Whether a picture is being looked at, or waits."""
        return bool(self._exchanges or self.waiting)

    def start(self) -> None:
        """Begin to start one more, if there may be more and none is starting already."""
        there_is_room = len(self._all) < self._most and time.monotonic() >= self._not_before
        if self._starting is None and there_is_room:
            self._starting = asyncio.create_task(self._start())

    async def look(self, upload: bytes, crop: Crop | None) -> NDArray[np.float32]:
        """Give the `[d]` unit vector of an encoded picture, or of a part of it.

        Raises:
            ImageError: the upload cannot be used.
            ModelError: the model failed on it, or no process can be started any more.
        """
        for _ in range(2):
            worker = await self._take()
            exchange = asyncio.create_task(self._exchange(worker, upload, crop))
            self._exchanges.add(exchange)
            exchange.add_done_callback(self._over)
            try:
                # Whoever asked may go away; the process is free once it has answered.
                return await asyncio.shield(exchange)
            except _LostError:
                continue
        raise DecoderCrashedError(
            f"Two decoding processes died on this picture; each may take {self._memory_mb} MB "
            "(LOOKALIKE_DECODE_MEMORY_MB)."
        )

    async def close(self) -> None:
        """End the processes, whatever they do."""
        self._not_before = float("inf")
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])
        ended, self._all, self._idle = self._all, set(), []
        await asyncio.gather(*(worker.end() for worker in ended))
        await self._tell()

    async def _take(self) -> _Worker:
        for worker in [worker for worker in self._idle if worker.gone]:
            self._idle.remove(worker)  # no picture's fault
            await self._lose(worker, "is gone")
        if not self._idle:
            self.start()
        self.waiting += 1
        try:
            with self._metrics.stage("queue"):
                async with self._changed:
                    await self._changed.wait_for(self._settled)
                    if self._idle:
                        # The last one that was busy: what it needs is still in the caches.
                        return self._idle.pop()
        finally:
            self.waiting -= 1
        raise ModelError("No process that looks at pictures can be started; the log says why.")

    def _settled(self) -> bool:
        """Whether one is free, or none ever will be."""
        return bool(self._idle) or not (self._all or self._starting)

    async def _exchange(
        self, worker: _Worker, upload: bytes, crop: Crop | None
    ) -> NDArray[np.float32]:
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await worker.ask(upload, crop or WHOLE)
        except TimeoutError as error:
            await self._lose(worker, f"took longer than {self._timeout_s:g} s")
            raise DecodeTimeoutError(
                f"Decoding took longer than {self._timeout_s:g} s (LOOKALIKE_DECODE_TIMEOUT_S)."
            ) from error
        except (OSError, EOFError, RuntimeError) as error:  # the last from uvloop: a closed way
            await self._lose(worker, "is gone")
            raise _LostError from error
        await self._free(worker)
        self._metrics.stage_seconds.labels("decode").observe(answer.decode_s)
        if answer.pass_s:
            self._metrics.stage_seconds.labels("forward").observe(answer.pass_s)
            self._metrics.batch_pictures.observe(1)
        return answer.vector()

    def _over(self, exchange: asyncio.Task[NDArray[np.float32]]) -> None:
        self._exchanges.discard(exchange)
        if not exchange.cancelled():
            exchange.exception()  # seen, even where nobody waits for it any more

    async def _start(self) -> None:
        try:
            async with asyncio.timeout(_START_S):
                worker = await _Worker.start(self._command, self.fingerprint)
        except (OSError, EOFError, TimeoutError) as error:
            self._not_before = time.monotonic() + _AGAIN_S
            log.warning("A process to look at pictures cannot be started: %r", error)
        else:
            self._all.add(worker)
            self._idle.append(worker)
        finally:
            self._starting = None
            await self._tell()

    async def _tell(self) -> None:
        """Have those that wait look again."""
        async with self._changed:
            self._changed.notify_all()

    async def _free(self, worker: _Worker) -> None:
        async with self._changed:
            if worker in self._all:
                self._idle.append(worker)
            self._changed.notify()

    async def _lose(self, worker: _Worker, why: str) -> None:
        log.warning("A process that looks at pictures %s; another takes its place.", why)
        self._all.discard(worker)
        self.start()
        await worker.end()
        await self._tell()


class _LostError(Exception):
    """A process ended before it answered."""


@dataclass(frozen=True)
class _Answer:
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
class _Worker:
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
        worker = cls(process, process.stdin, process.stdout)
        try:
            await worker._meet(fingerprint)
        except BaseException:
            await worker.end()
            raise
        return worker

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def gone(self) -> bool:
        return self.answers.at_eof() or self.questions.is_closing()

    async def ask(self, upload: bytes, crop: Crop) -> _Answer:
        edges = (crop.left, crop.top, crop.right, crop.bottom)
        self.questions.write(QUESTION.pack(*edges, len(upload)))
        self.questions.write(upload)
        await self.questions.drain()
        return await self._answer()

    async def end(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def _meet(self, fingerprint: str) -> None:
        told = (await self._answer()).body.decode()
        if told != fingerprint:
            # A service outlives an update of its files; vectors of two versions never mix.
            raise OSError(f"its model is another one, {told}: restart the service")

    async def _answer(self) -> _Answer:
        head = await self.answers.readexactly(ANSWER.size)
        fine, decode_s, pass_s, length = ANSWER.unpack(head)
        return _Answer(fine, decode_s, pass_s, await self.answers.readexactly(length))
