"""What shops and phones do to a photo of the same product: the student shall not mind.

The teacher answered about the view as it was; half of what the student sees is distorted, so it
learns to give the vector of the undistorted one.
"""

from __future__ import annotations

import torch
from torch.nn import functional


def distorted(pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Distort about half of `[n, 3, size, size]` values of 0 to 255; mirror another half."""
    count = len(pixels)

    def chosen(share: float) -> torch.Tensor:
        return torch.rand(count, 1, 1, 1, generator=rng) < share

    pixels = torch.where(chosen(0.5), pixels.flip(3), pixels)
    cast = 1 + (torch.rand(count, 3, 1, 1, generator=rng) - 0.5) * 0.6
    light = 1 + (torch.rand(count, 1, 1, 1, generator=rng) - 0.5) * 0.5
    pixels = torch.where(chosen(0.3), pixels * (cast * light), pixels)
    pixels = torch.where(chosen(0.15), pixels * _shadows(count, pixels.shape[-1], rng), pixels)
    pixels = torch.where(chosen(0.15), _patched(pixels, rng), pixels)
    pixels = torch.where(chosen(0.25), _shifted(pixels, rng), pixels)
    return pixels.clamp(0, 255)


def _shadows(count: int, size: int, rng: torch.Generator) -> torch.Tensor:
    """Dark on one side of a soft edge across the picture: `[count, 1, size, size]` factors."""
    ramp = torch.linspace(-1, 1, size)
    angle = torch.rand(count, 1, 1, generator=rng) * 6.283
    offset = torch.rand(count, 1, 1, generator=rng) - 0.5
    softness = 2 + torch.rand(count, 1, 1, generator=rng) * 20
    side = angle.cos() * ramp.view(1, 1, -1) + angle.sin() * ramp.view(1, -1, 1) - offset
    depth = 0.2 + 0.45 * torch.rand(count, 1, 1, generator=rng)
    return (1 - depth * torch.sigmoid(side * softness)).unsqueeze(1)


def _patched(pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """A striped bar, as small text is from afar, over a part of each picture."""
    count, _, size, _ = pixels.shape
    ramp = torch.arange(size)
    top = (torch.rand(count, 1, 1, generator=rng) * size * 0.9).int()
    left = (torch.rand(count, 1, 1, generator=rng) * size * 0.7).int()
    height = (size * (0.04 + 0.12 * torch.rand(count, 1, 1, generator=rng))).int()
    width = (size * (0.2 + 0.6 * torch.rand(count, 1, 1, generator=rng))).int()
    row, column = ramp.view(1, -1, 1), ramp.view(1, 1, -1)
    bar = (row >= top) & (row < top + height) & (column >= left) & (column < left + width)
    ink = bar & (torch.rand(count, 1, size, generator=rng) < 0.6)
    colour = torch.rand(count, 3, 1, 1, generator=rng) * 255
    return torch.where(ink.unsqueeze(1), colour, pixels)


def _shifted(pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Closer or farther by up to a tenth, and off the middle by as much."""
    count = len(pixels)
    zoom = 1 + (torch.rand(count, generator=rng) - 0.5) * 0.24
    move = (torch.rand(count, 2, generator=rng) - 0.5) * 0.2
    grid = torch.zeros(count, 2, 3)
    grid[:, 0, 0] = grid[:, 1, 1] = zoom
    grid[:, :, 2] = move
    at = functional.affine_grid(grid, list(pixels.shape), align_corners=False)
    return functional.grid_sample(pixels, at, padding_mode="reflection", align_corners=False)
