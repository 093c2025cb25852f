"""The network that ships with Lookalike, and its weights."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import ImageOps
from safetensors.torch import load_file, save_file
from timm.layers.norm_act import BatchNormAct2d

from core.errors import ModelLoadError
from core.vision import compact as adapter
from core.vision.decode import DecodeLimits, decode_image
from core.vision.folding import fold_norms
from core.vision.models import ModelSource, load_embedder, source_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.vision.embedder import Embedder

ROOT = Path(__file__).parents[3]
SHIPPED = ModelSource("compact", None, "cpu", "fp32")
LIMITS = DecodeLimits(10**8, 10**8, "none")


def embedded(model: Embedder, files: list[Path]) -> NDArray[np.float32]:
    return model.embed(
        np.stack([model.prepare(decode_image(file.read_bytes(), LIMITS)) for file in files])
    )


def test_the_shipped_weights_are_small_float16_and_described() -> None:
    assert adapter.WEIGHTS.stat().st_size <= 8_000_000
    assert {tensor.dtype for tensor in load_file(adapter.WEIGHTS).values()} == {torch.float16}
    digest = hashlib.sha256(adapter.WEIGHTS.read_bytes()).hexdigest()
    assert digest == adapter.WEIGHTS_SHA256
    card = adapter.WEIGHTS.with_suffix(".md").read_text(encoding="utf-8")
    assert digest in card
    for section in ("Trained on", "Licence", "Figures", "Limits"):
        assert f"## {section}" in card


def test_a_wheel_and_the_container_take_the_weights_along() -> None:
    assert adapter.WEIGHTS == ROOT / "data/models/compact.safetensors"
    assert "data.models" in (ROOT / "pyproject.toml").read_text()
    assert "COPY data/models data/models" in (ROOT / "Dockerfile").read_text()
    assert "!data/models" in (ROOT / ".dockerignore").read_text().splitlines()


def test_folding_changes_no_vector() -> None:
    torch.manual_seed(4)
    network = adapter.CompactNetwork().network.eval()
    for part in network.modules():
        if isinstance(part, BatchNormAct2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
            torch.nn.init.normal_(part.weight)
            torch.nn.init.normal_(part.bias)
    pictures = torch.randn(2, 3, 128, 128)
    with torch.inference_mode():
        plain = network(pictures)
        folded = fold_norms(network)(pictures)
    assert not any(isinstance(part, BatchNormAct2d) for part in network.modules())
    torch.testing.assert_close(folded, plain, rtol=1e-3, atol=1e-3 * float(plain.abs().max()))


def test_a_sample_photo_finds_its_product(compact: Embedder) -> None:
    catalogue = sorted((ROOT / "data/images").rglob("*.jpg"))
    query = ROOT / "data/queries/red-sneaker-street.jpg"
    scores = embedded(compact, catalogue) @ embedded(compact, [query])[0]
    assert catalogue[int(scores.argmax())].parent.name == "shoes"


def test_a_mirrored_photo_stays_nearest_to_itself(compact: Embedder) -> None:
    files = sorted((ROOT / "data/images").rglob("*.jpg"))[::4]
    photos = [decode_image(file.read_bytes(), LIMITS) for file in files]
    plain = compact.embed(np.stack([compact.prepare(photo) for photo in photos]))
    mirrored = compact.embed(
        np.stack([compact.prepare(ImageOps.mirror(photo)) for photo in photos])
    )
    found = (mirrored @ plain.T).argmax(axis=1)
    assert np.mean(found == np.arange(len(files))) > 0.9


def test_bf16_vectors_are_nearly_those_of_fp32(compact: Embedder) -> None:
    files = sorted((ROOT / "data/images").rglob("*.jpg"))[:8]
    rough = load_embedder(ModelSource("compact", None, "cpu", "bf16"))
    assert rough.fingerprint == compact.fingerprint
    assert (embedded(rough, files) * embedded(compact, files)).sum(axis=1).min() > 0.995


def test_weights_of_ones_own_are_another_space(compact: Embedder, tmp_path: Path) -> None:
    state = load_file(adapter.WEIGHTS)
    state["network.classifier.bias"] = state["network.classifier.bias"] + 0.5
    save_file(state, tmp_path / "own.safetensors")
    source = ModelSource("compact", tmp_path / "own.safetensors", "cpu", "fp32")
    assert load_embedder(source).fingerprint != compact.fingerprint
    assert source_key(source) != source_key(SHIPPED)
    del state["network.classifier.bias"]
    save_file(state, tmp_path / "own.safetensors")
    with pytest.raises(
        ModelLoadError, match=r"does not fit .*'compact'.*network\.classifier\.bias"
    ):
        load_embedder(source)


def test_changed_or_missing_shipped_weights_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "compact.safetensors"
    monkeypatch.setattr(adapter, "WEIGHTS", copy)
    with pytest.raises(ModelLoadError, match=r"cannot be read.*LOOKALIKE_MODEL=classic"):
        load_embedder(SHIPPED)
    shutil.copy(ROOT / "data/models/compact.safetensors", copy)
    content = bytearray(copy.read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content)
    with pytest.raises(ModelLoadError, match="is not the file that ships with Lookalike"):
        load_embedder(SHIPPED)


def test_it_needs_no_network(tmp_path: Path) -> None:
    script = (
        "import socket\n"
        "def refuse(*_): raise OSError('no network')\n"
        "socket.socket.connect = refuse\n"
        "from core.vision.models import ModelSource, load_embedder\n"
        "print(load_embedder(ModelSource('compact', None)).dimension)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(adapter.DIMENSION)
