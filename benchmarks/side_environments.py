"""Make the virtual environments that other products are measured in.

    python -m benchmarks.side_environments NAME... [--folder FOLDER]

Each holds what `benchmarks/side/NAME.txt` pins, and what the product needs of a model, made from
the checkpoint with seeded random weights that the other benchmarks use. They lie in FOLDER/side,
outside the repository, and share their files through hard links.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

SCRIPTS: Final = Path(__file__).with_name("side")
NAMES: Final = tuple(sorted(path.stem for path in SCRIPTS.glob("*.txt")))
_TOOLS: Final = Path(__file__).parents[1] / "requirements-audit.txt"
_COMPLETE: Final = "complete"  # a file that is written last


def default_folder() -> Path:
    """Where benchmarks keep what is large."""
    return Path(tempfile.gettempdir()) / "lookalike-benchmarks"


def python_of(name: str, folder: Path) -> Path | None:
    """The interpreter of an environment; None where it has not been made."""
    home = folder / "side" / name
    return home / "bin/python" if (home / _COMPLETE).exists() else None


def model_of(name: str, folder: Path) -> Path:
    """What the product in an environment is given as its model."""
    return folder / "side" / f"{name}-model"


def offline() -> dict[str, str]:
    """The environment variables of a product that must look for no hub and report to nobody."""
    quiet = {"ANONYMIZED_TELEMETRY": "False", "INFINITY_ANONYMOUS_USAGE_STATS": "0"}
    return {**os.environ, **quiet, "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"}


def make(name: str, folder: Path) -> None:
    """Make an environment anew.

    Raises:
        subprocess.CalledProcessError: something could not be installed; the output says what.
    """
    side = folder / "side"
    uv = _uv(side)
    variables = {**os.environ, "UV_CACHE_DIR": str(side / "cache"), "UV_LINK_MODE": "hardlink"}
    home = side / name
    (home / _COMPLETE).unlink(missing_ok=True)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    _call([uv, "venv", "--quiet", "--clear", "--python", version, home], variables)
    python = home / "bin/python"
    pins = SCRIPTS / f"{name}.txt"
    _call([uv, "pip", "install", "--quiet", "--python", python, "--requirement", pins], variables)
    _make_model(name, folder, python)
    (home / _COMPLETE).touch()


def _make_model(name: str, folder: Path, python: Path) -> None:
    if name == "rclip":
        from benchmarks.ingest import random_clip  # noqa: PLC0415  # torch, for these alone

        script = SCRIPTS / "make_rclip_model.py"
        _call([python, script, random_clip(folder), model_of(name, folder)], offline())
    elif name == "infinity":
        _call([python, SCRIPTS / "make_infinity_model.py", model_of(name, folder)], offline())


def _uv(side: Path) -> Path:
    """The installer, in an environment of its own."""
    uv = side / "uv/bin/uv"
    if not uv.exists():
        pin = next(line for line in _TOOLS.read_text().splitlines() if line.startswith("uv=="))
        _call([sys.executable, "-m", "venv", side / "uv"], dict(os.environ))
        _call([side / "uv/bin/pip", "install", "--quiet", pin], dict(os.environ))
    return uv


def _call(command: list[str | Path], variables: dict[str, str]) -> None:
    subprocess.run([str(word) for word in command], env=variables, check=True)  # noqa: S603


def main() -> None:
    """Make what was named."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.side_environments",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="+", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--folder", type=Path, default=default_folder())
    given = parser.parse_args()
    for name in given.names:
        make(name, given.folder)
        print(f"{name}: {python_of(name, given.folder)}", flush=True)


if __name__ == "__main__":
    main()
