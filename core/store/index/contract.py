"""What every nearest-neighbour index promises, whichever engine is underneath."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class VectorReader(Protocol):
    """Gives stored vectors back by id."""

    def read(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Give `[len(ids), d]` float32 unit vectors; a row that is lost is all NaN."""
        ...


class VectorIndex(ABC):
    """Unit vectors under int64 ids, searched by inner product, which is their cosine.

    An index never changes: `changed` gives another one beside it, so a search that is under way is
    never disturbed.
    """

    dimension: int
    kind: str  # for people: exact, or the engine's name for the structure
    recall: float | None  # recall@10 against exact search; None: exact, or not measured

    @abstractmethod
    def __len__(self) -> int:
        """How many vectors can be found."""

    @abstractmethod
    def search(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the k nearest vectors of each query.

        Args:
            queries: `[q, dimension]` float32 of unit length.
            k: at least 1.
            allowed: sorted ids that may be found; None: all. However few, the best are found.

        Returns:
            Scores `[q, k]` float32, descending, equal scores by ascending id, and ids `[q, k]`
            int64. Where there are fewer than k, the rest are id -1 with score -inf.
        """

    @abstractmethod
    def within(
        self,
        query: NDArray[np.float32],
        threshold: float,
        allowed: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find every vector that scores at least `threshold` against a `[dimension]` query.

        Exact for every index, and as slow as comparing with every allowed vector.

        Returns:
            Scores `[n]` float32, descending, equal scores by ascending id, and ids `[n]` int64.
        """

    @abstractmethod
    def changed(
        self,
        added: NDArray[np.int64],
        vectors: NDArray[np.float32],
        removed: NDArray[np.int64],
    ) -> VectorIndex:
        """Give an index with `added` (their `vectors` are `[len(added), d]`) and less `removed`.

        Costs in proportion to the change since the index was built. An id that is both removed and
        added is replaced.
        """
