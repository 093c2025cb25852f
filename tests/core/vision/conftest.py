"""Pictures, weights files and models that the vision tests share."""

from __future__ import annotations

import shutil
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
    from collections.abc import Callable, Iterator

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
def compact() -> Embedder:
    return load_embedder(ModelSource("compact", None, "cpu", "fp32"))


@pytest.fixture(scope="session")
def clip(clip_weights: Path) -> Embedder:
    return load_embedder(ModelSource(f"open_clip:{CLIP}", clip_weights, "cpu", "fp32"))


@pytest.fixture(scope="session")
def backbone(backbone_weights: Path) -> Embedder:
    return load_embedder(ModelSource(f"timm:{BACKBONE}", backbone_weights, "cpu", "fp32"))


DREAMSIM_MISSING = "the package dreamsim is absent: pip install -r requirements-dreamsim.txt"
HUBCONF = """
dependencies = ["torch"]


def _load(name, patch_size):
    import pathlib

    import torch
    from dreamsim.feature_extraction.vision_transformer import vit_base

    model = vit_base(patch_size=patch_size)
    model.load_state_dict(torch.load(pathlib.Path(__file__).with_name(name + ".pth")))
    return model


def dino_vitb16():
    return _load("dino_vitb16", 16)


def dinov2_vitb14():
    return _load("dinov2_vitb14", 14)
"""
"""A torch.hub repository of the backbones' names, in the place where the package looks for one."""


@pytest.fixture(scope="session")
def dreamsim_weights(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], Path]]:
    """Makes a folder of seeded random weights of a DreamSim model type, as the package keeps it."""
    pytest.importorskip("dreamsim", reason=DREAMSIM_MISSING)
    from dreamsim.config import dreamsim_args  # noqa: PLC0415  # optional
    from dreamsim.model import PerceptualModel  # noqa: PLC0415
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415

    made = list[Path]()

    def make(kind: str) -> Path:
        torch.manual_seed(3)
        folder = tmp_path_factory.mktemp(kind)
        made.append(folder)
        config = dreamsim_args["model_config"][kind]
        for backbone in config["model_type"].split(","):
            _save_dreamsim_backbone(folder, backbone)
        hub = torch.hub.get_dir()
        metric = PerceptualModel(**config, device="cpu", load_dir=str(folder))
        torch.hub.set_dir(hub)
        tuned = get_peft_model(metric, LoraConfig(r=4, lora_alpha=8, target_modules=["qkv"]))
        for name, values in tuned.named_parameters():
            if "lora_B" in name:  # zeros at first: an adapter that changes nothing
                torch.nn.init.normal_(values, std=0.05)
        tuned.save_pretrained(
            folder / ("ensemble_lora" if kind == "ensemble" else f"{kind}_single_lora")
        )
        return folder

    yield make
    for folder in made:  # hundreds of megabytes each
        shutil.rmtree(folder)


def _save_dreamsim_backbone(folder: Path, name: str) -> None:
    from dreamsim.feature_extraction.vision_transformer import (  # noqa: PLC0415  # optional
        DINOHead,
        vit_base,
    )

    patch_size = int(name[-2:])
    model = vit_base(patch_size=patch_size)
    if "clip" in name:
        model.pos_drop = torch.nn.LayerNorm(model.embed_dim)
        state = {**model.state_dict(), "proj": torch.randn(768, 512) * 0.03}
        torch.save({"state_dict": state}, folder / f"{name}_pretrain.pth.tar")
        return
    hub = folder / (
        "facebookresearch_dinov2_main" if "v2" in name else "facebookresearch_dino_main"
    )
    hub.mkdir()
    (hub / "hubconf.py").write_text(HUBCONF)
    torch.save(model.state_dict(), hub / f"{name}.pth")
    head = DINOHead(768, 2048)
    layers = {f"module.head.{key}": value for key, value in head.state_dict().items()}
    layers["module.head.last_layer.weight"] = head.last_layer.weight.detach()
    torch.save({"student": layers}, folder / f"{name}_pretrain.pth")


@pytest.fixture(scope="session")
def dreamsim_folder(dreamsim_weights: Callable[[str], Path]) -> Path:
    return dreamsim_weights("clip_vitb32")


@pytest.fixture(scope="session")
def dreamsim(dreamsim_folder: Path) -> Embedder:
    return load_embedder(ModelSource("dreamsim:clip_vitb32", dreamsim_folder, "cpu", "fp32"))
