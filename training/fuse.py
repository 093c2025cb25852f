"""Join the trained network with the descriptor of `classic`, and write the weights of `compact`.

    python -m training.fuse NETWORK PHOTOS... --out FILE

The network says what a thing is, the descriptor which colours and outline it has. Over the photos
the mean of both is taken away, each part is brought to its weight, and all is turned to its
principal axes. That is one linear map, `mix`, of the network's unit vector and the descriptor's raw
parts side by side; FILE holds it beside the network, in float16. No label is looked at.
"""

from __future__ import annotations

import argparse
import itertools
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from core.vision.classic_parts import PART_SIZES, describe
from core.vision.compact import DIMENSION, PREPROCESSING, CompactNetwork
from training.bank import HELD_OUT
from training.photos import find_photos, read_held_out
from training.student import make_student, normalised

if TYPE_CHECKING:
    from numpy.typing import NDArray

WEIGHTS: Final = {
    "network": 1.0,
    "colour": 0.8,
    "shape": 0.7,
    "outline": 0.2,
    "edges": 0.5,
    "texture": 0.2,
}
"""What each part counts, in its mean length over the photos."""

_BATCH: Final = 64


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("network", type=Path, help="what training.distil wrote")
    parser.add_argument("photos", type=Path, nargs="+", help="folders of photos, one folder a kind")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    found = find_photos(options.photos, read_held_out(HELD_OUT))
    with ProcessPoolExecutor() as pool:
        pixels = np.stack(list(pool.map(_prepared, [path for path, _ in found], chunksize=32)))
        described = np.stack(list(pool.map(describe, pixels, chunksize=32)))
    network = load_file(options.network)
    joined = np.concatenate([_seen(network, pixels), described], axis=1)
    write(network, *fit(joined), options.out)
    print(f"{options.out}: {len(found)} photos, {options.out.stat().st_size:,} bytes")


def fit(joined: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The map of rows `[n, network + parts]` to `[n, DIMENSION]`: its matrix and its offset."""
    sizes = [joined.shape[1] - sum(PART_SIZES.values()), *PART_SIZES.values()]
    mean = joined.mean(axis=0)
    centred = joined - mean
    bounds = np.cumsum([0, *sizes])
    lengths = [
        np.linalg.norm(centred[:, start:end], axis=1).mean()
        for start, end in itertools.pairwise(bounds)
    ]
    amounts = [WEIGHTS[part] for part in ("network", *PART_SIZES)]
    scale = np.repeat(np.array(amounts) / np.array(lengths), sizes)
    _, axes = np.linalg.eigh(np.cov((centred * scale).T))
    matrix = (axes[:, ::-1][:, :DIMENSION].T * scale).astype(np.float32)
    return matrix, (-matrix @ mean).astype(np.float32)


def write(
    network: dict[str, torch.Tensor],
    matrix: NDArray[np.float32],
    offset: NDArray[np.float32],
    path: Path,
) -> None:
    """Write the weights as `CompactNetwork` reads them, in float16."""
    state = {f"network.{name}": tensor for name, tensor in network.items()}
    state |= {"mix.weight": torch.from_numpy(matrix), "mix.bias": torch.from_numpy(offset)}
    wanted = {
        name for name in CompactNetwork().state_dict() if not name.endswith("num_batches_tracked")
    }
    if wanted != set(state):
        raise SystemExit(f"The network is another one: {sorted(wanted ^ set(state))[:3]} differ.")
    save_file({name: tensor.half().contiguous() for name, tensor in state.items()}, path)


def _prepared(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return PREPROCESSING.prepare(image.convert("RGB"))


def _seen(network: dict[str, torch.Tensor], pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    student = make_student(0).eval()
    student.load_state_dict(network, strict=False)
    rows = []
    with torch.inference_mode():
        for start in range(0, len(pixels), _BATCH):
            batch = torch.from_numpy(pixels[start : start + _BATCH]).permute(0, 3, 1, 2).float()
            rows.append(torch.nn.functional.normalize(student(normalised(batch))).numpy())
    return np.concatenate(rows)


if __name__ == "__main__":
    main()
