"""What a request is answered from: a model and a state of the catalogue, always of one space."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.errors import IndexUnavailableError
    from core.store.snapshot import Snapshot
    from core.store.view import CatalogueView
    from core.vision.embedder import Embedder


@dataclass(frozen=True)
class View:
    """What one request uses from start to end."""

    embedder: Embedder
    snapshot: CatalogueView


class Keeper(ABC):
    """Holds the current `View` and replaces it as the catalogue moves on."""

    @property
    @abstractmethod
    def view(self) -> View | None:
        """The newest state that can be served; None before there is one."""

    @property
    @abstractmethod
    def local(self) -> Snapshot | None:
        """The catalogue as this process holds it in memory; None: it does not."""

    @property
    @abstractmethod
    def problems(self) -> tuple[str, ...]:
        """Why answers may be wrong or old, each a sentence; empty when all is well."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is not as it should be and changes no answer, each a sentence."""
        view = self.view
        return () if view is None else view.snapshot.problems

    def instead(self, error: IndexUnavailableError) -> View | None:  # noqa: ARG002
        """What answers in place of an index that is gone; None: nothing does."""
        return None

    @abstractmethod
    def load(self) -> View | None:
        """Take up the catalogue as it is and load its model; done once.

        Raises:
            ModelError: the model cannot be loaded.
            StoreError: the store cannot be read, or no model at hand made its vectors.
        """

    @abstractmethod
    def start(self) -> None:
        """Load, then follow the catalogue."""

    @abstractmethod
    def stop(self) -> None:
        """Follow it no more."""

    @abstractmethod
    def refresh(self) -> None:
        """Take up what has been published; what hinders it is logged and kept in `problems`."""
