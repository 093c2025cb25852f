"""Device and precision, as far as this machine goes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision import transforms

from core.errors import SettingsError
from core.vision.lanes import Lanes
from core.vision.models import ModelSource
from core.vision.preprocessing import Preprocessing
from core.vision.torch_runtime import TorchRuntime, raw, to_unit_rows

PLAIN = Preprocessing(
    32, 32, "bicubic", "crop", (0.48145466, 0.4578275, 0.40821073), (0.27, 0.26, 0.28)
)


def _choose(device: str, precision: str) -> TorchRuntime:
    return TorchRuntime.choose(ModelSource("timm:any", None, device, precision))


def test_half_precision_without_a_gpu_names_the_setting() -> None:
    with pytest.raises(SettingsError, match="LOOKALIKE_PRECISION=fp16"):
        _choose("cpu", "fp16")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA GPU")
def test_cuda_without_a_gpu_names_the_setting() -> None:
    with pytest.raises(SettingsError, match="LOOKALIKE_DEVICE=cuda"):
        _choose("cuda", "auto")


def test_auto_is_bf16_only_where_the_processor_has_it() -> None:
    abilities = torch.cpu.get_capabilities()
    native = any(abilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    assert _choose("cpu", "auto").dtype == (torch.bfloat16 if native else torch.float32)


@pytest.mark.parametrize(("name", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_a_precision_asked_for_is_taken(name: str, dtype: torch.dtype) -> None:
    assert _choose("cpu", name) == TorchRuntime(torch.device("cpu"), dtype)


def test_a_batch_is_normalised_as_torchvision_does_it() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    theirs = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize(PLAIN.mean, PLAIN.std)]
    )
    ours = _choose("cpu", "fp32").normalised(raw(pixels), PLAIN)
    assert torch.equal(ours, torch.stack([theirs(picture) for picture in pixels]))


def _transformer() -> torch.nn.Module:
    return torch.nn.TransformerEncoderLayer(16, 2, batch_first=True).eval()


def _convolutions() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 4, 3)).eval()


@pytest.mark.parametrize(
    ("precision", "network", "shared_out"),
    [
        ("fp32", _transformer(), False),
        ("fp32", _convolutions(), True),
        ("bf16", _transformer(), True),
        ("bf16", _convolutions(), True),
    ],
)
def test_cores_are_given_pictures_of_their_own_where_that_is_quicker(
    precision: str, network: torch.nn.Module, shared_out: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    runtime = _choose("cpu", precision)
    half = runtime.picture_half(runtime.place(network), PLAIN)
    assert isinstance(half, Lanes) == shared_out


def test_a_row_without_length_is_not_a_number() -> None:
    rows = to_unit_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0], [float("inf"), 1.0]]))
    np.testing.assert_allclose(rows[0], [0.6, 0.8], rtol=1e-6)
    assert not np.isfinite(rows[1:]).all(axis=1).any()
