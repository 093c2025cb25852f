"""The student: timm's mobilenetv4_conv_small, from random weights, with a vector for an output."""

from __future__ import annotations

from typing import Any

import timm
import torch

ARCHITECTURE = "mobilenetv4_conv_small"
DIMENSION = 256
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def make_student(seed: int) -> Any:
    """A student that has learned nothing yet."""
    torch.manual_seed(seed)
    model: Any = timm.create_model(ARCHITECTURE, pretrained=False, num_classes=DIMENSION)
    return model.to(memory_format=torch.channels_last)


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    """Bring `[n, 3, size, size]` values of 0 to 255 to the mean and deviation of the network."""
    mean = torch.tensor(MEAN).view(1, 3, 1, 1) * 255
    std = torch.tensor(STD).view(1, 3, 1, 1) * 255
    return ((pixels - mean) / std).contiguous(memory_format=torch.channels_last)
