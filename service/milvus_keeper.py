"""Keeps at hand what Milvus answers from: which collection is live, and the model of its space.

A thread looks at the alias once a second. While Milvus is gone the view before it stays, so that
the first search after its return is answered; or, where it was chosen, the store's own vectors
answer in the meantime.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from core.errors import IndexUnavailableError, LookalikeError
from core.store.index.milvus.collection import MilvusCollection
from core.store.index.milvus.connection import MilvusAddress, MilvusConnection
from core.store.index.milvus.snapshot import MilvusSnapshot
from service.keeper import Keeper, View
from service.space_model import embedder_of

if TYPE_CHECKING:
    from core.settings import Settings
    from core.store.index.milvus.collection import Facts
    from core.store.snapshot import Snapshot
    from core.vision.embedder import Embedder
    from service.snapshots import SnapshotKeeper

log = logging.getLogger(__name__)

_POLL_S: Final = 1.0


class MilvusKeeper(Keeper):
    """Holds the current `View` of what an alias stands for."""

    def __init__(
        self, settings: Settings, fallback: SnapshotKeeper | None, poll_s: float = _POLL_S
    ) -> None:
        self._settings = settings
        self._fallback = fallback
        self._poll_s = poll_s
        self._connection = MilvusConnection(MilvusAddress.from_settings(settings))
        self._alias = MilvusCollection(self._connection, settings.milvus_alias)
        self._facts: Facts | None = None
        self._view: View | None = None
        self._embedder: Embedder | None = None
        self._gone: str | None = None  # why Milvus cannot be asked
        self._problem: str | None = None  # why what it holds cannot be served
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="milvus", daemon=True)

    @property
    def view(self) -> View | None:
        """See `Keeper.view`."""
        if self._gone is not None and self._fallback is not None:
            return self._fallback.view
        return self._view

    @property
    def local(self) -> Snapshot | None:
        """See `Keeper.local`."""
        return None if self._fallback is None else self._fallback.local

    @property
    def problems(self) -> tuple[str, ...]:
        """See `Keeper.problems`."""
        if self._problem is not None:
            return (self._problem,)
        if self._gone is not None:
            return (self._gone,) if self._fallback is None else self._fallback.problems
        return () if self._view else ("The model and the catalogue are being loaded.",)

    @property
    def warnings(self) -> tuple[str, ...]:
        """See `Keeper.warnings`."""
        if self._gone is None or self._fallback is None:
            return super().warnings
        instead = "FAISS answers from the store until it is back (LOOKALIKE_MILVUS_FALLBACK)."
        return (f"{self._gone} {instead}", *super().warnings)

    def instead(self, error: IndexUnavailableError) -> View | None:
        """See `Keeper.instead`."""
        if self._fallback is None:
            return None
        self._note_gone(error)
        return self._fallback.view

    def load(self) -> View | None:
        """See `Keeper.load`; Milvus itself may come later."""
        if self._fallback is not None:
            self._fallback.load()
        with self._lock:
            if self._view is None:
                try:
                    self._advance()
                except IndexUnavailableError as error:
                    self._note_gone(error)
                    # What is wrong with the model shall be known now rather than then.
                    self._embedder = embedder_of(self._settings, None, self._embedder)
            return self._view

    def start(self) -> None:
        """See `Keeper.start`."""
        if self._fallback is not None:
            self._fallback.start()
        self.load()
        self._thread.start()

    def stop(self) -> None:
        """See `Keeper.stop`."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        if self._fallback is not None:
            self._fallback.stop()
        self._connection.close()

    def refresh(self) -> None:
        """See `Keeper.refresh`."""
        if self._fallback is not None:
            self._fallback.refresh()
        with self._lock:
            try:
                self._advance()
            except IndexUnavailableError as error:
                self._note_gone(error)
            except Exception as error:  # noqa: BLE001  # whatever it is, the old view still serves
                self._note_problem(error)

    def _watch(self) -> None:
        while not self._stopping.wait(self._poll_s):
            self.refresh()

    def _advance(self) -> None:
        facts = self._alias.facts()
        if self._view is None or facts != self._facts:
            snapshot = MilvusSnapshot.of(self._alias, facts)
            self._embedder = embedder_of(self._settings, snapshot.space, self._embedder)
            before = self._view
            self._view, self._facts = View(self._embedder, snapshot), facts
            if before is None or before.snapshot.generation != snapshot.generation:
                log.info(
                    "Milvus is at generation %d: %d photos.",
                    snapshot.generation,
                    snapshot.item_count,
                    extra={"generation": snapshot.generation, "items": snapshot.item_count},
                )
        if self._gone is not None:
            log.info("Milvus answers again.")
        self._gone = self._problem = None

    def _note_gone(self, error: IndexUnavailableError) -> None:
        if self._gone is None:
            log.error("Milvus cannot be asked: %s", error)
        self._gone = str(error)

    def _note_problem(self, error: Exception) -> None:
        if str(error) != self._problem:
            log.error(
                "What Milvus holds cannot be served, so what it held before is: %s",
                error,
                exc_info=not isinstance(error, LookalikeError),
            )
        self._problem = str(error)
