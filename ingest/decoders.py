"""Worker processes that decode untrusted photos beside the model.

A photo that crashes its decoder, hangs it or makes it swallow memory costs that one item: the
process is ended and replaced, the run goes on.
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
from collections import deque
from concurrent.futures import TimeoutError as DecodeTimeout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from pebble import ProcessExpired, ProcessPool

from core.errors import DecoderCrashedError, DecodeTimeoutError
from core.vision.video import promises_video
from ingest.reading import Failure, ReadFile, hash_file, prepare_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from core.settings import Settings
    from ingest.reading import Preparation

T = TypeVar("T")


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
        # A clean server process forks the workers: they hold no lock, thread or model of this one.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["ingest.reading", "ingest.decoders"])
        self._pool = ProcessPool(
            max_workers=bounds.workers,
            initializer=_confine,
            initargs=(bounds.memory_mb, os.getpid()),
            context=context,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.stop()
        self._pool.join()

    def submit(self, path: str) -> Future[ReadFile]:
        """Start reading and preparing a photo."""
        future: Future[ReadFile] = self._pool.schedule(
            prepare_file,
            args=(self._root, path, self._how),
            timeout=self._bounds.timeout_of(path),
        )
        return future

    def result(self, path: str, future: Future[ReadFile]) -> ReadFile:
        """Wait for a photo; a lost process becomes that photo's failure."""
        try:
            return future.result()
        except DecodeTimeout:
            failure = Failure(
                DecodeTimeoutError.code,
                f"Decoding took longer than {self._bounds.timeout_of(path):g} s "
                "(LOOKALIKE_DECODE_TIMEOUT_S, for videos LOOKALIKE_VIDEO_TIMEOUT_S).",
            )
        except ProcessExpired as error:
            failure = Failure(
                DecoderCrashedError.code,
                f"The decoding process died on this file (exit code {error.exitcode}); it may take "
                f"{self._bounds.memory_mb} MB (LOOKALIKE_DECODE_MEMORY_MB).",
            )
        except Exception as error:  # noqa: BLE001  # untrusted bytes may make a decoder raise anything
            failure = Failure(
                DecoderCrashedError.code, f"The decoder broke on this file: {error!r}."
            )
        found = hash_file(self._root, path, is_item=True)
        return ReadFile(found.stat, found.racy, found.md5, found.size, failure=failure)


def in_order(
    tasks: Iterable[T], submit: Callable[[T], Future[ReadFile]], window: int
) -> Iterator[tuple[T, Future[ReadFile]]]:
    """Keep `window` tasks going and yield them in the order they came, to be waited for."""
    going: deque[tuple[T, Future[ReadFile]]] = deque()
    for task in tasks:
        going.append((task, submit(task)))
        if len(going) >= window:
            yield going.popleft()
    yield from going


def _confine(memory_mb: int, ingester: int) -> None:
    """Bound a worker and tie its life to the ingester's."""
    if sys.platform == "linux":
        threading.Thread(target=_end_with, args=(ingester,), daemon=True).start()
    with contextlib.suppress(ValueError, OSError):
        # What the process maps before its first photo differs from machine to machine.
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        size = pages * resource.getpagesize() + memory_mb * 1_000_000
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
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
