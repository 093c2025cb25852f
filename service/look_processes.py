"""Processes that decode uploads and run a light model on them at once.

A light model is arithmetic in many small steps, and between them it needs the interpreter, which
runs one thread at a time: beside the threads that answer, decode and search, all of them together
keep one core busy and no more. A process each makes them independent.

They start one by one, whenever a picture has to wait and there may be more of them, and stay. While
many wait, a process that was quick with one picture has its next before it is done with one, for it
would idle until the service has seen its answer. A picture that a process is lost on goes to
another; one that costs a second process is refused.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from core.errors import DecoderCrashedError, DecodeTimeoutError, LookalikeError, ModelError
from core.vision.decode import DecodeLimits
from service.look_process import LookAnswer, LookProcess
from service.questions import WHOLE, Crop

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from core.settings import Settings
    from core.vision.embedder import Embedder
    from service.metrics import Metrics

log = logging.getLogger(__name__)

_ENOUGH: Final = 4  # more looks than these give one service does not answer in the same time
_START_S: Final = 60.0  # for a process to begin
_AGAIN_S: Final = 5.0  # after which one that could not be started is tried again
_LATE_S: Final = 0.1  # of one picture, after which the next goes to another process
_MOST_DEATHS: Final = 2  # processes that a picture may cost

_NONE: Final = "No process that looks at pictures can be started; the log says why."


class LookProcesses:
    """The processes for one light model."""

    def __init__(self, settings: Settings, embedder: Embedder, metrics: Metrics) -> None:
        self.fingerprint = embedder.fingerprint
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
        self._jobs: deque[_Job] = deque()  # that no process has yet
        self._held: dict[LookProcess, _Held] = {}  # what each process has been asked
        self._free: list[asyncio.Future[None]] = []  # one for each process without a job
        self._runs: set[asyncio.Task[None]] = set()
        self._endings: set[asyncio.Task[None]] = set()  # of processes that are lost
        self._starting: asyncio.Task[None] | None = None
        self._not_before = 0.0  # when the next may be started, on `time.monotonic`

    @property
    def pids(self) -> list[int]:
        """The processes that can be asked; empty: none has started yet, or none can be."""
        return [process.pid for process in self._held]

    @property
    def waiting(self) -> int:
        """How many pictures no process has yet."""
        return len(self._jobs)

    @property
    def busy(self) -> bool:
        """Whether a picture is being looked at, or waits."""
        return bool(self._jobs) or any(self._held.values())

    def start(self) -> None:
        """Begin to start one more, if there may be more and none is starting already."""
        there_is_room = len(self._held) < self._most and time.monotonic() >= self._not_before
        if self._starting is None and there_is_room:
            self._starting = asyncio.create_task(self._start())

    async def look(self, upload: bytes, crop: Crop | None) -> NDArray[np.float32]:
        """Give the `[d]` unit vector of an encoded picture, or of a part of it.

        Raises:
            ImageError: the upload cannot be used.
            ModelError: the model failed on it, or no process can be started any more.
        """
        job = _Job(upload, crop or WHOLE, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        self._offer()
        try:
            answer = await job.answer
        except asyncio.CancelledError:
            with suppress(ValueError):  # a process that has it already does it
                self._jobs.remove(job)
            raise
        return answer.vector()

    async def close(self) -> None:
        """End the processes, whatever they do."""
        self._not_before = float("inf")
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])
        ended, self._held = self._held, {}
        self._free.clear()
        for run in self._runs:
            run.cancel()
        await asyncio.gather(*self._runs, return_exceptions=True)
        await asyncio.gather(*self._endings, *(process.end() for process in ended))
        for held in ended.values():
            self._jobs.extend(job for job in held if job is not None)
        self._offer()

    def _offer(self) -> None:
        """Have those that are free take what waits, or refuse it if nobody ever will."""
        if not self._free:
            self.start()
        for _ in range(min(len(self._free), len(self._jobs))):
            # The last one that was busy: what it needs is still in the caches.
            self._free.pop().set_result(None)
        if not (self._held or self._starting):
            while self._jobs:
                self._jobs.popleft().fail(ModelError(_NONE))

    async def _start(self) -> None:
        process = None
        try:
            async with asyncio.timeout(_START_S):
                process = await LookProcess.start(self._command, self.fingerprint)
        except (OSError, EOFError, TimeoutError) as error:
            self._not_before = time.monotonic() + _AGAIN_S
            log.warning("A process to look at pictures cannot be started: %r", error)
        finally:
            self._starting = None
        if process is None:
            self._offer()
            return
        held = self._held[process] = deque()
        run = asyncio.create_task(self._run(process, held))
        self._runs.add(run)
        run.add_done_callback(self._runs.discard)

    async def _run(self, process: LookProcess, held: _Held) -> None:
        """Have one process do what waits, until it is lost."""
        quick = False
        try:
            while True:
                if not held:
                    self._hand(process, held, await self._next())
                # So that nobody else will want it sooner, nor have to take it back.
                if quick and len(self._jobs) >= len(self._held):
                    self._hand(process, held, self._jobs.popleft())
                asked_at = time.perf_counter()
                answer = await self._answer(process, held)
                quick = time.perf_counter() - asked_at < _LATE_S
                job = held.popleft()
                if job is not None:
                    job.finish(answer)
        except TimeoutError:
            await self._lose(process, held, too_slow=True)
        except (OSError, EOFError, RuntimeError):  # the last from uvloop: a closed way
            await self._lose(process, held, too_slow=False)

    async def _next(self) -> _Job:
        while not self._jobs:
            turn = asyncio.get_running_loop().create_future()
            self._free.append(turn)
            await turn
        return self._jobs.popleft()

    def _hand(self, process: LookProcess, held: _Held, job: _Job) -> None:
        try:
            process.put(job.upload, job.crop)
        except (OSError, EOFError, RuntimeError):
            self._jobs.appendleft(job)  # no fault of the picture
            raise
        held.append(job)

    async def _answer(self, process: LookProcess, held: _Held) -> LookAnswer:
        """Wait for the answer to the first of what a process holds."""
        if held[0] is not None:
            waited = time.perf_counter() - held[0].queued_at
            self._metrics.stage_seconds.labels("queue").observe(waited)
        late = asyncio.get_running_loop().call_later(_LATE_S, self._give_back, held)
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await process.answer()
        finally:
            late.cancel()
        self._metrics.stage_seconds.labels("decode").observe(answer.decode_s)
        if answer.pass_s:
            self._metrics.stage_seconds.labels("forward").observe(answer.pass_s)
            self._metrics.batch_pictures.observe(1)
        return answer

    def _give_back(self, held: _Held) -> None:
        """Let others do what stands behind a picture that takes long."""
        behind = [job for job in list(held)[1:] if job is not None]
        for place in range(1, len(held)):
            held[place] = None
        self._jobs.extendleft(reversed(behind))
        self._offer()

    async def _lose(self, process: LookProcess, held: _Held, *, too_slow: bool) -> None:
        why = f"took longer than {self._timeout_s:g} s" if too_slow else "is gone"
        log.warning("A process that looks at pictures %s; another takes its place.", why)
        self._held.pop(process, None)
        culprit = held.popleft() if held else None
        self._jobs.extendleft(job for job in reversed(held) if job is not None)
        if culprit is not None and not too_slow:
            culprit.deaths += 1
            if culprit.deaths < _MOST_DEATHS:
                self._jobs.appendleft(culprit)
                culprit = None
        self.start()
        ending = asyncio.create_task(process.end())
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)
        try:
            await asyncio.shield(ending)  # a service that closes waits for it, too
        finally:
            if culprit is not None:
                culprit.fail(self._fault(too_slow=too_slow))
            self._offer()

    def _fault(self, *, too_slow: bool) -> LookalikeError:
        if too_slow:
            return DecodeTimeoutError(
                f"Decoding took longer than {self._timeout_s:g} s (LOOKALIKE_DECODE_TIMEOUT_S)."
            )
        return DecoderCrashedError(
            f"Two decoding processes died on this picture; each may take {self._memory_mb} MB "
            "(LOOKALIKE_DECODE_MEMORY_MB)."
        )


@dataclass(eq=False)
class _Job:
    """A picture to be looked at."""

    upload: bytes
    crop: Crop
    answer: asyncio.Future[LookAnswer]  # done: nobody waits for it any more
    queued_at: float = field(default_factory=time.perf_counter)
    deaths: int = 0  # processes that died of it

    def finish(self, answer: LookAnswer) -> None:
        """Answer whoever still waits for it."""
        if not self.answer.done():
            self.answer.set_result(answer)

    def fail(self, error: LookalikeError) -> None:
        """Tell whoever still waits for it."""
        if not self.answer.done():
            self.answer.set_exception(error)


_Held: TypeAlias = deque[_Job | None]
"""Jobs in the order in which their answers come; None: another process does it, too."""
