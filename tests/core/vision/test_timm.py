"""The timm adapter against timm itself, and on unfit specs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file

from core.errors import ModelLoadError, UnknownModelError
from core.vision.models import ModelSource, load_embedder

if TYPE_CHECKING:
    from pathlib import Path

    from core.vision.embedder import Embedder


def _by_the_library(
    name: str, state: dict[str, torch.Tensor], pictures: list[Image.Image]
) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of the pooled features, and softmax scores."""
    model = timm.create_model(name).eval()
    model.load_state_dict(state)
    transform = timm.data.create_transform(
        **timm.data.resolve_model_data_config(model), is_training=False
    )
    batch = torch.stack([transform(picture) for picture in pictures])
    with torch.no_grad():
        scores = model(batch).softmax(dim=1).numpy()
        model.reset_classifier(0)
        vectors = model(batch).numpy()
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), scores


def _pixels(model: Embedder, pictures: list[Image.Image]) -> np.ndarray:
    return np.stack([model.prepare(picture) for picture in pictures])


@pytest.mark.parametrize(
    "name", ["resnet10t", "test_vit", "test_efficientnet", "mobilenetv3_small_050"]
)
def test_vectors_and_classes_are_those_of_the_library(
    name: str, tmp_path: Path, pictures: list[Image.Image]
) -> None:
    torch.manual_seed(4)
    state = timm.create_model(name).state_dict()
    torch.save(state, tmp_path / "weights.pt")
    model = load_embedder(ModelSource(f"timm:{name}", tmp_path / "weights.pt", "cpu", "fp32"))
    vectors, scores = _by_the_library(name, state, pictures)
    ours, classes = model.embed_and_classify(_pixels(model, pictures), top=1)
    assert (ours * vectors).sum(axis=1).min() > 0.999
    best = [row[0].score for row in classes]
    np.testing.assert_allclose(best, scores.max(axis=1), rtol=1e-3)


def test_bf16_stays_close_to_fp32(
    backbone: Embedder, backbone_weights: Path, pictures: list[Image.Image]
) -> None:
    half = load_embedder(ModelSource(backbone.spec, backbone_weights, "cpu", "bf16"))
    ours, full = (model.embed(_pixels(model, pictures)) for model in (half, backbone))
    assert (ours * full).sum(axis=1).min() > 0.995
    assert half.fingerprint == backbone.fingerprint


def test_real_weights_see(shared: Path) -> None:
    folder = shared / "models" / "mobilenetv2_100"
    path = folder / "mobilenetv2_100.safetensors"
    model = load_embedder(ModelSource("timm:mobilenetv2_100", path, "cpu", "fp32"))
    state = {name: value.float() for name, value in load_file(path).items()}
    photos = sorted((shared / "datasets/grocery/iconic-images-and-descriptions").rglob("*.jpg"))
    pictures = [Image.open(photo).convert("RGB") for photo in photos[:12]]
    vectors, scores = _by_the_library("mobilenetv2_100", state, pictures)
    ours, classes = model.embed_and_classify(_pixels(model, pictures), top=5)
    assert (ours * vectors).sum(axis=1).min() > 0.999
    names = (folder / "imagenet_classes.txt").read_text().splitlines()
    expected = [names[best].split(",")[0] for best in scores.argmax(axis=1)]
    assert [row[0].label.split(",")[0] for row in classes] == expected
    assert any(p.label == "Granny Smith" for row in classes for p in row)
    assert {p.source for row in classes for p in row} == {"classifier"}


def _trained(tmp_path: Path, **options: object) -> Path:
    path = tmp_path / "trained.pt"
    torch.save(timm.create_model("test_resnet", **options).state_dict(), path)
    return path


def test_weights_without_a_classifier_embed_but_name_nothing(tmp_path: Path) -> None:
    model = load_embedder(ModelSource("timm:test_resnet", _trained(tmp_path, num_classes=0)))
    assert not model.supports_classes
    assert model.classify(np.zeros((2, 160, 160, 3), np.uint8), top=3) == [[], []]
    vectors, classes = model.embed_and_classify(np.zeros((2, 160, 160, 3), np.uint8), top=3)
    assert vectors.shape == (2, model.dimension)
    assert classes == [[], []]


def test_what_the_authors_of_a_checkpoint_named_otherwise_is_renamed(tmp_path: Path) -> None:
    state = timm.create_model("test_vit").state_dict()
    torch.save(state | {"pre_logits.fc.weight": torch.zeros(2)}, tmp_path / "weights.pt")
    model = load_embedder(ModelSource("timm:test_vit", tmp_path / "weights.pt"))
    assert model.dimension == 64


def test_weights_that_no_renaming_helps_are_refused(backbone_weights: Path) -> None:
    for name in ("test_vit", "test_convnext", "test_efficientnet"):
        with pytest.raises(ModelLoadError, match=f"does not fit LOOKALIKE_MODEL='timm:{name}'"):
            load_embedder(ModelSource(f"timm:{name}", backbone_weights))


def test_a_classifier_of_ones_own_has_numbered_classes(tmp_path: Path) -> None:
    model = load_embedder(ModelSource("timm:test_resnet", _trained(tmp_path, num_classes=7)))
    [row] = model.classify(np.zeros((1, 160, 160, 3), np.uint8), top=50)
    assert sorted(p.label for p in row) == [f"class {number}" for number in range(7)]
    assert sum(p.score for p in row) == pytest.approx(1, abs=1e-4)


def test_a_thousand_classes_are_imagenets(backbone: Embedder) -> None:
    size = backbone.image_size
    [row] = backbone.classify(np.zeros((1, size, size, 3), np.uint8), top=1000)
    labels = {p.label for p in row}
    assert {"tench, Tinca tinca", "Granny Smith", "jersey, T-shirt, tee shirt"} <= labels


def test_more_than_a_thousand_classes_are_the_larger_imagenets(tmp_path: Path) -> None:
    path = _trained(tmp_path, num_classes=21843)
    model = load_embedder(ModelSource("timm:test_resnet", path))
    [row] = model.classify(np.zeros((1, 160, 160, 3), np.uint8), top=3)
    assert not any(p.label.startswith("class ") for p in row)


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("timm:mobilenetv2_10", "mobilenetv2_100"),
        ("timm:mobilenetv2_100.best", "mobilenetv2_100.ra_in1k"),
    ],
)
def test_an_unknown_name_is_answered_with_near_ones(spec: str, hint: str) -> None:
    with pytest.raises(UnknownModelError, match=hint):
        load_embedder(ModelSource(spec, None))


def test_a_model_without_hub_weights_names_both_ways() -> None:
    with pytest.raises(ModelLoadError) as caught:
        load_embedder(ModelSource("timm:mobilenetv2_035", None))
    assert "LOOKALIKE_MODEL_WEIGHTS" in str(caught.value)
    assert "timm:mobilenetv2_100" in str(caught.value)


def test_a_hub_repository_takes_no_weights_file(backbone_weights: Path) -> None:
    with pytest.raises(ModelLoadError, match="leave LOOKALIKE_MODEL_WEIGHTS empty"):
        load_embedder(ModelSource("timm:hf-hub:someone/model", backbone_weights))


@pytest.mark.slow
def test_a_model_of_pictures_that_are_no_squares_is_refused(tmp_path: Path) -> None:
    name = "vit_base_patch16_sapiens2"
    torch.save(timm.create_model(name).state_dict(), tmp_path / "weights.pt")
    with pytest.raises(ModelLoadError, match="768 x 1024"):
        load_embedder(ModelSource(f"timm:{name}", tmp_path / "weights.pt"))
