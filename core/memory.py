"""How much memory a process takes: a bound, and giving back what was freed.

The C library keeps what was freed for the next who asks. Reading a large catalogue frees as much on
its way as it keeps in the end, and nobody asks for that again until much has changed.
"""

from __future__ import annotations

import contextlib
import ctypes
import resource
import sys
from pathlib import Path


def give_back_freed() -> None:
    """Return freed memory to the system, where the C library can be told to."""
    if sys.platform == "linux":
        # Only glibc knows the call.
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def bound_memory(memory_mb: int) -> None:
    """Let this process take so much more than it has mapped already; then allocations fail."""
    with contextlib.suppress(ValueError, OSError):
        # What is mapped before the first photo differs from machine to machine.
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        size = pages * resource.getpagesize() + memory_mb * 1_000_000
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
