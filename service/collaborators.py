"""What the routes work with, built once for an application."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import anyio.to_thread
from fastapi import Depends, Request

from core.store.catalog import Catalog
from service.batcher import Batcher
from service.comparer import Comparer
from service.describer import Describer
from service.duplicates import DuplicateFinder
from service.embeddings import EmbeddingMaker
from service.errors import NeedsCoordinatorError
from service.fetch import Fetcher, FetchLimits
from service.folder_status import FolderWatch
from service.known_items import KnownItems
from service.labels import read_labels
from service.looking import Looker
from service.metrics import Metrics
from service.pace import PaceMeter
from service.pair_model import PairModel
from service.pairs import PairScorer
from service.pictures import Pictures, open_pictures
from service.query import QueryMaker
from service.query_node import is_query_node, keeper_of
from service.references import References
from service.run_desk import RunDesk
from service.search import Searcher
from service.zero_shot import ZeroShot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from core.settings import Settings
    from service.keeper import Keeper
    from service.supervisor import Supervisor

_MOST_WORKERS: Final = 8
_MOST_WAITING: Final = 32  # questions put to Milvus at once


@dataclass(frozen=True)
class Collaborators:
    """Everything behind the routes."""

    settings: Settings
    store: Catalog | None  # for short questions, long readers open their own; None: elsewhere
    keeper: Keeper
    batcher: Batcher
    workers: ThreadPoolExecutor  # decode pictures and search, off the event loop
    asking: ThreadPoolExecutor  # ask the index; the same where it is in this process
    looker: Looker
    searcher: Searcher
    queries: QueryMaker
    embeddings: EmbeddingMaker
    describer: Describer
    pictures: Pictures
    fetcher: Fetcher
    pair_model: PairModel
    pairs: PairScorer
    comparer: Comparer
    own_desk: RunDesk | None  # None: where the store is
    metrics: Metrics
    pace: PaceMeter  # of the run going on
    folder: FolderWatch
    duplicates: DuplicateFinder
    supervisor: Supervisor | None  # of the ingest daemon; None: it runs elsewhere

    @property
    def catalog(self) -> Catalog:
        """The catalog, for what cannot be answered without.

        Raises:
            NeedsCoordinatorError: this is a query node.
        """
        if self.store is None:
            raise NeedsCoordinatorError
        return self.store

    @property
    def desk(self) -> RunDesk:
        """Where runs are asked for.

        Raises:
            NeedsCoordinatorError: this is a query node.
        """
        if self.own_desk is None:
            raise NeedsCoordinatorError
        return self.own_desk

    @classmethod
    def of(cls, settings: Settings, supervisor: Supervisor | None) -> Collaborators:
        """Build them; nothing is started yet.

        Raises:
            SettingsError: LOOKALIKE_LABELS is of no use, or there is no store to fall back to.
            StoreError: the store cannot be opened.
        """
        stateless = is_query_node(settings, supervises=supervisor is not None)
        store = None if stateless else Catalog(settings.store_dir)
        keeper = keeper_of(settings, stateless=stateless)
        known = KnownItems(store, keeper)
        metrics = Metrics()
        batcher = Batcher(settings.batch_size, metrics)
        workers = ThreadPoolExecutor(
            min(_MOST_WORKERS, os.cpu_count() or 1), thread_name_prefix="pictures"
        )
        # A search of Milvus is waited for, not worked on, so many may be under way at once.
        asking = (
            ThreadPoolExecutor(_MOST_WAITING, thread_name_prefix="asking")
            if settings.index == "milvus"
            else workers
        )
        fetcher = Fetcher(FetchLimits.from_settings(settings))
        pair_model = PairModel(settings, keeper, batcher)
        references = References(settings, fetcher, workers)
        looker = Looker(settings, batcher, workers, metrics)
        zero_shot = ZeroShot(read_labels(settings.labels), batcher)
        pictures = open_pictures(settings, known)
        pairs = PairScorer(settings, pair_model, references, known, workers)
        return cls(
            settings=settings,
            store=store,
            keeper=keeper,
            batcher=batcher,
            workers=workers,
            asking=asking,
            looker=looker,
            searcher=Searcher(settings, keeper, asking, metrics),
            queries=QueryMaker(settings, looker, batcher, references, pictures, known, asking),
            embeddings=EmbeddingMaker(settings, looker, batcher, zero_shot, known, asking),
            describer=Describer(zero_shot, asking),
            pictures=pictures,
            fetcher=fetcher,
            pair_model=pair_model,
            pairs=pairs,
            comparer=Comparer(settings, pairs, workers),
            own_desk=RunDesk(store, keeper, supervises=supervisor is not None) if store else None,
            metrics=metrics,
            pace=PaceMeter(),
            folder=FolderWatch(settings),
            duplicates=DuplicateFinder(),
            supervisor=supervisor,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start what has a thread or a process, and stop it in the end."""
        await anyio.to_thread.run_sync(self.keeper.start)
        await anyio.to_thread.run_sync(self.pair_model.start)
        self.batcher.start()
        if self.supervisor is not None:
            self.supervisor.start()
        try:
            yield
        finally:
            await self.fetcher.close()
            await self.looker.close()
            await anyio.to_thread.run_sync(self._stop)

    def load(self) -> None:
        """Take up the store and load the models; `running` would do it, too.

        Raises:
            ModelError: a model cannot be loaded.
            SettingsError: this machine cannot run it.
            StoreError: the store cannot be read, or no model at hand made its vectors.
        """
        self.keeper.load()
        self.pair_model.load()

    def _stop(self) -> None:
        if self.supervisor is not None:
            self.supervisor.stop()
        self.duplicates.stop()
        self.pair_model.stop()
        self.batcher.stop()
        self.keeper.stop()
        self.pictures.close()
        self.asking.shutdown(cancel_futures=True)
        self.workers.shutdown(cancel_futures=True)
        if self.store is not None:
            self.store.close()


async def collaborators_of(request: Request) -> Collaborators:
    """The collaborators of the application that a request came to."""
    found: Collaborators = request.app.state.collaborators
    return found


Parts = Annotated[Collaborators, Depends(collaborators_of)]
"""A route's parameter of this type receives the application's collaborators."""
