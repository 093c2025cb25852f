"""What the catalogue knows of a path or of a picture's bytes, wherever the catalogue is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.records import ItemState
from core.store.index.milvus.snapshot import MilvusSnapshot
from core.store.snapshot import Snapshot
from core.store.vectors import still_vector_id
from core.vision.embedder import unit_rows
from service.errors import PictureNotFoundError
from service.names import spellings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.records import Item
    from core.store.catalog import Catalog
    from core.store.view import CatalogueView
    from service.keeper import Keeper


@dataclass(frozen=True, eq=False)
class KnownItem:
    """An item that can be searched by."""

    id: int
    path: str
    vector: NDArray[np.float32]  # [d], unit length


@dataclass(frozen=True)
class KnownPicture:
    """An item whose picture may be shown."""

    path: str
    version: str  # another one where the content is another


class KnownItems:
    """Looks items up in the catalog, or on a node without one in the index that answers."""

    def __init__(self, catalog: Catalog | None, keeper: Keeper) -> None:
        self._catalog = catalog
        self._keeper = keeper

    def picture(self, path: str) -> KnownPicture:
        """What is shown under a path, searchable or not.

        Raises:
            PictureNotFoundError: there is no such item.
            IndexUnavailableError: the index has to be asked and is gone.
        """
        if self._catalog is not None:
            item = self._catalog.find_item(path)
            if item is None or item.state is ItemState.MISSING:
                raise PictureNotFoundError
            return KnownPicture(path, item.md5.hex() if item.md5 else str(item.updated_at))
        view = self._keeper.view
        snapshot = view.snapshot if view else None
        found = snapshot.find(path) if isinstance(snapshot, MilvusSnapshot) else None
        if found is None:
            raise PictureNotFoundError
        return KnownPicture(path, found.md5)

    def find(self, snapshot: CatalogueView, path: str, at_ms: int | None) -> KnownItem:
        """The item of a path as clients write it, with the vector that it is found by.

        Of a video it is the vector of the moment nearest to `at_ms`.

        Raises:
            PictureNotFoundError: there is no such item, or it has no vector.
            IndexUnavailableError: the index has to be asked and is gone.
        """
        for spelling in spellings(path):
            if isinstance(snapshot, MilvusSnapshot):
                found = snapshot.find(spelling, at_ms)
                if found is not None:
                    vector = unit_rows(found.vector[None])[0]
                    return KnownItem(found.entry.item_id, found.entry.path, vector)
            elif isinstance(snapshot, Snapshot) and self._catalog is not None:
                item = self._catalog.find_item(spelling)
                if item is not None:
                    return KnownItem(item.id, item.path, _stored(snapshot, item, at_ms))
        raise PictureNotFoundError(f"The catalogue has no item {path!r}.")

    def vector_of_content(
        self, snapshot: CatalogueView | None, fingerprint: str, md5: bytes
    ) -> NDArray[np.float32] | None:
        """The `[d]` unit vector that a model of this fingerprint made of a still picture's bytes.

        None: the catalogue does not hold it, or not of this model.
        """
        if snapshot is None or snapshot.space is None:
            return None
        if snapshot.space.fingerprint != fingerprint:
            return None
        if isinstance(snapshot, MilvusSnapshot):
            held = snapshot.vector_of_content(md5)
            return None if held is None else unit_rows(held[None])[0]
        if not isinstance(snapshot, Snapshot) or snapshot.vectors is None or self._catalog is None:
            return None
        with self._catalog.database.reading() as connection:
            vector_id = still_vector_id(connection, snapshot.space.id, md5)
        if vector_id is None:
            return None
        vectors = unit_rows(snapshot.vectors.read(np.array([vector_id], np.int64)))
        return vectors[0] if np.isfinite(vectors).all() else None


def _stored(snapshot: Snapshot, item: Item, at_ms: int | None) -> NDArray[np.float32]:
    entries, vectors = snapshot.entries, snapshot.vectors
    places = np.flatnonzero(entries.item_ids == item.id)
    if vectors is None or not len(places):
        raise PictureNotFoundError(f"{item.path!r} cannot be searched by: it has no vector yet.")
    place = places[np.abs(entries.at_ms[places] - (at_ms or 0)).argmin()]
    found = unit_rows(vectors.read(entries.vector_ids[place : place + 1]))
    if not np.isfinite(found).all():
        raise PictureNotFoundError(f"The vector of {item.path!r} is damaged; it will be remade.")
    vector: NDArray[np.float32] = found[0]
    return vector
