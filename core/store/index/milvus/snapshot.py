"""The catalogue as Milvus holds it: what a query node answers from.

A view names one collection, so a request is of one space from start to end. Within it rows come
and go as the ingester carries generations over, so two searches of one request may differ by what
was published between them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core.records import STILL, Space, SpaceState
from core.store.entries import Entry
from core.store.index.milvus.collection import Facts, Hit, MilvusCollection
from core.store.index.milvus.filters import Expression, above, among, expression_of
from core.store.index.milvus.layout import (
    VECTOR,
    content_key,
    key_of,
    path_key,
    path_of_text,
    text_of_path,
)
from core.store.view import CatalogueView, Filters, Found, IndexFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable

    from numpy.typing import NDArray

MOST_COUNTED: Final = 16_384
"""Matches that facets count: the best ones, for Milvus gives no more of one search."""

_SPARE: Final = 16  # asked for beyond k, so that equal scores at the end are put in order
_ROUNDING: Final = 5e-7  # of a score
_ENTRY: Final = ("item", "at_ms", "path", "product", "attributes", "marks")


@dataclass(frozen=True)
class StoredEntry:
    """An entry with its vector."""

    entry: Entry
    vector: NDArray[np.float32]  # [d], unit length
    md5: str  # of the photo's bytes, in hex


@dataclass(frozen=True)
class MilvusSnapshot(CatalogueView):
    """One collection, as its properties describe it."""

    generation: int = 0
    space: Space | None = None
    store_id: str = ""
    collection: MilvusCollection | None = None  # None: nothing has been carried over yet
    rows: int = 0
    items: int = 0
    keys: tuple[str, ...] = ()
    has_videos: bool = False
    structure: str = ""
    recall: float | None = None

    @classmethod
    def of(cls, alias: MilvusCollection, facts: Facts | None) -> MilvusSnapshot:
        """What an alias stands for at this moment, from the facts kept of it."""
        if facts is None or "space" not in facts:
            return cls()
        collection = MilvusCollection(alias.connection, facts["name"])
        rows, has_videos = collection.count(), bool(facts.get("videos"))
        return cls(
            generation=int(facts["carried"][0]),
            space=space_of(facts["space"]),
            store_id=facts["store_id"],
            collection=collection,
            rows=rows,
            items=int(facts.get("items", rows)) if has_videos else rows,
            keys=tuple(facts.get("keys", ())),
            has_videos=has_videos,
            structure=facts.get("index", ""),
            recall=facts.get("recall"),
        )

    @property
    def problems(self) -> tuple[str, ...]:
        """See `CatalogueView.problems`."""
        return ()

    @property
    def item_count(self) -> int:
        """See `CatalogueView.item_count`."""
        return self.items

    @property
    def attribute_keys(self) -> list[str]:
        """See `CatalogueView.attribute_keys`."""
        return sorted(self.keys)

    @property
    def index_facts(self) -> IndexFacts | None:
        """See `CatalogueView.index_facts`."""
        if self.collection is None:
            return None
        recall = 1.0 if self.structure == "FLAT" else self.recall
        return IndexFacts(f"Milvus {self.structure}", self.rows, recall)

    def search(
        self,
        query: NDArray[np.float32],
        k: int,
        filters: Filters | None = None,
        excluded: Collection[int] = (),
    ) -> list[Found]:
        """See `CatalogueView.search`."""
        group = "item" if self.has_videos else None
        return self._found(query, k, expression_of(filters, without_items=excluded), group)

    def search_products(
        self,
        query: NDArray[np.float32],
        k: int,
        filters: Filters | None = None,
        excluded: Collection[int] = (),
    ) -> list[Found]:
        """See `CatalogueView.search_products`."""
        return self._found(query, k, expression_of(filters, without_items=excluded), "product")

    def search_having(self, query: NDArray[np.float32], k: int, key: str) -> list[Found]:
        """See `CatalogueView.search_having`."""
        group = "item" if self.has_videos else None
        return self._found(query, k, expression_of(having=key), group)

    def facets(
        self,
        query: NDArray[np.float32],
        threshold: float,
        filters: Filters | None = None,
        excluded: Collection[int] = (),
        *,
        by_product: bool = False,
    ) -> dict[str, list[tuple[str, int]]]:
        """See `CatalogueView.facets`; the best `MOST_COUNTED` matches are counted."""
        if self.collection is None:
            return {}
        expression = expression_of(filters, without_items=excluded)
        fields = ("item", "path", "product", "attributes")
        (hits,) = self.collection.search(
            query[None, :], MOST_COUNTED, expression, fields=fields, threshold=threshold
        )
        if by_product:
            hits = _best_of_each(hits, lambda hit: hit.fields["product"])
        elif self.has_videos:
            hits = _best_of_each(hits, lambda hit: hit.fields["item"])
        return _counted([hit.fields["attributes"] for hit in hits])

    def samples(self, count: int) -> list[Entry]:
        """See `CatalogueView.samples`; the newest of what the engine gives first."""
        if self.collection is None:
            return []
        found = self.collection.query(above("item", 0), _ENTRY, limit=count)
        return [_entry(row) for row in found]

    def find(self, path: str, at_ms: int | None = None) -> StoredEntry | None:
        """The entry of a path with its vector; of a video the moment nearest to `at_ms`."""
        if self.collection is None:
            return None
        asked = among("path_key", [path_key(path)])
        rows = self.collection.query(asked, (*_ENTRY, "md5", VECTOR))
        rows = [row for row in rows if row["path"] == text_of_path(path)]
        if not rows:
            return None
        row = min(rows, key=lambda row: abs(row["at_ms"] - (at_ms or 0)))
        return StoredEntry(_entry(row), np.asarray(row[VECTOR], np.float32), row["md5"])

    def vector_of_content(self, md5: bytes) -> NDArray[np.float32] | None:
        """The vector of a still picture's bytes, where the catalogue holds them."""
        if self.collection is None:
            return None
        asked = among("content", [content_key(md5)])
        for row in self.collection.query(asked, ("md5", "at_ms", VECTOR)):
            if row["md5"] == md5.hex() and row["at_ms"] == STILL:
                return np.asarray(row[VECTOR], np.float32)
        return None

    def _found(
        self, query: NDArray[np.float32], k: int, expression: Expression, group: str | None
    ) -> list[Found]:
        if self.collection is None:
            return []
        (hits,) = self.collection.search(
            query[None, :], k + _SPARE, expression, fields=_ENTRY, group_by=group
        )
        found = [
            Found(_entry(hit.fields), min(1.0, max(-1.0, score)))
            for hit, score in zip(hits, _settled([hit.score for hit in hits]), strict=True)
        ]
        found.sort(key=lambda match: (-match.score, match.entry.path))
        return found[:k]


