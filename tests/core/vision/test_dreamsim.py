"""DreamSim through its package, with weights in the files that the package expects."""

from __future__ import annotations

import itertools
import shutil
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from core.errors import ModelLoadError, UnknownModelError
from core.vision.dreamsim import WEIGHTS
from core.vision.models import ModelSource, load_embedder, source_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PIL import Image

    from core.vision.embedder import Embedder

SPEC = "dreamsim:clip_vitb32"


def package_distances(kind: str, folder: Path, pictures: list[Image.Image]) -> list[float]:
    """What the package itself makes of each pair of neighbours."""
    from dreamsim import dreamsim  # noqa: PLC0415  # optional

    hub = torch.hub.get_dir()
    model, preprocess = dreamsim(device="cpu", cache_dir=str(folder), dreamsim_type=kind)
    torch.hub.set_dir(hub)
    with torch.inference_mode():
        return [
            float(model(preprocess(one), preprocess(other)))
            for one, other in itertools.pairwise(pictures)
        ]


def our_distances(embedder: Embedder, pictures: list[Image.Image]) -> list[float]:
    vectors = embedder.embed(np.stack([embedder.prepare(picture) for picture in pictures]))
    return [float(1 - one @ other) for one, other in itertools.pairwise(vectors)]


def test_distances_are_those_of_the_package(
    dreamsim: Embedder, dreamsim_folder: Path, pictures: list[Image.Image]
) -> None:
    theirs = package_distances("clip_vitb32", dreamsim_folder, pictures)
    assert our_distances(dreamsim, pictures) == pytest.approx(theirs, abs=2e-5)
    assert max(theirs) > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(set(WEIGHTS) - {"clip_vitb32"}))
def test_every_model_type_gives_the_distances_of_the_package(
    dreamsim_weights: Callable[[str], Path], pictures: list[Image.Image], kind: str
) -> None:
    folder = dreamsim_weights(kind)
    source = ModelSource(f"dreamsim:{kind}", folder, "cpu", "fp32")
    embedder = load_embedder(source)
    theirs = package_distances(kind, folder, pictures)
    assert our_distances(embedder, pictures) == pytest.approx(theirs, abs=2e-5)
    # Nothing that is drawn at random on loading may name the space.
    assert load_embedder(source).fingerprint == embedder.fingerprint


def test_pixels_are_prepared_as_the_package_does(
    dreamsim: Embedder, dreamsim_folder: Path, pictures: list[Image.Image]
) -> None:
    from dreamsim import dreamsim as load_package  # noqa: PLC0415  # optional

    _, preprocess = load_package(
        device="cpu", cache_dir=str(dreamsim_folder), dreamsim_type="clip_vitb32"
    )
    for picture in pictures:
        theirs = preprocess(picture)[0].permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(dreamsim.prepare(picture), np.rint(theirs * 255))


def test_half_precision_keeps_distances_near(
    dreamsim: Embedder, dreamsim_folder: Path, pictures: list[Image.Image]
) -> None:
    half = load_embedder(ModelSource(SPEC, dreamsim_folder, "cpu", "bf16"))
    assert our_distances(half, pictures) == pytest.approx(
        our_distances(dreamsim, pictures), abs=0.02
    )
    assert half.fingerprint == dreamsim.fingerprint


def test_another_fine_tuning_is_another_space(
    dreamsim: Embedder, dreamsim_folder: Path, tmp_path: Path
) -> None:
    weights, adapter = WEIGHTS["clip_vitb32"]
    (tmp_path / weights).symlink_to(dreamsim_folder / weights)
    shutil.copytree(dreamsim_folder / adapter, tmp_path / adapter)
    file = tmp_path / adapter / "adapter_model.safetensors"
    save_file({name: values * 1.5 for name, values in load_file(file).items()}, file)
    other = load_embedder(ModelSource(SPEC, tmp_path, "cpu", "fp32"))
    assert other.fingerprint != dreamsim.fingerprint
    assert other.dimension == dreamsim.dimension


def test_loading_prints_nothing_on_standard_output(
    dreamsim_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = torch.hub.get_dir()
    load_embedder(ModelSource(SPEC, dreamsim_folder, "cpu", "fp32"))
    assert capsys.readouterr().out == ""
    assert torch.hub.get_dir() == hub


def test_a_folder_that_lacks_files_is_an_error_naming_them(tmp_path: Path) -> None:
    pytest.importorskip("dreamsim")
    with pytest.raises(ModelLoadError) as caught:
        load_embedder(ModelSource(SPEC, tmp_path, "cpu", "fp32"))
    for part in ("LOOKALIKE_MODEL_WEIGHTS", *WEIGHTS["clip_vitb32"], "Without a network"):
        assert part in str(caught.value)


def test_damaged_weights_are_an_error_naming_the_settings(
    dreamsim_folder: Path, tmp_path: Path
) -> None:
    weights, adapter = WEIGHTS["clip_vitb32"]
    (tmp_path / weights).write_bytes(b"damaged")
    (tmp_path / adapter).symlink_to(dreamsim_folder / adapter)
    with pytest.raises(ModelLoadError, match="LOOKALIKE_MODEL_WEIGHTS"):
        load_embedder(ModelSource(SPEC, tmp_path, "cpu", "fp32"))


def test_a_download_that_fails_is_an_error_that_says_the_way_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("dreamsim")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(ModelLoadError) as caught:
        load_embedder(ModelSource(SPEC, None, "cpu", "fp32"))
    assert "LOOKALIKE_MODEL_WEIGHTS" in str(caught.value)
    assert str(tmp_path / "hub" / "dreamsim") in str(caught.value)


def test_without_the_package_the_error_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dreamsim", None)
    with pytest.raises(ModelLoadError, match=r"pip install -r requirements-dreamsim\.txt"):
        load_embedder(ModelSource(SPEC, tmp_path, "cpu", "fp32"))


def test_an_unknown_model_type_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="dinov2_vitb14"):
        load_embedder(ModelSource("dreamsim:vgg", tmp_path, "cpu", "fp32"))


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    file.write_bytes(b"")
    with pytest.raises(ModelLoadError, match="is not a folder"):
        load_embedder(ModelSource(SPEC, file, "cpu", "fp32"))


def test_the_key_of_a_folder_changes_with_its_files(tmp_path: Path) -> None:
    (tmp_path / "lora").mkdir()
    (tmp_path / "lora" / "a.bin").write_bytes(b"1")
    before = source_key(ModelSource(SPEC, tmp_path))
    assert source_key(ModelSource(SPEC, tmp_path)) == before
    (tmp_path / "lora" / "a.bin").write_bytes(b"22")
    assert source_key(ModelSource(SPEC, tmp_path)) != before
