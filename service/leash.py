"""`python -m service.leash PARENT COMMAND…` becomes a command that ends when its parent does.

The kernel sends SIGTERM when the parent dies, however it dies, and keeps doing so for the program
that takes this one's place. Where the kernel has no such thing the command runs unleashed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def main(parent: int, command: list[str]) -> None:
    """Tie this process to `parent` and become `command`."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        return  # it died before the leash was on
    os.execvp(command[0], command)  # noqa: S606  # our own command


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
