"""What the classic descriptor measures, in float32 numpy.

First the foreground: the pixels whose colours the picture's border does not have. The frame
around it places every grid below, so that a small product and a large one look alike. Then five
histograms, each made a unit vector by its square root (the Hellinger kernel: Arandjelović and
Zisserman, Three things everyone should know to improve object retrieval, CVPR 2012):

- colour: lightness and chroma in OKLab (Ottosson, 2020), softly assigned, in three bands from top
  to bottom;
- shape: orientations of the strongest colour edge in 8 x 8 cells (Dalal and Triggs, Histograms of
  Oriented Gradients for Human Detection, CVPR 2005);
- outline: how much foreground each of the 8 x 8 cells holds;
- edges: orientations in 4 x 4 cells for each of the two chroma axes alone;
- texture: local binary patterns up to rotation and mirroring (Ojala, Pietikäinen and Mäenpää,
  Multiresolution Gray-Scale and Rotation Invariant Texture Classification, PAMI 2002).

In shape, outline and edges a cell and its mirror image are added up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float32]
    Field: TypeAlias = tuple[Floats, Floats]  # gradients across and down

SIDE: Final = 128
"""Side of the prepared picture, in pixels."""

_HALF: Final = SIDE // 2  # side at which all but the texture is measured
_ORIENTATIONS: Final = 8
_LIGHTNESS_BINS: Final = 4
_CHROMA_BINS: Final = 5
_BANDS: Final = 3
_SHAPE_CELLS: Final = 8
_EDGE_CELLS: Final = 4

PART_SIZES: Final = {
    "colour": _BANDS * _LIGHTNESS_BINS * _CHROMA_BINS**2,
    "shape": _SHAPE_CELLS * _SHAPE_CELLS // 2 * _ORIENTATIONS,
    "outline": _SHAPE_CELLS * _SHAPE_CELLS // 2,
    "edges": 2 * _EDGE_CELLS * _EDGE_CELLS // 2 * _ORIENTATIONS,
    "texture": 30,
}
"""Numbers in each part, in the order of the vector."""


def describe(pixels: NDArray[np.uint8]) -> Floats:
    """Measure one `[128, 128, 3]` uint8 picture: `[sum of PART_SIZES]` float32, not centred.

    A part has unit length, or less where the picture has too little contrast to fill it.
    """
    lab = _oklab(_halve(_LINEAR[pixels]))
    foreground = _foreground(lab)
    frame = _frame(foreground)
    weights = frame.middle() * (foreground + _BACKGROUND_COLOUR)
    edges = [_gradient(lab[..., axis]) for axis in range(3)]
    visible = foreground + _BACKGROUND_EDGES
    shape_windows, edge_windows = frame.windows(_SHAPE_CELLS), frame.windows(_EDGE_CELLS)
    parts = (
        _hellinger(_colour(lab, weights, frame), 1e-6),
        _hellinger(_orientations(_strongest(edges), visible, shape_windows), _FAINT_EDGES),
        _hellinger(_cells(foreground[None], shape_windows), _FAINT_EDGES),
        _hellinger(
            np.concatenate([_orientations(e, visible, edge_windows) for e in edges[1:]]),
            _FAINT_EDGES,
        ),
        _hellinger(_texture(pixels @ _LUMA, weights), 1e-6),
    )
    return np.concatenate(parts)


_BACKGROUND_COLOUR: Final = np.float32(0.03)  # what background counts beside foreground
_BACKGROUND_EDGES: Final = np.float32(0.1)
_FAINT_EDGES: Final = 1.0  # a total that is hardly there: a sheet of paper, say
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)


def _hellinger(histogram: Floats, faint: float) -> Floats:
    """Square root of the shares of a histogram; a total near `faint` shortens it smoothly."""
    shares: Floats = np.sqrt(histogram / (histogram.sum() + np.float32(faint)))
    return shares


def _srgb_to_linear() -> Floats:
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


def _oklab(linear: Floats) -> Floats:
    """`[..., 3]` linear RGB to lightness 0 to 1 and two chroma axes around 0."""
    lab: Floats = np.cbrt(linear @ _TO_CONES) @ _TO_LAB
    return lab


def _halve(picture: Floats) -> Floats:
    halved: Floats = picture.reshape(_HALF, 2, _HALF, 2, 3).mean(axis=(1, 3))
    return halved


_PLACE: Final = (np.arange(_HALF, dtype=np.float32) + np.float32(0.5)) / _HALF  # 0 to 1
_AT_EDGE: Final = (_PLACE < 0.08) | (_PLACE > 0.92)
_AT_BORDER: Final = _AT_EDGE[:, None] | _AT_EDGE[None, :]
_GRID: Final = (12, 16, 16)  # bins of lightness and of each chroma axis
_GRID_START: Final = np.array([0.0, -0.2, -0.2], np.float32)
_GRID_STEPS: Final = np.array([12.0, 40.0, 40.0], np.float32)  # bins per unit
_COMMON_IN_BORDER: Final = 0.01  # share of the border that makes a colour background


def _foreground(lab: Floats) -> Floats:
    """How little of each pixel's colour the border has: `[64, 64]`, 0 to 1."""
    place = ((lab - _GRID_START) * _GRID_STEPS).astype(np.int64)
    bins = np.ravel_multi_index(tuple(np.moveaxis(place, -1, 0)), _GRID, mode="clip")
    counts = np.bincount(bins[_AT_BORDER], minlength=int(np.prod(_GRID)))
    shares = counts.reshape(_GRID).astype(np.float32) / np.float32(_AT_BORDER.sum())
    for axis in range(3):
        shares = _blur(shares, axis, "constant")
    unlike: Floats = np.exp(-shares.ravel()[bins] / np.float32(_COMMON_IN_BORDER))
    return _blur(_blur(unlike, 0, "edge"), 1, "edge")


