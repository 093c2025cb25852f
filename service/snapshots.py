"""Keeps the newest state of the store at hand, together with the model that made its vectors.

A thread looks at the catalog's generation a few times a second, reads the difference beside what
is being served, and swaps one reference. Snapshot and model travel as a pair, so that a query's
vector and the index are always of the same space.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.errors import LookalikeError, ModelError, StoreModelError
from core.store.catalog import Catalog
from core.store.snapshot import Snapshot, read_snapshot
from core.vision.models import ModelSource, load_embedder

if TYPE_CHECKING:
    from core.records import Space
    from core.settings import Settings
    from core.vision.embedder import Embedder

log = logging.getLogger(__name__)

_POLL_S: Final = 0.3
_RETRY_S: Final = 30.0  # before a generation that could not be taken up is tried again
_NONE_REFUSED: Final = (-1, 0.0)  # generation that could not be taken up, when to try it again


@dataclass(frozen=True)
class View:
    """What one request uses from start to end."""

    embedder: Embedder
    snapshot: Snapshot


class SnapshotKeeper:
    """Holds the current `View` and replaces it as the store moves on."""

    def __init__(self, settings: Settings, poll_s: float = _POLL_S) -> None:
        self._settings = settings
        self._poll_s = poll_s
        self._catalog = Catalog(settings.store_dir)
        self._view: View | None = None
        self._problem: str | None = None  # why the newest generation is not served
        self._refused = _NONE_REFUSED
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="snapshots", daemon=True)

    @property
    def view(self) -> View | None:
        """The newest state that can be served; None before `load`."""
        return self._view

    @property
    def problems(self) -> tuple[str, ...]:
        """Why answers may be wrong or old, each a sentence; empty when all is well.

        A damaged index is none: the snapshot is then searched exactly.
        """
        if self._view is None:
            return (self._problem or "The model and the catalogue are being loaded.",)
        vectors = self._view.snapshot.vectors
        damaged = vectors.problems if vectors else ()
        return (*damaged, self._problem) if self._problem else damaged

    def load(self) -> View:
        """Take up the store as it is and load its model; done once.

        Raises:
            ModelError: the model cannot be loaded.
            StoreError: the store cannot be read, or no model at hand made its vectors.
        """
        with self._lock:
            if self._view is None:
                self._advance()
            assert self._view is not None  # noqa: S101  # or `_advance` had raised
            return self._view

    def start(self) -> None:
        """Load, then follow the store."""
        self.load()
        self._thread.start()

    def stop(self) -> None:
        """Stop following and close the catalog."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        self._catalog.close()

    def refresh(self) -> None:
        """Take up what has been published; what hinders it is logged and kept in `problems`."""
        with self._lock:
            try:
                self._advance()
            except Exception as error:  # noqa: BLE001  # whatever it is, the old view still serves
                self._note_problem(error)

    def _watch(self) -> None:
        while not self._stopping.wait(self._poll_s):
            self.refresh()

    def _advance(self) -> None:
        generation, store_id = self._catalog.generation(), self._catalog.store_id()
        view = self._view
        if view is not None and (generation, store_id) == (
            view.snapshot.generation,
            view.snapshot.store_id,
        ):
            self._problem = None
            return
        refused, retry_at = self._refused
        if generation == refused and time.monotonic() < retry_at:
            return
        self._refused = (generation, time.monotonic() + _RETRY_S)
        snapshot = read_snapshot(self._catalog, view.snapshot if view else None)
        self._view = View(self._embedder_of(snapshot.space), snapshot)
        self._problem, self._refused = None, _NONE_REFUSED
        log.info(
            "The catalogue is at generation %d: %d photos.",
            snapshot.generation,
            snapshot.entries.item_count,
            extra={"generation": snapshot.generation, "items": snapshot.entries.item_count},
        )
        for problem in snapshot.problems:
            log.warning("The store is damaged: %s", problem)

    def _note_problem(self, error: Exception) -> None:
        if str(error) != self._problem:
            log.error(
                "The newest catalogue cannot be served, so the one before still is: %s",
                error,
                exc_info=not isinstance(error, LookalikeError),
            )
        self._problem = str(error)

    def _embedder_of(self, space: Space | None) -> Embedder:
        """The model of a space, loaded unless it is the one at hand."""
        chosen = ModelSource.from_settings(self._settings)
        if space is None:
            return self._view.embedder if self._view else load_embedder(chosen)
        if self._view is not None and self._view.embedder.fingerprint == space.fingerprint:
            return self._view.embedder
        reasons = list[str]()
        for source in _sources(space, chosen):
            try:
                embedder = load_embedder(source)
            except ModelError as error:
                reasons.append(str(error))
                continue
            if embedder.fingerprint == space.fingerprint:
                return embedder
            reasons.append(
                "What loads under these names makes other vectors: other weights or another "
                "version."
            )
        raise StoreModelError(
            f"The vectors in {self._settings.store_dir} were made by {_named(space)}, which is "
            f"not at hand: {' '.join(reasons)} Set LOOKALIKE_MODEL and LOOKALIKE_MODEL_WEIGHTS to "
            "the model you want and run `lookalike-ingest run`, which embeds the photos with it."
        )


def _sources(space: Space, chosen: ModelSource) -> list[ModelSource]:
    """Where the model of a space may be, likeliest first."""
    weights = Path(space.weights) if space.weights else None
    recorded = replace(chosen, spec=space.spec, weights=weights)
    if chosen.spec != space.spec:
        return [recorded]
    if _resolved(chosen.weights) == _resolved(weights):
        return [chosen]
    # The same weights may lie elsewhere by now.
    return [recorded, chosen]


def _resolved(path: Path | None) -> Path | None:
    return path.resolve() if path else None


def _named(space: Space) -> str:
    weights = f" with LOOKALIKE_MODEL_WEIGHTS={space.weights}" if space.weights else ""
    return f"LOOKALIKE_MODEL={space.spec}{weights}"
