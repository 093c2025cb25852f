"""Giving freed memory back to the system.

The C library keeps what was freed for the next who asks. Reading a large catalogue frees as much on
its way as it keeps in the end, and nobody asks for that again until much has changed.
"""

from __future__ import annotations

import ctypes
import sys


def give_back_freed() -> None:
    """Return freed memory to the system, where the C library can be told to."""
    if sys.platform == "linux":
        # Only glibc knows the call.
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
