"""A forward pass on a CPU, done by its cores side by side.

Cores that work on the same pictures wait for one another after every layer, and the longer where
something else, such as decoding, takes turns with them. Given a share of the pictures each, they
never wait.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Given: TypeAlias = Any
"""What a network gives: an `[n, ...]` tensor, or a list of several, as some of timm's do."""

_SHARE: Final = 8  # pictures that a core takes at once; more do not fit its cache
_LEAST: Final = 4  # fewer, and a core is quicker done together with the others
_MOST_CORES: Final = 4  # as many as there are shares in a batch of 32


class Lanes(ABC):
    """A network that threads run side by side, each on a share of the pictures.

    Towards the end of a pass some of them find no share left. Two threads that call it together
    keep all of them busy.
    """

    def __init__(self, lanes: int, prepare: Callable[[], None] | None = None) -> None:
        # A thread keeps `prepare` as long as it lives: a method would keep the network, too.
        self._threads = ThreadPoolExecutor(lanes, "lane", prepare)

    @abstractmethod
    def __call__(self, batch: torch.Tensor) -> Given:
        """What the network gives for a batch; may be called from several threads."""

    @abstractmethod
    def _run(self, share: torch.Tensor) -> Given:
        """What the network gives for a share, in a thread of its own."""

    def _side_by_side(self, shares: Sequence[torch.Tensor]) -> Given:
        given = list(self._threads.map(self._run, shares))
        if isinstance(given[0], torch.Tensor):
            return torch.cat(given)
        return [torch.cat(alike) for alike in zip(*given, strict=True)]


def passes_at_once(network: Callable[[torch.Tensor], Given]) -> int:
    """How many threads may call a network together, and should where there is work for them."""
    return 2 if isinstance(network, Lanes) else 1


def by_lanes(
    network: Callable[[torch.Tensor], Given],
) -> Callable[[torch.Tensor], Given]:
    """Give the network, on a CPU, so that it does many pictures in lanes: a core each.

    Few are left to all cores together, and so are all where there is but one core, or so many that
    a batch has no share for each.
    """
    cores = torch.get_num_threads()
    return _TorchLanes(network, cores) if 1 < cores <= _MOST_CORES else network


class _TorchLanes(Lanes):
    def __init__(self, network: Callable[[torch.Tensor], Given], cores: int) -> None:
        super().__init__(cores, _keep_to_one_core)
        self._network = network
        self._cores = cores
        started = Barrier(cores)
        list(self._threads.map(lambda _: started.wait(), range(cores)))
        # Each has looked at this number once and for all; whoever comes later looks now. A thread
        # whose first look falls between keeps to one core: a moment, and only while a model loads.
        torch.set_num_threads(cores)

    def __call__(self, batch: torch.Tensor) -> Given:
        if len(batch) < _LEAST * self._cores:
            return self._network(batch)
        return self._side_by_side(torch.split(batch, min(_SHARE, -(-len(batch) // self._cores))))

    def _run(self, share: torch.Tensor) -> Given:
        with torch.inference_mode():
            return self._network(share)


def _keep_to_one_core() -> None:
    """Have what torch does in this thread be done by it alone."""
    torch.set_num_threads(1)
    torch.get_num_threads()  # at the first look a thread takes over what was set last
