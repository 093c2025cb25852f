"""Models in 8 bits, against the same models in fp32."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING

import numpy as np
import pytest

from core.errors import SettingsError
from core.vision.models import ModelSource, load_embedder, source_key

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

    from core.vision.embedder import Embedder
    from tests.shop import Shop


def _pixels(model: Embedder, pictures: list[Image.Image]) -> np.ndarray:
    return np.stack([model.prepare(picture) for picture in pictures])


@pytest.fixture(scope="module")
def libraries() -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("nncf")


@pytest.fixture(scope="module")
def eight_bits(libraries: None, backbone_weights: Path) -> Embedder:  # noqa: ARG001
    return load_embedder(ModelSource("timm:resnet10t", backbone_weights, "cpu", "int8"))


def test_vectors_are_near_those_of_fp32(
    eight_bits: Embedder, backbone_weights: Path, pictures: list[Image.Image]
) -> None:
    exact = load_embedder(ModelSource("timm:resnet10t", backbone_weights, "cpu", "fp32"))
    ours = eight_bits.embed(_pixels(eight_bits, pictures))
    theirs = exact.embed(_pixels(exact, pictures))
    assert (ours * theirs).sum(axis=1).min() > 0.98
    assert not np.array_equal(ours, theirs)
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, rtol=1e-5)


def test_a_model_that_is_replaced_leaves_nothing_behind(
    eight_bits: Embedder,  # noqa: ARG001  # the libraries' own threads go on since
    backbone_weights: Path,
) -> None:
    before = threading.active_count()
    model = load_embedder(ModelSource("timm:resnet10t", backbone_weights, "cpu", "int8"))
    network = weakref.ref(model._features)
    assert threading.active_count() > before
    del model
    gc.collect()
    assert network() is None
    until = time.monotonic() + 10
    while threading.active_count() > before:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_an_ingester_that_ran_one_ends_in_peace(
    libraries: None,  # noqa: ARG001
    backbone_weights: Path,
    shop: Shop,
) -> None:
    shop.photos(40)
    done = shop.cli("run", model="timm:resnet10t", model_weights=backbone_weights, precision="int8")
    assert done.returncode == 0, done.stderr


def test_they_are_a_space_of_their_own(eight_bits: Embedder, backbone_weights: Path) -> None:
    plain = ModelSource("timm:resnet10t", backbone_weights, "cpu", "fp32")
    quick = ModelSource("timm:resnet10t", backbone_weights, "cpu", "int8")
    assert eight_bits.fingerprint != load_embedder(plain).fingerprint
    assert source_key(quick) != source_key(plain)


def test_a_row_depends_on_its_picture_alone(
    eight_bits: Embedder, pictures: list[Image.Image]
) -> None:
    pixels = _pixels(eight_bits, pictures)
    together = eight_bits.embed(pixels)
    alone = np.concatenate([eight_bits.embed(pixels[n : n + 1]) for n in range(len(pixels))])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_many_pictures_are_seen_as_few_are(
    eight_bits: Embedder, pictures: list[Image.Image]
) -> None:
    pixels = np.concatenate([_pixels(eight_bits, pictures)] * 5)  # shares of 8, and 6 over
    many = eight_bits.embed(pixels)
    few = np.concatenate([eight_bits.embed(pixels[n : n + 6]) for n in range(0, len(pixels), 6)])
    np.testing.assert_allclose(many, few, atol=1e-6)


def test_every_load_makes_the_same_vectors(
    eight_bits: Embedder, backbone_weights: Path, pictures: list[Image.Image]
) -> None:
    again = load_embedder(ModelSource("timm:resnet10t", backbone_weights, "cpu", "int8"))
    assert again.fingerprint == eight_bits.fingerprint
    np.testing.assert_allclose(
        again.embed(_pixels(again, pictures)),
        eight_bits.embed(_pixels(again, pictures)),
        atol=1e-6,
    )


def test_classes_are_named_as_in_fp32(
    eight_bits: Embedder, backbone_weights: Path, pictures: list[Image.Image]
) -> None:
    exact = load_embedder(ModelSource("timm:resnet10t", backbone_weights, "cpu", "fp32"))
    quick = eight_bits.classify(_pixels(eight_bits, pictures), top=1)
    slow = exact.classify(_pixels(exact, pictures), top=20)
    for one, known in zip(quick, slow, strict=True):
        assert one[0].label in {prediction.label for prediction in known}


def test_clip_reads_texts_as_before(
    libraries: None,  # noqa: ARG001
    clip: Embedder,
    clip_weights: Path,
    pictures: list[Image.Image],
) -> None:
    quick = load_embedder(ModelSource(clip.spec, clip_weights, "cpu", "int8"))
    np.testing.assert_allclose(
        quick.embed_texts(["a red shoe"]), clip.embed_texts(["a red shoe"]), atol=1e-5
    )
    ours, theirs = (model.embed(_pixels(model, pictures)) for model in (quick, clip))
    assert (ours * theirs).sum(axis=1).min() > 0.95
    many = quick.embed(np.concatenate([_pixels(quick, pictures)] * 4))
    np.testing.assert_allclose(many, np.concatenate([ours] * 4), atol=1e-6)


def test_nothing_is_reported_to_the_makers_of_the_libraries(
    libraries: None,  # noqa: ARG001
    backbone_weights: Path,
) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from core.vision.models import ModelSource, load_embedder\n"
        "load_embedder(ModelSource('timm:resnet10t', Path(sys.argv[1]), 'cpu', 'int8'))\n"
        "assert sys.modules['openvino_telemetry'] is None\n"
        "assert 'nncf' in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(backbone_weights)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "nncf" not in done.stdout.lower()  # no progress bars either


def test_a_gpu_is_refused(backbone_weights: Path) -> None:
    with pytest.raises(SettingsError, match="LOOKALIKE_DEVICE=cuda"):
        load_embedder(ModelSource("timm:resnet10t", backbone_weights, "cuda", "int8"))


def test_missing_libraries_are_named(
    backbone_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(SettingsError, match=r"requirements-openvino\.txt"):
        load_embedder(ModelSource("timm:resnet10t", backbone_weights, "cpu", "int8"))


def test_dreamsim_is_refused() -> None:
    with pytest.raises(SettingsError, match="int8"):
        load_embedder(ModelSource("dreamsim:dino_vitb16", None, "cpu", "int8"))
