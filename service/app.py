"""The one place where the service is put together."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.middleware import Middleware

from service import openapi, problems
from service.collaborators import Collaborators
from service.coordinator import Coordinator
from service.guard.guard import Guard
from service.metrics import RequestMetrics
from service.middleware import middleware_stack
from service.routes import (
    compare,
    duplicates,
    embeddings,
    health,
    images,
    items,
    metrics,
    operations,
    pages,
    pairs,
    preprocess,
    query,
    runs,
    search,
    session,
)
from service.store_metrics import StoreCollector

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from core.settings import Settings
    from service.supervisor import Supervisor

MOST_FILES = 1000  # of one request; those over LOOKALIKE_MAX_BATCH_FILES are told the limit
MOST_FIELDS = 256
MOST_FIELD_BYTES = 65_536  # of a field that is no file

ROUTERS = (
    search.router,
    query.router,
    embeddings.router,
    preprocess.router,
    runs.router,
    items.router,
    duplicates.router,
    images.router,
    pairs.router,
    compare.router,
    operations.router,
    health.router,
    session.router,
    metrics.router,
    pages.router,
)


def create_app(settings: Settings, supervisor: Supervisor | None = None) -> FastAPI:
    """Build the service over the store that `settings` name.

    With a `supervisor` the service also keeps an ingest daemon alive; without, one may run
    elsewhere.

    Raises:
        SettingsError: the keys or limits cannot be understood.
        StoreError: the store cannot be opened.
    """
    guard = Guard.of(settings)
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
        form_limits={
            "max_files": MOST_FILES,
            "max_fields": MOST_FIELDS,
            "max_part_size": MOST_FIELD_BYTES,
        },
        middleware=[
            Middleware(RequestMetrics, metrics=parts.metrics),
            *middleware_stack(settings, guard),
            *([Middleware(Coordinator, settings=settings)] if parts.store is None else []),
        ],
    )
    app.state.collaborators = parts
    app.state.guard = guard
    parts.metrics.registry.register(StoreCollector(parts))
    problems.install(app)
    openapi.describe(app)
    for router in ROUTERS:
        app.include_router(router)
    for path, files in pages.static_files().items():
        app.mount(path, files)
    return app
