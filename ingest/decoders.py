"""Worker processes that decode untrusted photos beside the model.

A photo that crashes its decoder, hangs it or makes it swallow memory costs that one item: the
process is ended and replaced, the run goes on. Photos are handed over several at a time, because
each crossing between processes costs as much as a small photo; those that were in the hands of a
lost process are read again one by one, so that the bad one is known.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import select
import signal
import sys
import threading
import time
from collections import deque
from concurrent.futures import TimeoutError as DecodeTimeout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self, TypeVar

from pebble import ProcessExpired, ProcessPool

from core.errors import DecoderCrashedError, DecodeTimeoutError
from core.memory import bound_memory
from core.vision.models import find_family
from core.vision.video import promises_video
from ingest.reading import Failure, ReadFile, hash_file, prepare_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from core.settings import Settings
    from ingest.reading import Preparation

T = TypeVar("T")
R = TypeVar("R")

MOST_TOGETHER: Final = 8
"""Photos handed over together; more gains little, and loses more work with a process."""


@dataclass(frozen=True)
class DecoderLimits:
    """What one decoding process may take."""

    workers: int  # processes
    timeout_s: float  # for one photo
    memory_mb: int  # for one process
    video_timeout_s: float  # for one video

    @classmethod
    def from_settings(cls, settings: Settings) -> DecoderLimits:
        """The limits an operator set."""
        return cls(
            workers=settings.decode_workers or os.cpu_count() or 1,
            timeout_s=settings.decode_timeout_s,
            video_timeout_s=settings.video_timeout_s,
            memory_mb=settings.decode_memory_mb,
        )

    def timeout_of(self, path: str) -> float:
        """How long this file may take, in seconds."""
        return self.video_timeout_s if promises_video(path) else self.timeout_s


class DecoderPool:
    """Prepares photos in worker processes."""

    def __init__(self, root: str, how: Preparation, bounds: DecoderLimits) -> None:
        self._root = root
        self._how = how
        self._bounds = bounds
        self.workers = bounds.workers
        # A clean server process forks the workers: they hold no lock, thread or model of this one.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["ingest.reading", "ingest.decoders", *_modules_of(how)])
        self._pool = ProcessPool(
            max_workers=self.workers,
            initializer=_confine,
            initargs=(bounds.memory_mb, os.getpid()),
            context=context,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.stop()
        self._pool.join()

    def chunks(self, tasks: Iterable[T], path_of: Callable[[T], str]) -> Iterator[list[T]]:
        """Group tasks for `submit`: singly at first, so that all processes soon have work.

        A video, which may take long, stays alone.
        """
        chunk: list[T] = []
        made = 0
        for task in tasks:
            alone = promises_video(path_of(task))
            if alone and chunk:
                yield chunk
                chunk = []
            chunk.append(task)
            if alone or len(chunk) >= min(MOST_TOGETHER, 1 + made // (2 * self.workers)):
                yield chunk
                chunk = []
                made += 1
        if chunk:
            yield chunk

    def submit(self, paths: Sequence[str]) -> Future[list[ReadFile]]:
        """Start reading and preparing photos, all in one process."""
        timeout_s = max(map(self._bounds.timeout_of, paths))
        future: Future[list[ReadFile]] = self._pool.schedule(
            _prepare_in_turn,
            args=(prepare_file, self._root, paths, self._how, timeout_s / 2),
            timeout=timeout_s,
        )
        return future

    def results(self, paths: Sequence[str], future: Future[list[ReadFile]]) -> list[ReadFile]:
        """Wait for photos; a lost process becomes the failure of the photo that it was lost on."""
        try:
            reads = future.result()
        except Exception as error:  # noqa: BLE001  # untrusted bytes may make a decoder raise anything
            if len(paths) == 1:
                return [self._lost(paths[0], error)]
            reads = []
        rest = [(path, self.submit([path])) for path in paths[len(reads) :]]
        return reads + [self.results([path], alone)[0] for path, alone in rest]

    def _lost(self, path: str, error: Exception) -> ReadFile:
        if isinstance(error, DecodeTimeout):
            failure = Failure(
                DecodeTimeoutError.code,
                f"Decoding took longer than {self._bounds.timeout_of(path):g} s "
                "(LOOKALIKE_DECODE_TIMEOUT_S, for videos LOOKALIKE_VIDEO_TIMEOUT_S).",
            )
        elif isinstance(error, ProcessExpired):
            failure = Failure(
                DecoderCrashedError.code,
                f"The decoding process died on this file (exit code {error.exitcode}); it may take "
                f"{self._bounds.memory_mb} MB (LOOKALIKE_DECODE_MEMORY_MB).",
            )
        else:
            failure = Failure(
                DecoderCrashedError.code, f"The decoder broke on this file: {error!r}."
            )
        found = self._found(path)
        return ReadFile(found.stat, found.racy, found.md5, found.size, failure=failure)

    def _found(self, path: str) -> ReadFile:
        return hash_file(self._root, path, is_item=True)


def _prepare_in_turn(
    prepare: Callable[[str, str, Preparation], ReadFile],
    root: str,
    paths: Sequence[str],
    how: Preparation,
    within_s: float,
) -> list[ReadFile]:
    """Prepare photos until one breaks the decoder, unless it is the only one, or time runs out."""
    if len(paths) == 1:
        return [prepare(root, paths[0], how)]
    until = time.monotonic() + within_s
    reads: list[ReadFile] = []
    with contextlib.suppress(Exception):
        for path in paths:
            reads.append(prepare(root, path, how))
            if time.monotonic() > until:
                break
    return reads


def in_order(
    tasks: Iterable[T], submit: Callable[[T], Future[R]], window: int
) -> Iterator[tuple[T, Future[R]]]:
    """Keep `window` tasks going and yield them in the order they came, to be waited for."""
    going: deque[tuple[T, Future[R]]] = deque()
    for task in tasks:
        going.append((task, submit(task)))
        if len(going) >= window:
            yield going.popleft()
    yield from going


def _modules_of(how: Preparation) -> list[str]:
    """What processes that run a light model themselves would each import."""
    return [] if how.light_model is None else [find_family(how.light_model).module]


def _confine(memory_mb: int, ingester: int) -> None:
    """Bound a worker and tie its life to the ingester's."""
    if sys.platform == "linux":
        threading.Thread(target=_end_with, args=(ingester,), daemon=True).start()
    bound_memory(memory_mb)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Ctrl-C reaches the whole process group; the parent decides when a worker ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _end_with(pid: int) -> None:
    """End this process when another has ended, however that came about.

    Waiting for the parent would not do: the server that forks the workers stays until the last of
    them is gone.
    """
    with contextlib.suppress(ProcessLookupError):
        select.select([os.pidfd_open(pid)], [], [])
    os.kill(os.getpid(), signal.SIGKILL)
