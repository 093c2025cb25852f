"""Write requirements.lock: every runtime package with the hashes of its files.

`python -m tools.lock_hashes UV` asks the index that uv is set up with. The torch packages stay out:
which of their builds is right depends on the machine (CPU, CUDA, ROCm), each comes from an index
of its own, and each has other hashes. Their versions are pinned in constraints.txt.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
LOCK: Final = ROOT / "requirements.lock"
UNHASHED: Final = re.compile(r"(torch|torchvision|triton|nvidia-.*|cuda-.*)==", re.IGNORECASE)

_HEADER: Final = """\
# What the container installs, with the hashes of its files; written by make lock.
# The torch packages, whose files depend on the machine, are pinned in constraints.txt alone.
"""


def names(requirements: Path) -> list[str]:
    """The pinned names of a requirements file."""
    lines = requirements.read_text(encoding="utf-8").splitlines()
    return [line.partition("==")[0] for line in lines if "==" in line and line[0] not in "#-"]


def write_lock(uv: str) -> None:
    """Resolve the runtime requirements within constraints.txt and keep the hashes."""
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    left_out = [line.partition("==")[0] for line in pins if UNHASHED.match(line)]
    command = [uv, "pip", "compile", "requirements.txt", "--constraints", "constraints.txt"]
    command += ["--generate-hashes", "--universal", "--python-version", "3.11", "--no-annotate"]
    command += ["--no-header", "--no-emit-index-url", "--no-emit-find-links", "--quiet"]
    command += [word for name in left_out for word in ("--no-emit-package", name)]
    done = subprocess.run(  # noqa: S603  # our own command
        command, cwd=ROOT, check=True, capture_output=True, text=True
    )
    LOCK.write_text(_HEADER + done.stdout, encoding="utf-8")


if __name__ == "__main__":
    write_lock(sys.argv[1])
