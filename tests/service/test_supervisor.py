"""A child process is kept alive and taken down in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from service.supervisor import Supervisor

if TYPE_CHECKING:
    import pytest

    from tests.service.conftest import WaitFor

SLEEPER = (sys.executable, "-c", "import time; time.sleep(60)")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)",
)


def test_a_child_that_dies_is_started_again_ever_more_slowly(
    tmp_path: Path, wait_for: WaitFor
) -> None:
    log = tmp_path / "starts"
    command = (sys.executable, "-c", f"open({str(log)!r}, 'a').write('x'); exit(3)")
    supervisor = Supervisor(command, first_delay_s=0.1)
    supervisor.start()
    wait_for(lambda: log.exists() and len(log.read_text()) >= 3)
    supervisor.stop()
    count = len(log.read_text())
    time.sleep(0.5)
    assert len(log.read_text()) == count


def test_stopping_takes_the_child_down(wait_for: WaitFor) -> None:
    supervisor = Supervisor(SLEEPER)
    supervisor.start()
    wait_for(lambda: supervisor.pid)
    pid = supervisor.pid
    assert pid is not None
    started = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - started < 3
    assert not psutil.pid_exists(pid)
    assert supervisor.pid is None


def test_a_child_that_ignores_the_request_is_killed(
    monkeypatch: pytest.MonkeyPatch, wait_for: WaitFor
) -> None:
    monkeypatch.setattr("service.supervisor._STOP_S", 0.5)
    supervisor = Supervisor(STUBBORN)
    supervisor.start()
    wait_for(lambda: supervisor.pid and _ignores_sigterm(supervisor.pid))
    pid = supervisor.pid
    assert pid is not None
    supervisor.stop()
    assert not psutil.pid_exists(pid)


def _ignores_sigterm(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    ignored = int(next(line for line in status.splitlines() if line.startswith("SigIgn"))[7:], 16)
    return bool(ignored >> (signal.SIGTERM - 1) & 1)


def test_stopping_before_the_start_starts_nothing() -> None:
    supervisor = Supervisor(SLEEPER)
    supervisor.stop()
    supervisor.start()
    supervisor.stop()
    assert supervisor.pid is None


def test_a_command_on_the_leash_of_a_dead_parent_is_never_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    command = (sys.executable, "-c", f"open({str(mark)!r}, 'w')")
    stranger = os.getpid() + 1_000_000
    subprocess.run([sys.executable, "-m", "service.leash", str(stranger), *command], check=True)
    assert not mark.exists()
