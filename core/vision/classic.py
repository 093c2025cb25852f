"""A descriptor of colour, shape and texture: no weights, no network, milliseconds on a CPU.

Four parts, each a histogram laid over the picture and made a unit vector by its square root
(the Hellinger kernel: Arandjelović and Zisserman, Three things everyone should know to improve
object retrieval, CVPR 2012):

- colour: lightness and chroma in OKLab (Ottosson, 2020), softly assigned, in three bands from top
  to bottom, the middle of the picture counting most;
- shape: orientations of the strongest colour edge in 8 x 8 cells (Dalal and Triggs, Histograms of
  Oriented Gradients for Human Detection, CVPR 2005), a cell and its mirror image added up;
- coloured edges: the same in 4 x 4 cells for each of the two chroma axes alone;
- texture: local binary patterns up to rotation and mirroring (Ojala, Pietikäinen and Mäenpää,
  Multiresolution Gray-Scale and Rotation Invariant Texture Classification, PAMI 2002).

The mean over many photos is then taken away, so that unrelated pictures score around zero. A
picture and its mirror image have the same descriptor. Each picture is worked out alone, in
float32, so a row never depends on its batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from core.vision.classic_mean import mean_parts
from core.vision.embedder import Embedder, space_fingerprint, unit_rows
from core.vision.models import default_threshold, find_family
from core.vision.preprocessing import Preprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.vision.models import ModelSource

_SIDE: Final = 128  # of the prepared picture, in pixels
_HALF: Final = _SIDE // 2  # side at which colour and shape are measured
_PREPROCESSING: Final = Preprocessing(
    size=_SIDE,
    resize_to=_SIDE,
    resampling="bilinear",
    mode="squash",
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
)

_ORIENTATIONS: Final = 8
_LIGHTNESS_BINS: Final = 4
_CHROMA_BINS: Final = 7
_BANDS: Final = 3
_SHAPE_CELLS: Final = 8
_EDGE_CELLS: Final = 4

PART_SIZES: Final = {
    "colour": _BANDS * _LIGHTNESS_BINS * _CHROMA_BINS**2,
    "shape": _SHAPE_CELLS * _SHAPE_CELLS // 2 * _ORIENTATIONS,
    "edges": 2 * _EDGE_CELLS * _EDGE_CELLS // 2 * _ORIENTATIONS,
    "texture": 30,
}
"""Numbers in each part, in the order of the vector."""

_WEIGHTS: Final = {"colour": 0.7, "shape": 1.0, "edges": 0.6, "texture": 0.5}
"""Share of each part, chosen for the best first neighbour on photos of clothes and groceries."""


def load(source: ModelSource) -> ClassicEmbedder:
    """Give the descriptor; there is nothing to load and nothing to run it on but the CPU."""
    return ClassicEmbedder(source)


class ClassicEmbedder(Embedder):
    """The descriptor as a model."""

    def __init__(self, source: ModelSource) -> None:
        self.spec = source.spec
        self.preprocessing = _PREPROCESSING
        self.default_threshold = default_threshold(source)
        self.device = "cpu"
        self.dimension = sum(PART_SIZES.values())
        self.fingerprint = space_fingerprint(
            source.spec,
            f"revision {find_family(source).revision}",
            self.preprocessing,
            self.dimension,
        )
        means, lengths = mean_parts()
        scale = [_WEIGHTS[part] / length for part, length in zip(PART_SIZES, lengths, strict=True)]
        self._mean = means
        self._scale = np.repeat(np.array(scale, np.float32), list(PART_SIZES.values()))

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed `[n, image_size, image_size, 3]` uint8 to `[n, dimension]` unit float32."""
        rows = np.stack([raw_parts(picture) for picture in pixels])
        return unit_rows((rows - self._mean) * self._scale)