def _blur(values: Floats, axis: int, edge: str) -> Floats:
    """Weigh each value with its two neighbours along an axis, 1 : 2 : 1."""
    margins = [(1, 1) if dimension == axis else (0, 0) for dimension in range(values.ndim)]
    padded = np.moveaxis(np.pad(values, margins, mode=edge), axis, 0)  # type: ignore[call-overload]  # either mode is right
    blurred: Floats = np.moveaxis((padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4, 0, axis)
    return blurred


@dataclass(frozen=True)
class _Frame:
    """Where the foreground lies, as shares of the picture's sides."""

    left: float
    right: float
    top: float
    bottom: float

    def windows(self, count: int) -> tuple[Floats, Floats]:
        """Overlapping triangles over the frame: `[count, 64]` down and across."""
        return _windows(self.top, self.bottom, count), _windows(self.left, self.right, count)

    def middle(self) -> Floats:
        """`[64, 64]` weights that fall off from the middle of the frame."""
        return np.outer(_fall(self.top, self.bottom), _fall(self.left, self.right))


def _windows(start: float, end: float, count: int) -> Floats:
    step = (end - start) / count
    centres = start + (np.arange(count) + 0.5) * step
    return np.maximum(0, 1 - np.abs(_PLACE - centres[:, None]) / step).astype(np.float32)


def _fall(start: float, end: float) -> Floats:
    offset = (_PLACE - (start + end) / 2) / (0.33 * (end - start))
    return np.exp(-(offset**2) / 2).astype(np.float32)


_SPREAD: Final = 2.2  # standard deviations from the foreground's centre to its frame
_CENTRAL: Final = np.sqrt(np.outer(_fall(0, 1), _fall(0, 1)))  # [64, 64]


def _frame(foreground: Floats) -> _Frame:
    """The frame from the foreground's mean and deviation, which move smoothly with it."""
    weights = foreground.astype(np.float64) * _CENTRAL + 1e-4
    ends: list[float] = []
    for along in (0, 1):
        share = weights.sum(axis=along) / weights.sum()
        mean = float((share * _PLACE).sum())
        reach = _SPREAD * float(np.sqrt((share * (_PLACE - mean) ** 2).sum()))
        ends += [max(0.0, mean - reach), min(1.0, mean + reach)]
    return _Frame(*ends)


_LIGHTNESS: Final = np.linspace(0.15, 0.95, _LIGHTNESS_BINS, dtype=np.float32)
_CHROMA: Final = np.linspace(-0.42, 0.42, _CHROMA_BINS, dtype=np.float32)


def _colour(lab: Floats, weights: Floats, frame: _Frame) -> Floats:
    """Histograms of lightness and chroma, each band's adding up to 1."""
    light, chroma = lab.reshape(-1, 3)[:, 0], lab.reshape(-1, 3)[:, 1:]
    # The root spreads the many weak colours and gathers the few strong ones.
    root = np.sqrt(np.sqrt((chroma**2).sum(axis=1, keepdims=True)) + np.float32(1e-4))
    first, second = (_soft_bins(axis, _CHROMA) for axis in (chroma / root).T)
    pairs = (first[:, :, None] * second[:, None, :]).reshape(len(light), -1)
    bands = (frame.windows(_BANDS)[0][:, :, None] * weights).reshape(_BANDS, 1, -1)
    histograms = (bands * _soft_bins(light, _LIGHTNESS).T) @ pairs  # [band, lightness, chroma]
    shares: Floats = histograms / (histograms.sum(axis=(1, 2), keepdims=True) + np.float32(1e-6))
    return shares.ravel()


def _soft_bins(values: Floats, centres: Floats) -> Floats:
    """Share each of `[p]` values between the two nearest of the evenly spaced `centres`."""
    step = centres[1] - centres[0]
    inside = np.clip(values, centres[0], centres[-1])[:, None]
    shares: Floats = np.maximum(0, 1 - np.abs(inside - centres) / step)
    return shares


def _gradient(channel: Floats) -> Field:
    padded = np.pad(channel, 1, mode="edge")
    across = padded[1:-1, 2:] - padded[1:-1, :-2]
    return across, padded[2:, 1:-1] - padded[:-2, 1:-1]


def _strongest(fields: list[Field]) -> Field:
    """At each pixel the gradient of the axis that changes most, chroma counting double."""
    gain = np.array([1, 2, 2], np.float32)[:, None, None]
    across, down = (np.stack(part) * gain for part in zip(*fields, strict=True))
    best = (across**2 + down**2).argmax(axis=0)[None]
    return (
        np.take_along_axis(across, best, axis=0)[0],
        np.take_along_axis(down, best, axis=0)[0],
    )


_ROWS, _COLUMNS = np.indices((_HALF, _HALF))


def _orientations(field: Field, visible: Floats, windows: tuple[Floats, Floats]) -> Floats:
    """Histogram of edge orientations in each cell, with that of the mirrored cell added."""
    across, down = field
    strength = np.hypot(across, down) * visible
    turn = (np.arctan2(down, across) / np.float32(np.pi) % 1) * _ORIENTATIONS
    below = turn.astype(np.int64)
    share = turn - below
    planes = np.zeros((_ORIENTATIONS, _HALF, _HALF), np.float32)
    planes[below % _ORIENTATIONS, _ROWS, _COLUMNS] = strength * (1 - share)
    planes[(below + 1) % _ORIENTATIONS, _ROWS, _COLUMNS] = strength * share
    return _cells(planes, windows)


def _cells(planes: Floats, windows: tuple[Floats, Floats]) -> Floats:
    """Sum `[orientations, 64, 64]` in each cell and its mirror image, where angles turn too."""
    down, across = windows
    cells: Floats = np.matmul(np.matmul(down, planes), across.T, dtype=np.float32)
    mirrored = cells[-np.arange(len(cells)) % len(cells), :, ::-1]
    return (cells + mirrored)[:, :, : cells.shape[2] // 2].ravel()


def _pattern_classes() -> NDArray[np.int64]:
    """The class of each of the 256 patterns, shared by its rotations and mirror images."""
    bits = np.arange(256)[:, None] >> np.arange(8) & 1
    ways = (bits, bits[:, ::-1])
    codes = [np.roll(way, turn, axis=1) @ (1 << np.arange(8)) for way in ways for turn in range(8)]
    return np.unique(np.min(codes, axis=0), return_inverse=True)[1].astype(np.int64)


_PATTERN_CLASS: Final = _pattern_classes()
_NEIGHBOURS: Final = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
_RADIUS: Final = 2
_CONTRAST: Final = 2.5  # of 255, under which two pixels count as equal


def _texture(luma: Floats, weights: Floats) -> Floats:
    """Histogram of which neighbours are brighter than a pixel of the `[128, 128]` picture."""
    inner = slice(_RADIUS, -_RADIUS)
    least = luma[inner, inner] + np.float32(_CONTRAST)
    pattern = np.zeros(least.shape, np.uint8)
    for place, (down, across) in enumerate(_NEIGHBOURS):
        top, left = _RADIUS * (1 + down), _RADIUS * (1 + across)
        neighbour = luma[top : top + least.shape[0], left : left + least.shape[1]]
        pattern |= (neighbour > least).astype(np.uint8) << place
    shares = np.repeat(np.repeat(weights, 2, axis=0), 2, axis=1)[inner, inner]
    classes = _PATTERN_CLASS[pattern.ravel()]
    counts = np.bincount(classes, weights=shares.ravel(), minlength=PART_SIZES["texture"])
    return counts.astype(np.float32)
