"""Freed memory: kept at hand for the model, given back to the system once it lies idle.

Left alone, glibc keeps what it has seen freed a few times, and a service holds gigabytes after a
burst of large pictures. Told to return large blocks as they are freed, it makes every forward pass
fault in its activations anew, page by page. Here freed blocks are kept, and the heap is trimmed
within a second or two of holding many that nobody uses.
"""

from __future__ import annotations

import ctypes
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import psutil

from core.memory import give_back_freed

if TYPE_CHECKING:
    from collections.abc import Iterator

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of mallopt(3)
_LARGEST_KEPT: Final = 32 << 20  # bytes; the most that mallopt(3) allows
_NEVER: Final = (1 << 31) - 1

_LOOK_EVERY_S: Final = 1.0
_GROWTH: Final = 96 << 20  # bytes of freed blocks that are kept; a pass of 16 takes nearly as much


class _Heap(ctypes.Structure):
    """``struct mallinfo2`` of glibc."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Keep freed blocks inside, and look after them; with another C library than glibc, do nothing.

    It is of the whole process, so whoever owns the process calls it.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallinfo2"):
        yield
        return
    library.mallinfo2.restype = _Heap
    library.mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)
    library.mallopt(_TRIM_THRESHOLD, _NEVER)
    left = threading.Event()
    watcher = threading.Thread(target=_trim_until, args=(left, library), name="trim", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        left.set()
        watcher.join()


def _trim_until(left: threading.Event, library: ctypes.CDLL) -> None:
    process = psutil.Process()
    settled = _not_in_use(library, process)
    while not left.wait(_LOOK_EVERY_S):
        idle = _not_in_use(library, process)
        if idle > settled + _GROWTH:
            give_back_freed()
            idle = settled = _not_in_use(library, process)
        settled = min(settled, idle)


def _not_in_use(library: ctypes.CDLL, process: psutil.Process) -> int:
    """Bytes that the process holds beside the blocks it uses: freed ones, code, mapped files."""
    # In this order: a block that comes into use meanwhile makes it too few, and so one trim more.
    resident = process.memory_info().rss
    heap = library.mallinfo2()
    return int(resident - heap.uordblks - heap.hblkhd)
