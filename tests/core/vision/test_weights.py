"""Reading weights files, good and bad, with real files."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import timm
import torch
from safetensors.torch import save_file

from core.errors import ModelLoadError
from core.vision.models import ModelSource, load_embedder
from core.vision.weights import fill, read_state_dict, weights_hash

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "test_resnet"
SPEC = f"timm:{NAME}"


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    made: dict[str, torch.Tensor] = timm.create_model(NAME).state_dict()
    return {name: value.clone() for name, value in made.items()}


def _save(state: dict[str, torch.Tensor], path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


def _fingerprint(path: Path) -> str:
    return load_embedder(ModelSource(SPEC, path, "cpu")).fingerprint


def test_the_fingerprint_is_the_same_in_every_wrapping(
    state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    plain = _fingerprint(_save(state, tmp_path / "plain.pt"))
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "loop.pt")
    torch.save({"module." + k: v for k, v in state.items()}, tmp_path / "parallel.pth")
    torch.save(
        {"model": {"_orig_mod." + k: v for k, v in state.items()}, "optimizer": [1]},
        tmp_path / "compiled.bin",
    )
    _save(state, tmp_path / "safe.safetensors")
    for name in ("loop.pt", "parallel.pth", "compiled.bin", "safe.safetensors"):
        assert _fingerprint(tmp_path / name) == plain


def test_half_precision_files_load_and_hash_by_value(
    state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    for dtype in (torch.float16, torch.bfloat16):
        half = {k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}
        full = {k: v.float() if v.is_floating_point() else v for k, v in half.items()}
        a = _fingerprint(_save(half, tmp_path / "half.safetensors"))
        assert a == _fingerprint(_save(half, tmp_path / "half.pt"))
        assert a == _fingerprint(_save(full, tmp_path / "full.pt"))


def test_the_fingerprint_changes_with_one_weight(
    state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    before = _fingerprint(_save(state, tmp_path / "before.pt"))
    state = {name: value.clone() for name, value in state.items()}
    state["conv1.0.weight"].view(-1)[5] += 1e-3
    assert _fingerprint(_save(state, tmp_path / "after.pt")) != before


def test_the_hash_ignores_training_counters(state: dict[str, torch.Tensor]) -> None:
    model = timm.create_model(NAME)
    fill(model, {k: v for k, v in state.items() if "num_batches" not in k}, SPEC)
    before = weights_hash(model)
    counter = next(k for k in state if k.endswith("num_batches_tracked"))
    fill(model, {**state, counter: torch.tensor(99)}, SPEC)
    assert weights_hash(model) == before


def test_a_missing_entry_is_named(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = _save({k: v for k, v in state.items() if k != "bn1.weight"}, tmp_path / "w.pt")
    with pytest.raises(ModelLoadError, match=r"1 missing, for instance bn1\.weight"):
        read_and_load(path)


def test_an_unexpected_entry_is_named(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = _save({**state, "extra.bias": torch.zeros(3)}, tmp_path / "w.pt")
    with pytest.raises(ModelLoadError, match=r"1 unexpected, for instance extra\.bias"):
        read_and_load(path)


def test_another_shape_is_named(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = _save({**state, "bn1.weight": torch.zeros(3)}, tmp_path / "w.pt")
    with pytest.raises(ModelLoadError, match=r"bn1\.weight \[3\] instead of \[\d+\]"):
        read_and_load(path)


def read_and_load(path: Path) -> None:
    load_embedder(ModelSource(SPEC, path))


class _Dangerous:
    """Unpickling it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


BAD: dict[str, Callable[[Path], object]] = {
    "empty.pt": lambda p: p.write_bytes(b""),
    "empty.safetensors": lambda p: p.write_bytes(b""),
    "text.pt": lambda p: p.write_text("<html>404 not found</html>"),
    "text.safetensors": lambda p: p.write_text("version https://git-lfs.github.com/spec/v1"),
    "list.pt": lambda p: torch.save([torch.zeros(2)], p),
    "number.pt": lambda p: torch.save({"a": 3}, p),
    "nothing.pt": lambda p: torch.save({}, p),
    "model.pt": lambda p: torch.save(torch.nn.Linear(2, 2), p),
    "script.pt": lambda p: torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(p)),
    "dangerous.pt": lambda p: torch.save({"a": _Dangerous(p.with_name("proof"))}, p),
    "folder.pt": lambda p: p.mkdir(),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*TorchScript:UserWarning")
@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("spec", [SPEC, "open_clip:ViT-S-32-alt"])
def test_a_bad_file_is_an_error_that_names_it(name: str, spec: str, tmp_path: Path) -> None:
    BAD[name](tmp_path / name)
    with pytest.raises(ModelLoadError, match="LOOKALIKE_MODEL_WEIGHTS=") as caught:
        load_embedder(ModelSource(spec, tmp_path / name))
    assert name in str(caught.value)
    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_file_cut_short_is_damaged(
    state: dict[str, torch.Tensor], tmp_path: Path, suffix: str
) -> None:
    path = _save(state, tmp_path / f"w{suffix}")
    whole = path.read_bytes()
    for share in (0.001, 0.3, 0.9, 0.9999):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ModelLoadError, match="damaged"):
            read_state_dict(path)


@pytest.mark.parametrize("spec", [SPEC, "open_clip:ViT-S-32-alt"])
def test_a_missing_file_is_named(spec: str, tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"LOOKALIKE_MODEL_WEIGHTS=.*nowhere\.pt.*No such"):
        load_embedder(ModelSource(spec, tmp_path / "nowhere.pt"))


_HUB_SCRIPT = """
import sys
from core.errors import ModelLoadError
from core.vision.models import ModelSource, load_embedder
for spec in sys.argv[1:]:
    try:
        load_embedder(ModelSource(spec, None))
    except ModelLoadError as error:
        print(error)
"""


def _load_from(endpoint: str, home: Path, *specs: str) -> tuple[list[str], float]:
    """The error of each spec with the hub elsewhere, and the seconds all of them took."""
    environment = os.environ | {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "TORCH_HOME": str(home),
        "NO_PROXY": "*",
    }
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", _HUB_SCRIPT, *specs],
        env=environment,
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout.splitlines(), time.monotonic() - started


def test_an_unreachable_hub_is_an_error_soon_that_names_the_offline_way(tmp_path: Path) -> None:
    specs = ["timm:mobilenetv2_100", "open_clip:ViT-B-32/laion2b_s34b_b79k"]
    lines, seconds = _load_from("http://127.0.0.1:9", tmp_path, *specs)
    assert seconds < 60
    assert len(lines) == 2
    for spec, line in zip(specs, lines, strict=True):
        assert f"LOOKALIKE_MODEL={spec!r} could not be fetched" in line
        assert "http://127.0.0.1:9" in line
        assert "LOOKALIKE_MODEL_WEIGHTS" in line


@pytest.mark.slow
def test_a_hub_that_never_answers_is_an_error_within_two_minutes(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        lines, seconds = _load_from(endpoint, tmp_path, "timm:mobilenetv2_100")
    assert seconds < 90
    assert "is not reachable" in lines[0]
