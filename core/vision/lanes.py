"""A forward pass on a CPU, done by its cores side by side.

Cores that work on the same pictures wait for one another after every layer, and the longer where
something else, such as decoding, takes turns with them. Given a share of the pictures each, they
never wait.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SHARE: Final = 8  # pictures that a core takes at once; more do not fit its cache
_LEAST: Final = 4  # fewer, and a core is quicker done together with the others
_MOST_CORES: Final = 4  # as many as there are shares in a batch of 32


class Lanes(ABC):
    """A network that threads run side by side, each on a share of the pictures.

    Towards the end of a pass some of them find no share left. Two threads that call it together
    keep all of them busy.
    """

    def __init__(self, lanes: int, prepare: Callable[[], None]) -> None:
        self._threads = ThreadPoolExecutor(lanes, "lane", prepare)

    @abstractmethod
    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """What the network gives for a batch; may be called from several threads."""

    @abstractmethod
    def _run(self, share: torch.Tensor) -> torch.Tensor:
        """What the network gives for a share, in a thread of its own."""

    def _side_by_side(self, shares: Sequence[torch.Tensor]) -> torch.Tensor:
        return torch.cat(list(self._threads.map(self._run, shares)))


def passes_at_once(network: Callable[[torch.Tensor], torch.Tensor]) -> int:
    """How many threads may call a network together, and should where there is work for them."""
    return 2 if isinstance(network, Lanes) else 1


def by_lanes(
    network: Callable[[torch.Tensor], torch.Tensor],
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Give the network, on a CPU, so that it does many pictures in lanes: a core each.

    Few are left to all cores together, and so are all where there is but one core, or so many that
    a batch has no share for each.
    """
    cores = torch.get_num_threads()
    return _TorchLanes(network, cores) if 1 < cores <= _MOST_CORES else network


class _TorchLanes(Lanes):
    def __init__(self, network: Callable[[torch.Tensor], torch.Tensor], cores: int) -> None:
        super().__init__(cores, _keep_to_one_core)
        self._network = network
        self._cores = cores
        started = Barrier(cores)
        list(self._threads.map(lambda _: started.wait(), range(cores)))
        # Each has looked at this number once and for all; whoever comes later looks now.
        torch.set_num_threads(cores)

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        if len(batch) < _LEAST * self._cores:
            return self._network(batch)
        return self._side_by_side(torch.split(batch, min(_SHARE, -(-len(batch) // self._cores))))

    def _run(self, share: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return self._network(share)


def _keep_to_one_core() -> None:
    """Have what torch does in this thread be done by it alone."""
    torch.set_num_threads(1)
    torch.get_num_threads()  # at the first look a thread takes over what was set last
