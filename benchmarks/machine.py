"""The machine that gave the figures."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")


def describe_machine() -> str:
    """One sentence of facts."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    flags = [flag for flag in _FLAGS if flag in facts.get("flags", "").split()]
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "faiss-cpu", "numpy"))
    return (
        f"{facts.get('model name', platform.processor())}, {os.cpu_count()} cores, "
        f"{' '.join(flags)}, {pages:.0f} GiB of memory; Python {platform.python_version()}, "
        f"{libraries}; load average {os.getloadavg()[0]:.1f} at the end."
    )
