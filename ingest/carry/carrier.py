"""After a commit: what changed in the catalog, written to Milvus in the order of generations.

Write order: rows written, rows deleted, then the position kept in the collection's properties. A
kill between any two leaves an older position, and what is done again then writes the same rows
under the same keys. When another space goes live its collection is filled beside the one that
answers, and the alias is moved once it is whole.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from core.errors import IndexConflictError
from core.records import STILL
from core.store.index.milvus.collection import MOST_HITS, MilvusCollection
from core.store.index.milvus.connection import STRONG, MilvusAddress, MilvusConnection
from core.store.index.milvus.filters import Expression, above, among
from core.store.index.milvus.layout import collection_name, key_of
from core.store.index.milvus.snapshot import facts_of_space
from ingest.carry.rows import NOTHING, WHOLE, Position, Rows, RowSource, has_moments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.records import Space
    from core.settings import Settings
    from core.store.catalog import Catalog
    from core.store.index.milvus.collection import Facts

logger = logging.getLogger(__name__)

_ITEMS_AT_ONCE: Final = 1_000
_SEALED_ROWS: Final = 1_000
_KEPT_EVERY: Final = 10  # chunks: how often the position is kept on the way
_STRAGGLERS_S: Final = 120.0  # requests that began on a collection before the alias was moved


@dataclass
class Carried:
    """What was written, and what was kept back."""

    items: int = 0
    rows: int = 0
    deleted: int = 0
    refused: dict[int, str] = field(default_factory=dict)  # keys that Milvus must not have: why


class Carrier:
    """Keeps Milvus in step with one catalog; the caller holds the ingest lock."""

    def __init__(self, settings: Settings, catalog: Catalog, *, take_over: bool = False) -> None:
        """Nothing is asked of Milvus yet.

        Args:
            settings: address, alias and structure.
            catalog: what is carried over.
            take_over: move the alias even if another store has it.
        """
        self.connection = MilvusConnection(MilvusAddress.from_settings(settings))
        self.catalog = catalog
        self._settings = settings
        self._alias = settings.milvus_alias
        self._take_over = take_over
        self._source: tuple[int, RowSource] | None = None

    def close(self) -> None:
        """Let go of the connection."""
        self.connection.close()

    def carry(self) -> Carried:
        """Carry everything over that has been published.

        Raises:
            IndexUnavailableError: Milvus is gone; what is missing is carried over next time.
            IndexConflictError: another store has the alias.
        """
        carried = Carried()
        space = self.catalog.live_space()
        if space is None:
            return carried
        self._check_alias()
        collection = self.collection_of(space)
        facts = collection.facts() or self._create(collection, space)
        target = self.catalog.generation()
        position: Position = (facts["carried"][0], facts["carried"][1])
        if position[0] > target:
            # The catalog is an older one, from a backup: what is newer here never was.
            position = NOTHING
            collection.keep({"carried": list(position)})
            collection.delete(self._keys_of_all(collection))
        if position < (target, WHOLE):
            self._carry(collection, facts, position, target, carried)
        self._point_alias(collection.name)
        return carried

    def collection_of(self, space: Space) -> MilvusCollection:
        """The collection of a space of this store, made or not."""
        name = collection_name(self._alias, space.fingerprint, self.catalog.store_id())
        return MilvusCollection(self.connection, name)

    def source_of(self, space: Space) -> RowSource:
        """What gives the rows of a space."""
        if self._source is None or self._source[0] != space.id:
            self._source = space.id, RowSource(self.catalog, space)
        return self._source[1]

    def tidy(self) -> None:
        """Free the memory of this store's other collections; delete those of spaces long gone."""
        space = self.catalog.live_space()
        if space is None:
            return
        live, store_id = self.collection_of(space).name, self.catalog.store_id()
        for name in self.connection.call("list_collections"):
            if not name.startswith(f"{self._alias}_") or name == live:
                continue
            old = MilvusCollection(self.connection, name)
            facts = old.facts() or {}
            if facts.get("store_id") != store_id:
                continue
            if time.time() - facts.get("retired_at", 0.0) < _STRAGGLERS_S:
                continue
            known = self.catalog.space_of(facts["space"]["fingerprint"])
            if known is None:
                old.drop()
            else:
                old.release()

    def write(
        self, collection: MilvusCollection, item_ids: Sequence[int], rows: Rows, *, videos: bool
    ) -> int:
        """Bring the rows of some items in step; gives how many keys were deleted."""
        collection.upsert(rows.good)
        kept = {row.key for row in rows.good} | rows.unreadable
        stale = {key_of(item_id, STILL) for item_id in item_ids}
        if videos and item_ids:
            stale |= _moments(collection, item_ids)
        stale -= kept
        collection.delete(sorted(stale))
        return len(stale)

    def _carry(
        self,
        collection: MilvusCollection,
        facts: Facts,
        position: Position,
        target: int,
        carried: Carried,
    ) -> None:
        space = self.catalog.live_space()
        assert space is not None  # noqa: S101  # the caller has seen it
        source = self.source_of(space)
        keys, videos = set(facts.get("keys", ())), bool(facts.get("videos"))
        chunks = 0
        while found := source.changed(position, target, _ITEMS_AT_ONCE):
            item_ids = [item_id for _, item_id in found]
            rows = source.of_items(item_ids)
            keys.update(key for row in rows.good for key in row.attributes)
            if has_moments(rows.good) and not videos:
                videos = True
                collection.keep({"videos": True})  # before there are any, so that none is missed
            carried.deleted += self.write(collection, item_ids, rows, videos=videos)
            carried.items += len(item_ids)
            carried.rows += len(rows.good)
            carried.refused |= rows.refused
            position = found[-1]
            chunks += 1
            if chunks % _KEPT_EVERY == 0:
                collection.keep({"carried": list(position), "keys": sorted(keys)})
        if carried.rows >= _SEALED_ROWS:
            collection.flush()  # what waits in memory has no graph yet, and is scanned
        items, _ = source.counts()
        collection.keep({"carried": [target, WHOLE], "keys": sorted(keys), "items": items})
        if carried.items:
            logger.info(
                "Carried %d items over to Milvus, up to generation %d.",
                carried.items,
                target,
                extra={"collection": collection.name, "generation": target},
            )

    def _create(self, collection: MilvusCollection, space: Space) -> Facts:
        facts = {
            "store_id": self.catalog.store_id(),
            "space": facts_of_space(space),
            "carried": list(NOTHING),
            "keys": [],
            "videos": False,
        }
        collection.create(space.dimension, self._settings.milvus_structure, facts)
        return facts

    def _check_alias(self) -> None:
        found = MilvusCollection(self.connection, self._alias).facts()
        if found is None or self._take_over:
            return
        owner = found.get("store_id")
        if owner != self.catalog.store_id():
            raise IndexConflictError(
                f"The alias LOOKALIKE_MILVUS_ALIAS={self._alias} in Milvus answers for another "
                f"store ({owner}) than {self.catalog.store_dir}. Give each shop an alias of its "
                "own; if the other store is gone for good, run `lookalike-ingest sync --take-over`."
            )

    def _point_alias(self, name: str) -> None:
        found = self.connection.describe(self._alias)
        if found is not None and found["collection_name"] == name:
            return
        if found is None:
            self.connection.call("create_alias", name, self._alias)
        else:
            self.connection.call("alter_alias", name, self._alias)
            before = MilvusCollection(self.connection, found["collection_name"])
            before.keep({"retired_at": time.time()})
        logger.info("Milvus answers from %s.", name, extra={"alias": self._alias})

    def _keys_of_all(self, collection: MilvusCollection) -> list[int]:
        return [row["pk"] for row in collection.rows(-WHOLE, WHOLE, ())]


def _moments(collection: MilvusCollection, item_ids: Sequence[int]) -> set[int]:
    """The keys of the moments that a collection holds of some items."""
    asked = Expression((*among("item", item_ids).conditions, *above("at_ms", STILL).conditions))
    rows = collection.query(asked, (), consistency=STRONG)
    if len(rows) < MOST_HITS:
        return {row["pk"] for row in rows}
    # There may be more than one answer holds; a video alone has a thousand at most.
    half = len(item_ids) // 2
    return _moments(collection, item_ids[:half]) | _moments(collection, item_ids[half:])
