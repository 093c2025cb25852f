"""Which kind of service this is: over a store, over Milvus beside a store, or a query node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import SettingsError
from core.store.index.address import is_file
from service.milvus_keeper import MilvusKeeper
from service.snapshots import SnapshotKeeper

if TYPE_CHECKING:
    from core.settings import Settings
    from service.keeper import Keeper


def is_query_node(settings: Settings, *, supervises: bool) -> bool:
    """Whether a service answers from Milvus alone and needs no store.

    It is one that does not ingest and either knows its coordinator or has no store folder.
    """
    if settings.index != "milvus" or supervises:
        return False
    return bool(settings.coordinator_url) or not settings.store_dir.exists()


def keeper_of(settings: Settings, *, stateless: bool) -> Keeper:
    """What keeps the catalogue at hand.

    Raises:
        SettingsError: FAISS shall answer while Milvus is gone, and there is no store.
        StoreError: the store cannot be opened.
    """
    if settings.index == "faiss":
        return SnapshotKeeper(settings)
    if settings.milvus_fallback == "none":
        return MilvusKeeper(settings, None)
    if stateless:
        raise SettingsError(
            "LOOKALIKE_MILVUS_FALLBACK=faiss answers from a store, and this query node has none: "
            "set it where LOOKALIKE_STORE_DIR is, or to none."
        )
    return MilvusKeeper(settings, SnapshotKeeper(settings))


def check_can_supervise(settings: Settings) -> None:
    """See that a service and its ingest daemon can both reach Milvus.

    Raises:
        SettingsError: it is a file, which one process at a time can open.
    """
    if settings.index == "milvus" and is_file(settings.milvus_uri):
        raise SettingsError(
            f"LOOKALIKE_MILVUS_URI={settings.milvus_uri} is a file, which one process at a time "
            "can open, and this service would start an ingest daemon beside itself. Run "
            "`milvus-lite server --data-dir FOLDER --host 127.0.0.1` and name its address, or "
            "serve with --no-ingest and ingest while it is not serving."
        )
