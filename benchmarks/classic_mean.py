"""Work out the constants of `core/vision/classic_mean.py` from folders of photos, on stdout.

    python -m benchmarks.classic_mean FOLDER... > core/vision/classic_mean.py

The mean is over every photo below the folders; the lengths are the parts' root mean square
distances from it. Only pictures are looked at, no labels.
"""

from __future__ import annotations

import argparse
import base64
import textwrap
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.vision.classic import PREPROCESSING
from core.vision.classic_parts import PART_SIZES, describe
from core.vision.decode import IMAGE_SUFFIXES, DecodeLimits, decode_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LIMITS = DecodeLimits(100_000_000, 100_000_000, "this benchmark")

_TEMPLATE = '''"""The mean of the classic descriptor over {count:,} photos of clothes and groceries.

Made by ``benchmarks/classic_mean.py``; a constant of the descriptor, like its bins.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LENGTHS: Final = ({lengths})
"""Root mean square distance from the mean, of each part."""

_MEAN: Final = (
{mean}
)
"""Little-endian float16 in base85."""


def mean_parts() -> tuple[NDArray[np.float32], tuple[float, ...]]:
    """The mean, `[dimension]` float32, and the typical length of each part once centred."""
    mean = np.frombuffer(base64.b85decode(_MEAN), dtype="<f2")
    return mean.astype(np.float32), _LENGTHS
'''


def _described(photo: Path) -> NDArray[np.float32]:
    return describe(PREPROCESSING.prepare(decode_image(photo.read_bytes(), _LIMITS)))


def main() -> None:
    """Print the module."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="+", type=Path)
    folders = parser.parse_args().folder
    photos = [
        p for f in folders for p in sorted(f.rglob("*")) if p.suffix.lower() in IMAGE_SUFFIXES
    ]
    with ProcessPoolExecutor() as pool:
        rows = np.stack(list(pool.map(_described, photos, chunksize=32)))
    mean = rows.mean(axis=0, dtype=np.float64).astype("<f2")
    ends = np.cumsum(list(PART_SIZES.values()))[:-1]
    parts = np.split(rows - mean.astype(np.float64), ends, axis=1)
    lengths = [float(np.sqrt((part**2).sum(axis=1).mean())) for part in parts]
    text = base64.b85encode(mean.tobytes()).decode()
    lines = textwrap.wrap(text, 88, break_on_hyphens=False)
    print(
        _TEMPLATE.format(
            count=len(rows),
            lengths=", ".join(f"{length:.4f}" for length in lengths),
            mean="\n".join(f'    b"{line}"' for line in lines),
        ),
        end="",
    )


if __name__ == "__main__":
    main()
