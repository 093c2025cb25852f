"""Specs, thresholds and the key that names a model without loading it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import ModelLoadError, UnknownModelError
from core.settings import Settings
from core.vision.models import (
    FAMILIES,
    THRESHOLDS,
    ModelSource,
    default_threshold,
    find_family,
    load_embedder,
    source_key,
)


@pytest.mark.parametrize(
    "spec", ["", "nix", "classic:x", "open_clip", "timm:", "Classic", "clip:a"]
)
def test_a_spec_of_no_family_is_refused_with_examples(spec: str) -> None:
    source = ModelSource(spec, None)
    for use in (find_family, load_embedder, source_key):
        with pytest.raises(UnknownModelError, match=r"LOOKALIKE_MODEL=.*open_clip:ViT-B-32/"):
            use(source)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_example_is_of_its_family(family: object) -> None:
    source = ModelSource(family.example, None)  # type: ignore[attr-defined]
    assert find_family(source) is family


def test_the_settings_choose_the_model(tmp_path: Path) -> None:
    settings = Settings(
        model="timm:resnet10t", model_weights=tmp_path, device="cpu", precision="bf16"
    )
    assert ModelSource.from_settings(settings) == ModelSource(
        "timm:resnet10t", tmp_path, "cpu", "bf16"
    )


def test_a_threshold_of_one_model_goes_before_its_familys() -> None:
    one = default_threshold(ModelSource("timm:mobilenetv2_100.ra_in1k", None))
    family = default_threshold(ModelSource("timm:resnet10t", None))
    assert one != family
    with pytest.raises(UnknownModelError):
        default_threshold(ModelSource("nix", None))


def test_the_key_is_stable_and_ignores_how_the_model_runs(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(b"weights")
    source = ModelSource("timm:resnet10t", path, "cpu", "fp32")
    same = ModelSource("timm:resnet10t", tmp_path / "." / "w.pt", "auto", "bf16")
    assert source_key(source) == source_key(same)


def test_the_key_changes_with_spec_file_size_time_and_place(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(b"weights")
    source = ModelSource("timm:resnet10t", path)
    keys = [source_key(source), source_key(ModelSource("timm:resnet18", path))]
    keys.append(source_key(ModelSource("timm:resnet10t", None)))
    os.utime(path, ns=(1, 1))
    keys.append(source_key(source))
    path.write_bytes(b"other weights")
    os.utime(path, ns=(1, 1))
    keys.append(source_key(source))
    (tmp_path / "copy.pt").write_bytes(b"other weights")
    os.utime(tmp_path / "copy.pt", ns=(1, 1))
    keys.append(source_key(ModelSource("timm:resnet10t", tmp_path / "copy.pt")))
    assert len(set(keys)) == len(keys)


def test_the_key_of_missing_or_needless_weights_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"LOOKALIKE_MODEL_WEIGHTS=.*cannot be read"):
        source_key(ModelSource("timm:resnet10t", tmp_path / "nowhere.pt"))
    with pytest.raises(ModelLoadError, match="is not a file"):
        source_key(ModelSource("timm:resnet10t", tmp_path))
    with pytest.raises(ModelLoadError, match="leave LOOKALIKE_MODEL_WEIGHTS empty"):
        source_key(ModelSource("classic", tmp_path))


def _run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[3],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )


def test_neither_the_key_nor_classic_loads_torch() -> None:
    done = _run(
        "import sys\n"
        "from core.vision.models import ModelSource, load_embedder, source_key\n"
        "source_key(ModelSource('open_clip:ViT-B-32/openai', None))\n"
        "load_embedder(ModelSource('classic', None))\n"
        "print([m for m in ('torch', 'timm', 'open_clip') if m in sys.modules])\n"
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(sys.platform != "linux", reason="another OpenMP library than GNU's")
@pytest.mark.parametrize(
    ("environment", "spins"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "77"}, "77"), ({"OMP_WAIT_POLICY": "passive"}, "0")],
)
def test_threads_of_a_model_wait_awake_but_shortly(
    environment: dict[str, str], spins: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the operator says goes first; the library itself tells what it goes by."""
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    done = _run(
        "from core.vision.models import ModelSource, load_embedder\n"
        "load_embedder(ModelSource('compact', None))\n",
        OMP_DISPLAY_ENV="verbose",
        **environment,
    )
    assert f"GOMP_SPINCOUNT = '{spins}'" in done.stderr


def test_the_documentation_has_every_family_with_its_threshold() -> None:
    text = (Path(__file__).parents[3] / "docs" / "models.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    for spec, threshold in [
        *(
            (family.example, default_threshold(ModelSource(family.example, None)))
            for family in FAMILIES
        ),
        *THRESHOLDS,
    ]:
        assert any(f"`{spec}`" in row and row.endswith(f"| {threshold:.2f} |") for row in rows), (
            spec
        )
