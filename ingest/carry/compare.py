"""Does Milvus hold what the catalog says? Compares every row with every field, and mends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from core.store.index.milvus.connection import STRONG
from core.store.index.milvus.filters import not_among
from core.store.index.milvus.layout import SCALARS, VECTOR, Row, keys_of_items
from core.store.index.ranking import best
from ingest.carry.rows import WHOLE, Rows, has_moments

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from core.store.index.milvus.collection import MilvusCollection
    from ingest.carry.carrier import Carrier

_ITEMS_AT_ONCE: Final = 2_000
_ROUNDING: Final = 1e-6  # of one number of a vector on its way
_QUERIES: Final = 100  # catalogue vectors that recall is measured with
_K: Final = 10
_NAMED: Final = 3  # differences that are named in the report


@dataclass
class Comparison:
    """What was compared, and how the two differed."""

    rows: int = 0  # that the catalog has
    missing: int = 0  # rows that Milvus lacked
    different: int = 0  # rows with another field or vector
    surplus: int = 0  # rows that the catalog does not have
    refused: dict[int, str] = field(default_factory=dict)  # keys that Milvus must not have: why
    unreadable: int = 0  # rows whose segment is damaged, so that they could not be compared
    examples: list[str] = field(default_factory=list)
    recall: float | None = None  # recall@10 against exact search; None: exact

    @property
    def differences(self) -> int:
        """How many rows differed."""
        return self.missing + self.different + self.surplus


def compare(carrier: Carrier) -> Comparison:
    """Compare the live space's collection with the catalog, row by row, and mend what differs.

    The collection has been carried up to the catalog's generation, and the caller holds the lock.

    Raises:
        IndexUnavailableError: Milvus is gone; what was mended before stays.
    """
    found = Comparison()
    space = carrier.catalog.live_space()
    if space is None:
        return found
    collection, source = carrier.collection_of(space), carrier.source_of(space)
    facts = collection.facts() or {}
    exact = facts.get("index") == "FLAT"
    recall = None if exact else _Recall(source.sample(_QUERIES))
    keys, videos = set[str](), False
    items, after = source.counts()
    for first in range(0, after, _ITEMS_AT_ONCE):
        rows = source.between(first, first + _ITEMS_AT_ONCE)
        keys.update(key for row in rows.good for key in row.attributes)
        videos = videos or has_moments(rows.good)
        low, high = keys_of_items(first, first + _ITEMS_AT_ONCE)
        low = -WHOLE if first == 0 else low
        high = WHOLE if first + _ITEMS_AT_ONCE >= after else high
        _mend(collection, _Range(low, high), rows, found)
        if recall is not None:
            recall.see(rows.good)
    if recall is not None:
        found.recall = recall.measure(collection)
    collection.keep(
        {"keys": sorted(keys), "videos": videos, "items": items, "recall": found.recall}
    )
    return found


@dataclass(frozen=True)
class _Range:
    low: int  # keys from here
    high: int  # to below here


def _mend(collection: MilvusCollection, keys: _Range, rows: Rows, found: Comparison) -> None:
    wanted = {row.key: row for row in rows.good}
    found.rows += len(wanted) + len(rows.unreadable)
    found.unreadable += len(rows.unreadable)
    found.refused |= rows.refused
    surplus, different = list[int](), list[Row]()
    for held in collection.rows(keys.low, keys.high, (*SCALARS[1:], VECTOR)):
        key = held["pk"]
        row = wanted.pop(key, None)
        if row is not None:
            where = _difference(row, held, tags_as_text=collection.tags_as_text)
            if where is not None:
                different.append(row)
                _name(found, f"{row.path}: another {where}.")
        elif key not in rows.unreadable:
            surplus.append(key)
            _name(found, f"{held['path']}: the catalog does not have it.")
    for row in wanted.values():
        _name(found, f"{row.path}: missing.")
    found.missing += len(wanted)
    found.different += len(different)
    found.surplus += len(surplus)
    collection.upsert([*wanted.values(), *different])
    collection.delete(surplus)


def _difference(row: Row, held: dict[str, Any], *, tags_as_text: bool) -> str | None:
    """The first field that is not as the catalog has it."""
    for name, value in row.scalars(tags_as_text=tags_as_text).items():
        there = held[name]
        if (list(there) if isinstance(value, list) else there) != value:
            return name
    if not np.allclose(np.asarray(held[VECTOR], np.float32), row.vector, rtol=0, atol=_ROUNDING):
        return VECTOR
    return None


def _name(found: Comparison, example: str) -> None:
    if len(found.examples) < _NAMED:
        found.examples.append(example)


class _Recall:
    """The true nearest of some catalogue vectors, found while every vector passes by."""

    def __init__(self, sample: list[Row]) -> None:
        self._keys = np.array([row.key for row in sample], np.int64)
        self._queries = (
            np.stack([row.vector for row in sample]) if sample else np.empty((0, 0), np.float32)
        )
        self._scores = np.empty((len(sample), 0), np.float32)
        self._ids = np.empty((len(sample), 0), np.int64)

    def see(self, rows: list[Row]) -> None:
        """Take some rows into account."""
        if not rows or not len(self._keys):
            return
        ids = np.array([row.key for row in rows], np.int64)
        scores = self._queries @ np.stack([row.vector for row in rows]).T
        scores[self._keys[:, None] == ids[None, :]] = -np.inf  # none is its own neighbour
        both = np.broadcast_to(ids, scores.shape)
        self._scores, self._ids = best(
            np.concatenate([self._scores, scores], axis=1),
            np.concatenate([self._ids, both], axis=1),
            _K,
        )

    def measure(self, collection: MilvusCollection) -> float | None:
        """The share of the true neighbours that a search finds; None: there are none."""
        hits = wanted = 0
        for place, query in enumerate(self._queries):
            (found,) = collection.search(
                query[None], _K, not_among("pk", [int(self._keys[place])]), consistency=STRONG
            )
            true = _held(self._ids[place])
            least = float(self._scores[place, : len(true)].min(initial=np.inf))
            # Whoever ties with the last of the true ones may stand in its place.
            near = sum(hit.score >= least - _ROUNDING for hit in found)
            hits, wanted = hits + min(near, len(true)), wanted + len(true)
        return hits / wanted if wanted else None


def _held(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    return ids[ids >= 0]
