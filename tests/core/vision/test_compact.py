"""The network that a shop trains itself: weights in, vectors out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from core.errors import ModelLoadError
from core.vision.compact import DIMENSION
from core.vision.models import ModelSource, load_embedder, source_key

if TYPE_CHECKING:
    from pathlib import Path

    from core.vision.embedder import Embedder


def test_without_weights_it_says_where_they_come_from() -> None:
    with pytest.raises(ModelLoadError, match=r"training/README.md.*LOOKALIKE_MODEL_WEIGHTS"):
        load_embedder(ModelSource("compact", None))


def test_vectors_have_unit_length_and_the_stated_dimension(compact: Embedder) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (3, 128, 128, 3), dtype=np.uint8)
    vectors = compact.embed(pixels)
    assert vectors.shape == (3, DIMENSION)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_other_weights_are_another_space(
    compact: Embedder, compact_weights: Path, tmp_path: Path
) -> None:
    state = load_file(compact_weights)
    state["classifier.bias"] = state["classifier.bias"] + 0.5
    save_file(state, tmp_path / "own.safetensors")
    source = ModelSource("compact", tmp_path / "own.safetensors", "cpu", "fp32")
    assert load_embedder(source).fingerprint != compact.fingerprint
    assert source_key(source) != source_key(ModelSource("compact", compact_weights, "cpu", "fp32"))
    del state["classifier.bias"]
    save_file(state, tmp_path / "own.safetensors")
    with pytest.raises(ModelLoadError, match=r"does not fit .*'compact'.*classifier\.bias"):
        load_embedder(source)


def test_bf16_vectors_are_nearly_those_of_fp32(compact: Embedder, compact_weights: Path) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (4, 128, 128, 3), dtype=np.uint8)
    rough = load_embedder(ModelSource("compact", compact_weights, "cpu", "bf16"))
    assert rough.fingerprint == compact.fingerprint
    assert (rough.embed(pixels) * compact.embed(pixels)).sum(axis=1).min() > 0.995
