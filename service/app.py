"""The one place where the service is put together."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI

from service import openapi, problems
from service.collaborators import Collaborators
from service.middleware import middleware_stack
from service.routes import (
    compare,
    embeddings,
    health,
    images,
    items,
    pages,
    pairs,
    preprocess,
    query,
    runs,
    search,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from core.settings import Settings
    from service.supervisor import Supervisor

ROUTERS = (
    search.router,
    query.router,
    embeddings.router,
    preprocess.router,
    runs.router,
    items.router,
    images.router,
    pairs.router,
    compare.router,
    health.router,
    pages.router,
)


def create_app(settings: Settings, supervisor: Supervisor | None = None) -> FastAPI:
    """Build the service over the store that `settings` name.

    With a `supervisor` the service also keeps an ingest daemon alive; without, one may run
    elsewhere.

    Raises:
        StoreError: the store cannot be opened.
    """
    parts = Collaborators.of(settings, supervisor)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with parts.running():
            yield

    app = FastAPI(
        title="Lookalike",
        summary="Self-hosted visual product search.",
        version=openapi.version(),
        lifespan=lifespan,
        docs_url=None,  # served by our own pages, which load nothing from elsewhere
        redoc_url=None,
        middleware=middleware_stack(settings),
    )
    app.state.collaborators = parts
    problems.install(app)
    openapi.describe(app)
    for router in ROUTERS:
        app.include_router(router)
    for path, files in pages.static_files().items():
        app.mount(path, files)
    return app
