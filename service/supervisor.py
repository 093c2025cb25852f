"""Keeps a child process alive: the ingest daemon of `lookalike serve`."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)

INGEST_DAEMON: Final = (sys.executable, "-m", "ingest", "daemon")

SECRETS: Final = ("LOOKALIKE_API_KEYS", "LOOKALIKE_CLIENT_KEY", "LOOKALIKE_SESSION_SECRET")
"""What the child has no use for: it decodes pictures of strangers."""

_FIRST_DELAY_S: Final = 1.0
_LONGEST_DELAY_S: Final = 30.0
_STEADY_S: Final = 60.0  # a child that lived this long is started again without delay
_STOP_S: Final = 7.0  # for a child to end by itself


class Supervisor:
    """Starts a command, starts it again when it dies, and takes it down in the end."""

    def __init__(
        self, command: Sequence[str] = INGEST_DAEMON, first_delay_s: float = _FIRST_DELAY_S
    ) -> None:
        self._command = command
        self._first_delay_s = first_delay_s
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        # This thread starts every child and outlives it: on Linux the leash is tied to the thread.
        self._thread = threading.Thread(target=self._keep_alive, name="supervisor", daemon=True)

    @property
    def pid(self) -> int | None:
        """The child's process id; None while there is no child."""
        child = self._child
        return child.pid if child is not None and child.poll() is None else None

    def start(self) -> None:
        """Begin to keep the command alive."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Send the child SIGTERM and start no other; returns at once."""
        with self._lock:
            self._stopping.set()
            if self._child is not None and self._child.poll() is None:
                self._child.terminate()

    def stop(self) -> None:
        """Take the child down: politely, then not."""
        self.ask_to_stop()
        if not self._thread.is_alive():
            return
        self._thread.join(_STOP_S)
        if self._thread.is_alive() and self._child is not None:
            log.warning("The ingest daemon did not end in %.0f s and is killed.", _STOP_S)
            self._child.kill()
            self._thread.join()

    def _keep_alive(self) -> None:
        delay = self._first_delay_s
        while (child := self._spawn()) is not None:
            started = time.monotonic()
            code = child.wait()
            if self._stopping.is_set():
                break
            if time.monotonic() - started > _STEADY_S:
                delay = self._first_delay_s
            log.warning(
                "The ingest daemon ended with %d and is started again in %.0f s.",
                code,
                delay,
                extra={"exit_code": code, "delay_s": delay},
            )
            if self._stopping.wait(delay):
                break
            delay = min(2 * delay, _LONGEST_DELAY_S)

    def _spawn(self) -> subprocess.Popen[bytes] | None:
        leash = (sys.executable, "-m", "service.leash", str(os.getpid()))
        with self._lock:
            if self._stopping.is_set():
                return None
            # A session of its own: Ctrl-C in a terminal reaches this program alone, which then
            # takes the child down in order.
            self._child = subprocess.Popen(  # noqa: S603  # our own command
                (*leash, *self._command),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={name: value for name, value in os.environ.items() if name not in SECRETS},
            )
            return self._child
