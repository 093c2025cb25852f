"""What a request sees of a catalogue, whichever index answers: one contract for all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from core.records import Space
    from core.store.entries import Entry

Filters = dict[str, Sequence[str]]
"""Attribute key -> values: any of a key's values, and so for every key."""


@dataclass(frozen=True)
class Found:
    """One entry and how near it is."""

    entry: Entry
    score: float  # cosine, -1 to 1


@dataclass(frozen=True)
class IndexFacts:
    """What the index being searched is, for people."""

    kind: str
    vectors: int
    recall: float | None  # recall@10 against exact search; None: exact, or not measured


class CatalogueView(ABC):
    """One state of the catalogue, searched from any thread; a request uses it from start to end."""

    generation: int
    space: Space | None  # None: nothing has been ingested yet
    store_id: str  # another one where another store took this one's place

    @property
    @abstractmethod
    def problems(self) -> tuple[str, ...]:
        """What is damaged, each a sentence."""

    @property
    @abstractmethod
    def item_count(self) -> int:
        """How many items can be found."""

    @property
    @abstractmethod
    def attribute_keys(self) -> list[str]:
        """The attributes that items have, sorted."""

    @property
    @abstractmethod
    def index_facts(self) -> IndexFacts | None:
        """What the index is; None: there is none yet."""

    @abstractmethod
    def search(
        self,
        query: NDArray[np.float32],
        k: int,
        filters: Filters | None = None,
        excluded: Collection[int] = (),
    ) -> list[Found]:
        """Find the k nearest items of a `[d]` unit vector, best first, equal scores by path.

        With `filters` an item must have one of the values of every key; however few do, the k
        best of them are found. The `excluded` items are left out. A video is found once, by its
        best moment.
        """

    @abstractmethod
    def search_products(
        self,
        query: NDArray[np.float32],
        k: int,
        filters: Filters | None = None,
        excluded: Collection[int] = (),
    ) -> list[Found]:
        """Like `search`, one entry for each product: its best. Gives the k nearest products."""

    @abstractmethod
    def search_having(self, query: NDArray[np.float32], k: int, key: str) -> list[Found]:
        """Like `search`, among the items that have an attribute of this key."""

    @abstractmethod
    def facets(
        self,
        query: NDArray[np.float32],
        threshold: float,
        filters: Filters | None = None,
        excluded: Collection[int] = (),
        *,
        by_product: bool = False,
    ) -> dict[str, list[tuple[str, int]]]:
        """Count the attribute values of the items at or above the threshold, after filters.

        By product, each product counts once, with the attributes of its best entry. The most
        frequent value of a key comes first.
        """

    @abstractmethod
    def samples(self, count: int) -> list[Entry]:
        """About `count` entries from all over the catalogue."""
