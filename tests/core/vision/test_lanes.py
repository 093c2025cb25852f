"""Cores do many pictures side by side, a share each."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
import torch

from core.vision.lanes import by_lanes

if TYPE_CHECKING:
    from collections.abc import Iterator


class Probe:
    """A network whose answer is its input's double, and that notes who asked it for how much."""

    def __init__(self) -> None:
        self.shares: list[tuple[str, int, int]] = []  # thread, its cores, pictures

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        assert torch.is_inference_mode_enabled()
        name = threading.current_thread().name
        self.shares.append((name, torch.get_num_threads(), len(batch)))
        return 2 * batch


@pytest.fixture
def two_cores() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_cores")
@pytest.mark.parametrize(
    ("pictures", "sizes"), [(8, [4, 4]), (13, [6, 7]), (32, [8, 8, 8, 8]), (35, [3, 8, 8, 8, 8])]
)
def test_many_are_shared_out(pictures: int, sizes: list[int]) -> None:
    probe = Probe()
    batch = torch.arange(pictures)
    with torch.inference_mode():
        assert torch.equal(by_lanes(probe)(batch), 2 * batch)
    assert sorted(size for _, _, size in probe.shares) == sizes
    assert {cores for _, cores, _ in probe.shares} == {1}
    assert all(name.startswith("lane") for name, _, _ in probe.shares)


@pytest.mark.usefixtures("two_cores")
def test_several_maps_of_each_picture_are_joined_one_by_one() -> None:
    lanes = by_lanes(lambda batch: [batch, -batch])  # as timm's crossvit gives two
    with torch.inference_mode():
        one, other = lanes(torch.arange(13))
    assert torch.equal(one, torch.arange(13))
    assert torch.equal(other, -torch.arange(13))


@pytest.mark.usefixtures("two_cores")
def test_few_are_left_to_all_cores_together() -> None:
    probe = Probe()
    lanes = by_lanes(probe)
    with torch.inference_mode():
        lanes(torch.arange(32))
        probe.shares.clear()
        lanes(torch.arange(7))
    assert probe.shares == [(threading.current_thread().name, 2, 7)]
    others = list[int]()
    later = threading.Thread(target=lambda: others.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert others == [2]


@pytest.mark.parametrize("cores", [1, 8])
def test_one_core_and_many_keep_the_network_as_it_is(
    cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    probe = Probe()
    assert by_lanes(probe) is probe


@pytest.mark.usefixtures("two_cores")
def test_what_fails_in_a_lane_is_told() -> None:
    def broken(batch: torch.Tensor) -> torch.Tensor:
        raise RuntimeError(f"cannot do {len(batch)}")

    with pytest.raises(RuntimeError, match="cannot do 5"):
        by_lanes(broken)(torch.arange(10))