def raw_parts(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Describe one `[128, 128, 3]` uint8 picture: `[dimension]` float32, before centring.

    Each part has unit length, or less where a picture has too little contrast to fill it.
    """
    lab = _oklab(_halve(_LINEAR[pixels]))
    light_edges = [_gradient(lab[..., axis] * gain) for axis, gain in enumerate((1.0, 2.0, 2.0))]
    parts = (
        _hellinger(_colour(lab.reshape(-1, 3)), floor=0.0),
        _hellinger(_orientations(*_strongest(light_edges), _SHAPE_CELLS), _FLATNESS),
        _hellinger(
            np.concatenate([_orientations(*edge, _EDGE_CELLS) for edge in light_edges[1:]]),
            _FLATNESS,
        ),
        _hellinger(_texture(pixels @ _LUMA), floor=0.0),
    )
    return np.concatenate(parts)


_FLATNESS: Final = 2.0
"""Sum of gradients under which a picture counts as having hardly any edges."""

_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)


def _hellinger(histogram: NDArray[np.float32], floor: float) -> NDArray[np.float32]:
    """Square root of the shares of a histogram; a total below `floor` shortens it smoothly."""
    shares: NDArray[np.float32] = np.sqrt(histogram / (histogram.sum() + np.float32(floor + 1e-6)))
    return shares


def _srgb_to_linear() -> NDArray[np.float32]:
    share = np.arange(256) / 255.0
    curve = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return curve.astype(np.float32)


_LINEAR: Final = _srgb_to_linear()
_TO_CONES: Final = np.array(
    [
        [0.4122214708, 0.2119034982, 0.0883024619],
        [0.5363325363, 0.6806995451, 0.2817188376],
        [0.0514459929, 0.1073969566, 0.6299787005],
    ],
    np.float32,
)
_TO_LAB: Final = np.array(
    [
        [0.2104542553, 1.9779984951, 0.0259040371],
        [0.7936177850, -2.4285922050, 0.7827717662],
        [-0.0040720468, 0.4505937099, -0.8086757660],
    ],
    np.float32,
)


def _oklab(linear: NDArray[np.float32]) -> NDArray[np.float32]:
    """`[..., 3]` linear RGB to lightness 0 to 1 and two chroma axes around 0."""
    lab: NDArray[np.float32] = np.cbrt(linear @ _TO_CONES) @ _TO_LAB
    return lab


def _halve(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    quarters = picture.reshape(_HALF, 2, _HALF, 2, 3)
    return quarters.mean(axis=(1, 3), dtype=np.float32)


def _soft_bins(values: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share each of `[p]` values between the two nearest of the evenly spaced `centres`."""
    step = centres[1] - centres[0]
    inside = np.clip(values, centres[0], centres[-1])[:, None]
    shares: NDArray[np.float32] = np.maximum(0, 1 - np.abs(inside - centres) / step)
    return shares


def _windows(length: int, count: int) -> NDArray[np.float32]:
    """`[count, length]` overlapping triangles along one axis."""
    centres = (np.arange(count) + 0.5) * length / count - 0.5
    distance = np.abs(np.arange(length) - centres[:, None]) * count / length
    return np.maximum(0, 1 - distance).astype(np.float32)


def _middle(side: int) -> NDArray[np.float32]:
    """`[side, side]` weights that fall off from the middle of the picture."""
    offset = (np.arange(side) + 0.5) / side - 0.5
    fall = np.exp(-((offset / 0.33) ** 2) / 2)
    return np.outer(fall, fall).astype(np.float32)


_LIGHTNESS_CENTRES: Final = np.linspace(0.15, 0.95, _LIGHTNESS_BINS, dtype=np.float32)
_CHROMA_CENTRES: Final = np.linspace(-0.42, 0.42, _CHROMA_BINS, dtype=np.float32)
_BAND_WEIGHTS: Final = (
    np.repeat(_windows(_HALF, _BANDS), _HALF, axis=1) * _middle(_HALF).ravel()
)  # [bands, pixels]
_BAND_WEIGHTS /= _BAND_WEIGHTS.sum(axis=1, keepdims=True)


def _colour(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    """`[pixels, 3]` OKLab to histograms of lightness and chroma in each band."""
    chroma = lab[:, 1:]
    # The root spreads the many weak colours and gathers the few strong ones.
    root = np.sqrt(np.sqrt((chroma**2).sum(axis=1, keepdims=True)) + np.float32(1e-4))
    spread = chroma / root
    first = _soft_bins(spread[:, 0], _CHROMA_CENTRES)
    second = _soft_bins(spread[:, 1], _CHROMA_CENTRES)
    pairs = (first[:, :, None] * second[:, None, :]).reshape(len(lab), -1)
    lightness = _soft_bins(lab[:, 0], _LIGHTNESS_CENTRES)
    weighted = (_BAND_WEIGHTS[:, None, :] * lightness.T).reshape(-1, len(lab))
    histogram: NDArray[np.float32] = weighted @ pairs
    return histogram.ravel()


_Field = tuple["NDArray[np.float32]", "NDArray[np.float32]"]


def _gradient(channel: NDArray[np.float32]) -> _Field:
    padded = np.pad(channel, 1, mode="edge")
    across = padded[1:-1, 2:] - padded[1:-1, :-2]
    return across, padded[2:, 1:-1] - padded[:-2, 1:-1]


def _strongest(fields: list[_Field]) -> _Field:
    """At each pixel the gradient of the channel that changes most."""
    across, down = (np.stack(part) for part in zip(*fields, strict=True))
    best = (across**2 + down**2).argmax(axis=0)[None]
    return (
        np.take_along_axis(across, best, axis=0)[0],
        np.take_along_axis(down, best, axis=0)[0],
    )


def _orientations(
    across: NDArray[np.float32], down: NDArray[np.float32], cells: int
) -> NDArray[np.float32]:
    """Histogram of edge orientations in each cell, with that of the mirrored cell added."""
    strength = np.hypot(across, down)
    turn = (np.arctan2(down, across) / np.float32(np.pi) % 1) * _ORIENTATIONS
    below = turn.astype(np.int64)
    above_share = turn - below
    planes = np.zeros((_ORIENTATIONS, *strength.shape), np.float32)
    rows, columns = np.indices(strength.shape)
    planes[below % _ORIENTATIONS, rows, columns] = strength * (1 - above_share)
    planes[(below + 1) % _ORIENTATIONS, rows, columns] = strength * above_share
    windows = _windows(strength.shape[0], cells)
    histograms: NDArray[np.float32] = windows @ planes @ windows.T  # [orientation, row, column]
    mirrored = histograms[-np.arange(_ORIENTATIONS) % _ORIENTATIONS, :, ::-1]
    return (histograms + mirrored)[:, :, : cells // 2].ravel()


_NEIGHBOURS: Final = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
_RADIUS: Final = 2
_CONTRAST: Final = 2.5  # of 255, under which two pixels count as equal


def _pattern_classes() -> NDArray[np.int64]:
    """The class of each of the 256 patterns, shared by its rotations and mirror images."""
    bits = np.arange(256)[:, None] >> np.arange(8) & 1
    places = 1 << np.arange(8)
    turns = [
        np.roll(way, turn, axis=1) @ places for way in (bits, bits[:, ::-1]) for turn in range(8)
    ]
    return np.unique(np.min(turns, axis=0), return_inverse=True)[1].astype(np.int64)


_PATTERN_CLASS: Final = _pattern_classes()
_PATTERN_WEIGHTS: Final = _middle(_SIDE)[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS].ravel()


def _texture(luma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Histogram of which neighbours are brighter than a pixel, the middle counting most."""
    inner = slice(_RADIUS, -_RADIUS)
    least = luma[inner, inner] + np.float32(_CONTRAST)
    pattern = np.zeros(least.shape, np.uint8)
    for place, (down, across) in enumerate(_NEIGHBOURS):
        top, left = _RADIUS * (1 + down), _RADIUS * (1 + across)
        neighbour = luma[top : top + least.shape[0], left : left + least.shape[1]]
        pattern |= (neighbour > least).astype(np.uint8) << place
    classes = _PATTERN_CLASS[pattern.ravel()]
    counts = np.bincount(classes, weights=_PATTERN_WEIGHTS, minlength=PART_SIZES["texture"])
    return counts.astype(np.float32)
