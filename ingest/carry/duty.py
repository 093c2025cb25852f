"""Carrying over beside a run, which Milvus must never hold up: the catalog is published first."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from core.errors import IndexConflictError, IndexUnavailableError
from ingest.carry.carrier import Carrier

if TYPE_CHECKING:
    from core.settings import Settings
    from core.store.catalog import Catalog

logger = logging.getLogger(__name__)

_RETRY_S: Final = 5.0  # before Milvus is asked again
_NAMED: Final = 3  # photos that are named in a warning


class CarryDuty:
    """Keeps Milvus in step with what a store publishes, and takes note where it cannot."""

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self._carrier = Carrier(settings, catalog) if settings.index == "milvus" else None
        self._catalog = catalog
        self._carried: tuple[str, int] | None = None  # store and generation
        self._retry_at = 0.0
        self._refused: dict[int, str] = {}
        self.problem: str | None = None  # why Milvus is behind; None: it is not, as far as known

    @property
    def due(self) -> bool:
        """Whether something has been published that was not carried over, and it is time to."""
        if self._carrier is None or time.monotonic() < self._retry_at:
            return False
        return self._carried != (self._catalog.store_id(), self._catalog.generation())

    def after_commit(self) -> None:
        """Carry over what was published; where Milvus is gone, go on without it for a while."""
        if self.due:
            self._try()

    def after_run(self) -> list[str]:
        """Carry over what is left, and say what is wrong, each a sentence."""
        if self._carrier is None:
            return []
        self._retry_at = 0.0
        if self.due:
            self._try(tidy=True)
        warnings = list[str]()
        if self.problem is not None:
            warnings.append(
                f"{self.problem} The catalogue is published and is carried over once Milvus is "
                "back; `lookalike-ingest sync` does so at once."
            )
        if self._refused:
            named = " ".join(list(self._refused.values())[:_NAMED])
            warnings.append(f"{len(self._refused)} photos are kept from Milvus: {named}")
            self._refused = {}
        return warnings

    def close(self) -> None:
        """Let go of the connection."""
        if self._carrier is not None:
            self._carrier.close()

    def _try(self, *, tidy: bool = False) -> None:
        assert self._carrier is not None  # noqa: S101  # nothing is due without
        before = self._catalog.store_id(), self._catalog.generation()
        try:
            self._refused |= self._carrier.carry().refused
            if tidy:
                self._carrier.tidy()
        except (IndexUnavailableError, IndexConflictError) as error:
            if self.problem is None:
                logger.warning("Milvus is behind: %s", error)
            self.problem = str(error)
            self._retry_at = time.monotonic() + _RETRY_S
        else:
            if self.problem is not None:
                logger.info("Milvus is in step again.")
            self.problem, self._carried = None, before
