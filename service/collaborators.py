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
from service.pictures import Pictures
from service.run_desk import RunDesk
from service.search import Searcher
from service.snapshots import SnapshotKeeper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from core.settings import Settings
    from service.supervisor import Supervisor

_MOST_WORKERS: Final = 8


@dataclass(frozen=True)
class Collaborators:
    """Everything behind the routes."""

    settings: Settings
    catalog: Catalog  # for short questions; long readers open their own
    keeper: SnapshotKeeper
    batcher: Batcher
    workers: ThreadPoolExecutor  # decode pictures and search, off the event loop
    searcher: Searcher
    pictures: Pictures
    desk: RunDesk
    supervisor: Supervisor | None  # of the ingest daemon; None: it runs elsewhere

    @classmethod
    def of(cls, settings: Settings, supervisor: Supervisor | None) -> Collaborators:
        """Build them; nothing is started yet.

        Raises:
            StoreError: the store cannot be opened.
        """
        catalog = Catalog(settings.store_dir)
        keeper = SnapshotKeeper(settings)
        batcher = Batcher(settings.batch_size)
        workers = ThreadPoolExecutor(
            min(_MOST_WORKERS, os.cpu_count() or 1), thread_name_prefix="pictures"
        )
        return cls(
            settings=settings,
            catalog=catalog,
            keeper=keeper,
            batcher=batcher,
            workers=workers,
            searcher=Searcher(settings, keeper, batcher, workers),
            pictures=Pictures(settings, catalog),
            desk=RunDesk(catalog, keeper, supervises=supervisor is not None),
            supervisor=supervisor,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start what has a thread or a process, and stop it in the end."""
        await anyio.to_thread.run_sync(self.keeper.start)
        self.batcher.start()
        if self.supervisor is not None:
            self.supervisor.start()
        try:
            yield
        finally:
            await anyio.to_thread.run_sync(self._stop)

    def _stop(self) -> None:
        if self.supervisor is not None:
            self.supervisor.stop()
        self.batcher.stop()
        self.keeper.stop()
        self.workers.shutdown(cancel_futures=True)
        self.catalog.close()


async def collaborators_of(request: Request) -> Collaborators:
    """The collaborators of the application that a request came to."""
    found: Collaborators = request.app.state.collaborators
    return found


Parts = Annotated[Collaborators, Depends(collaborators_of)]
"""A route's parameter of this type receives the application's collaborators."""