def facts_of_space(space: Space) -> dict[str, Any]:
    """What a node must know of a space to load its model."""
    return {
        "id": space.id,
        "fingerprint": space.fingerprint,
        "spec": space.spec,
        "weights": space.weights,
        "dimension": space.dimension,
        "default_threshold": space.default_threshold,
    }


def space_of(facts: dict[str, Any]) -> Space:
    """The space that `facts_of_space` described; what an alias stands for is live."""
    return Space(**facts, state=SpaceState.LIVE)


def _entry(fields: dict[str, Any]) -> Entry:
    marks = fields["marks"]
    return Entry(
        item_id=int(fields["item"]),
        vector_id=key_of(int(fields["item"]), int(fields["at_ms"])),
        at_ms=int(fields["at_ms"]),
        path=path_of_text(fields["path"]),
        ambiguous=bool(marks["ambiguous"]),
        product_id=fields["product"],
        attributes=dict(sorted(fields["attributes"].items())),
        stale=bool(marks["stale"]),
    )


def _best_of_each(hits: list[Hit], key: Callable[[Hit], Hashable]) -> list[Hit]:
    scores = _settled([hit.score for hit in hits])
    ordered = sorted(
        zip(scores, hits, strict=True),
        key=lambda pair: (-pair[0], path_of_text(pair[1].fields["path"]), pair[1].key),
    )
    best: dict[Hashable, Hit] = {}
    for _, hit in ordered:
        best.setdefault(key(hit), hit)
    return list(best.values())


def _settled(scores: list[float]) -> list[float]:
    """Descending scores, those that differ by rounding alone made equal.

    Copies of a picture have the same vector in rows of their own, and an engine that adds up in
    another order for each gives them scores that differ in the last digit.
    """
    settled = list[float]()
    before = np.inf
    for score in scores:
        settled.append(settled[-1] if before - score <= _ROUNDING else score)
        before = score
    return settled


def _counted(rows: list[dict[str, str]]) -> dict[str, list[tuple[str, int]]]:
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        for key, value in row.items():
            counts.setdefault(key, Counter())[value] += 1
    return {
        key: sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
        for key, found in sorted(counts.items())
    }
