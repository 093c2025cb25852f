"""Keeps the newest state of the store at hand, together with the model that made its vectors.

A thread looks at the catalog's generation a few times a second, reads the difference beside what
is being served, and swaps one reference. Snapshot and model travel as a pair, so that a query's
vector and the index are always of the same space.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from core.errors import LookalikeError
from core.store.catalog import Catalog
from core.store.snapshot import Snapshot, read_snapshot
from service.keeper import Keeper, View
from service.space_model import embedder_of

if TYPE_CHECKING:
    from core.settings import Settings

log = logging.getLogger(__name__)

_POLL_S: Final = 0.3
_RETRY_S: Final = 30.0  # before a generation that could not be taken up is tried again
_NONE_REFUSED: Final = (-1, 0.0)  # generation that could not be taken up, when to try it again


class SnapshotKeeper(Keeper):
    """Holds the current `View` and replaces it as the store moves on."""

    def __init__(self, settings: Settings, poll_s: float = _POLL_S) -> None:
        self._settings = settings
        self._poll_s = poll_s
        self._catalog = Catalog(settings.store_dir)
        self._view: View | None = None
        self._snapshot: Snapshot | None = None  # the view's
        self._problem: str | None = None  # why the newest generation is not served
        self._refused = _NONE_REFUSED
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="snapshots", daemon=True)

    @property
    def view(self) -> View | None:
        """See `Keeper.view`."""
        return self._view

    @property
    def local(self) -> Snapshot | None:
        """See `Keeper.local`."""
        return self._snapshot

    @property
    def problems(self) -> tuple[str, ...]:
        """See `Keeper.problems`; a damaged index is none: it is then searched exactly."""
        if self._snapshot is None:
            return (self._problem or "The model and the catalogue are being loaded.",)
        vectors = self._snapshot.vectors
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
        snapshot = read_snapshot(self._catalog, self._snapshot)
        self._view = View(
            embedder_of(self._settings, snapshot.space, view.embedder if view else None), snapshot
        )
        self._snapshot = snapshot
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
