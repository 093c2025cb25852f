"""Watching and ending real processes."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

import psutil

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

T = TypeVar("T")


def wait_for(ask: Callable[[], T], seconds: float = 20.0) -> T:
    """Wait until `ask` gives something true, and give that."""
    end = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """A process and all it started."""
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(process.pid)
        return [parent, *parent.children(recursive=True)]
    return []


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still work; a dead one that nobody has asked after does not count."""
    found = list[psutil.Process]()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def kill(process: subprocess.Popen[str]) -> None:
    """End a process as a power cut would."""
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=20)


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """Leave no process behind, whatever the test made of it."""
    members = list[psutil.Process]()
    try:
        yield process
        members = family(process)
    finally:
        members += family(process)
        for member in alive(members):
            with suppress(psutil.NoSuchProcess):
                member.kill()
        process.communicate(timeout=20)
