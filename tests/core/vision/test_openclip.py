"""The open_clip adapter against open_clip itself, and on unfit specs."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from core.errors import ModelLoadError, UnknownModelError
from core.vision.models import ModelSource, load_embedder
from core.vision.weights import quiet_root_logger

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

    from core.vision.embedder import Embedder

ARCHITECTURE = "ViT-S-32-alt"
SPEC = f"open_clip:{ARCHITECTURE}"


def _by_the_library(
    architecture: str, weights: Path, pictures: list[Image.Image], texts: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    with quiet_root_logger():
        model, _, transform = open_clip.create_model_and_transforms(
            architecture, pretrained=str(weights)
        )
    model.eval()
    with torch.no_grad():
        images = model.encode_image(torch.stack([transform(p) for p in pictures]), normalize=True)
        tokens = open_clip.get_tokenizer(architecture)(texts)
        return images.numpy(), model.encode_text(tokens, normalize=True).numpy()


def _embed(model: Embedder, pictures: list[Image.Image]) -> np.ndarray:
    return model.embed(np.stack([model.prepare(picture) for picture in pictures]))


def _cosines(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    cosines: np.ndarray = (ours * theirs).sum(axis=1)
    return cosines


def test_vectors_are_those_of_the_library(
    clip: Embedder, clip_weights: Path, pictures: list[Image.Image]
) -> None:
    texts = ["a red shoe", "two green apples on a table"]
    images, words = _by_the_library(ARCHITECTURE, clip_weights, pictures, texts)
    assert _cosines(_embed(clip, pictures), images).min() > 0.9999
    assert _cosines(clip.embed_texts(texts), words).min() > 0.9999


def test_bf16_stays_close_to_fp32(
    clip: Embedder, clip_weights: Path, pictures: list[Image.Image]
) -> None:
    half = load_embedder(ModelSource(SPEC, clip_weights, "cpu", "bf16"))
    assert _cosines(_embed(half, pictures), _embed(clip, pictures)).min() > 0.995
    texts = ["a red shoe"]
    assert _cosines(half.embed_texts(texts), clip.embed_texts(texts)).min() > 0.995
    assert half.fingerprint == clip.fingerprint


@pytest.mark.slow
def test_vit_b_32_is_that_of_the_library(tmp_path: Path, pictures: list[Image.Image]) -> None:
    torch.manual_seed(3)
    with quiet_root_logger():
        made = open_clip.create_model("ViT-B-32").state_dict()
    path = tmp_path / "b32.safetensors"
    save_file({name: value.contiguous() for name, value in made.items()}, path)
    images, words = _by_the_library("ViT-B-32", path, pictures, ["a mug"])
    for precision, least in (("fp32", 0.999), ("bf16", 0.995)):
        model = load_embedder(ModelSource("open_clip:ViT-B-32", path, "cpu", precision))
        assert _cosines(_embed(model, pictures), images).min() > least
        assert _cosines(model.embed_texts(["a mug"]), words).min() > least
        plain = model.fingerprint
        del model
    # The tag beside a file still says how it was trained: this one with a quicker activation.
    tagged = load_embedder(ModelSource("open_clip:ViT-B-32/openai", path, "cpu", "fp32"))
    assert tagged.fingerprint != plain
    assert tagged.preprocessing.mode == "crop"


def test_texts_come_in_order_and_long_ones_are_cut(clip: Embedder) -> None:
    texts = [f"shoe number {number}" for number in range(300)]
    vectors = clip.embed_texts(texts)
    assert vectors.shape == (300, clip.dimension)
    np.testing.assert_allclose(vectors[[299]], clip.embed_texts(texts[299:]), atol=2e-5)
    assert np.isfinite(clip.embed_texts(["", "word " * 500])).all()
    assert clip.embed_texts([]).shape == (0, clip.dimension)


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("open_clip:ViT-B-3", "ViT-B-32"),
        ("open_clip:ViT-B-32/laion2b", "laion2b_s34b_b79k"),
        ("open_clip:ViT-S-32-alt/any", "has none"),
    ],
)
def test_an_unknown_name_is_answered_with_near_ones(spec: str, hint: str) -> None:
    with pytest.raises(UnknownModelError, match=hint):
        load_embedder(ModelSource(spec, None))


def test_an_architecture_alone_names_both_ways_to_weights() -> None:
    with pytest.raises(ModelLoadError) as caught:
        load_embedder(ModelSource("open_clip:ViT-B-32", None))
    assert "LOOKALIKE_MODEL_WEIGHTS" in str(caught.value)
    assert "LOOKALIKE_MODEL=open_clip:ViT-B-32/" in str(caught.value)


def test_a_hub_repository_takes_no_weights_file(clip_weights: Path) -> None:
    with pytest.raises(ModelLoadError, match="leave LOOKALIKE_MODEL_WEIGHTS empty"):
        load_embedder(ModelSource("open_clip:hf-hub:someone/model", clip_weights))


def test_a_folder_with_configuration_and_weights_loads(
    tmp_path: Path, clip: Embedder, clip_weights: Path, pictures: list[Image.Image]
) -> None:
    config = open_clip.get_model_config(ARCHITECTURE)
    (tmp_path / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": config, "preprocess_cfg": {}})
    )
    state = torch.load(clip_weights, weights_only=True)
    save_file(state, tmp_path / "open_clip_model.safetensors")
    model = load_embedder(ModelSource(f"open_clip:local-dir:{tmp_path}", None, "cpu", "fp32"))
    assert _cosines(_embed(model, pictures), _embed(clip, pictures)).min() > 0.9999


def test_loading_leaves_the_root_logger_alone(clip_weights: Path) -> None:
    root = logging.getLogger()
    before = (list(root.handlers), list(root.filters))
    load_embedder(ModelSource(SPEC, clip_weights))
    assert (list(root.handlers), list(root.filters)) == before
