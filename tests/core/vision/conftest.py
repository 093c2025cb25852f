"""Pictures, weights files and models that the vision tests share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import open_clip
import pytest
import timm
import torch
from PIL import Image, ImageDraw

from core.vision.models import ModelSource, load_embedder
from core.vision.weights import quiet_root_logger

if TYPE_CHECKING:
    from core.vision.embedder import Embedder

CLIP = "ViT-S-32-alt"  # the smallest architecture open_clip ships
BACKBONE = "resnet10t"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data beside the repository; tests that need it skip without."""
    folder = Path(__file__).parents[4] / "shared"
    if not folder.is_dir():
        pytest.skip(f"no reference data: {folder} is absent")
    return folder


@pytest.fixture(scope="session")
def pictures() -> list[Image.Image]:
    """Six unlike pictures of unlike shapes."""
    random = np.random.default_rng(7)
    made = []
    for number, size in enumerate([(300, 200), (200, 300), (224, 224), (90, 31), (640, 480)]):
        image = Image.new("RGB", size, tuple(random.integers(0, 255, 3).tolist()))
        draw = ImageDraw.Draw(image)
        for _ in range(6):
            x, y = random.integers(0, size[0]), random.integers(0, size[1])
            box = (int(x), int(y), int(x) + size[0] // 3, int(y) + size[1] // 4)
            colour = tuple(random.integers(0, 255, 3).tolist())
            (draw.ellipse if number % 2 else draw.rectangle)(box, fill=colour)
        made.append(image)
    noise = random.integers(0, 255, (128, 160, 3), dtype=np.uint8)
    return [*made, Image.fromarray(noise)]


@pytest.fixture(scope="session")
def clip_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seeded random weights of the smallest open_clip architecture, as a user would save them."""
    torch.manual_seed(1)
    with quiet_root_logger():
        model = open_clip.create_model(CLIP)
    path = tmp_path_factory.mktemp("clip") / "clip.pt"
    torch.save(model.state_dict(), path)
    return path


@pytest.fixture(scope="session")
def backbone_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seeded random weights of a small timm backbone."""
    torch.manual_seed(2)
    path = tmp_path_factory.mktemp("timm") / "backbone.pt"
    torch.save(timm.create_model(BACKBONE).state_dict(), path)
    return path


@pytest.fixture(scope="session")
def classic() -> Embedder:
    return load_embedder(ModelSource("classic", None))


@pytest.fixture(scope="session")
def clip(clip_weights: Path) -> Embedder:
    return load_embedder(ModelSource(f"open_clip:{CLIP}", clip_weights, "cpu", "fp32"))


@pytest.fixture(scope="session")
def backbone(backbone_weights: Path) -> Embedder:
    return load_embedder(ModelSource(f"timm:{BACKBONE}", backbone_weights, "cpu", "fp32"))
