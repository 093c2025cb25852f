"""The model that scores pairs: that of the search, or one of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from core.errors import ModelError, SettingsError
from core.vision.models import ModelSource, load_embedder
from service.batcher import Batcher
from service.errors import NotReadyError
from service.vectors import ModelInUse

if TYPE_CHECKING:
    from core.settings import Settings
    from core.vision.embedder import Embedder
    from service.keeper import Keeper


class PairModel:
    """Gives the model to compare pictures with.

    Without LOOKALIKE_PAIR_MODEL it is the model of the search as it is at the moment, run by the
    search's own batcher: a model is run by one thread at a time.
    """

    def __init__(self, settings: Settings, keeper: Keeper, search_batcher: Batcher) -> None:
        self._settings = settings
        self._keeper = keeper
        self._search_batcher = search_batcher
        self._own: Embedder | None = None
        self._own_batcher = Batcher(settings.pair_batch_size)

    @property
    def embedder(self) -> Embedder | None:
        """The model itself; None before it has been loaded."""
        if self._settings.pair_model:
            return self._own
        view = self._keeper.view
        return view.embedder if view else None

    def load(self) -> None:
        """Load a model of its own, where one is set; done once.

        Raises:
            ModelError: it cannot be loaded; the message names LOOKALIKE_PAIR_MODEL.
            SettingsError: this machine cannot run it.
        """
        if self._settings.pair_model and self._own is None:
            self._own = load_pair_model(self._settings)

    def start(self) -> None:
        """Load, and begin to take pictures."""
        self.load()
        if self._own is not None:
            self._own_batcher.start()

    def stop(self) -> None:
        """Take no more pictures."""
        self._own_batcher.stop()

    def current(self) -> ModelInUse:
        """What a request compares pictures with from start to end.

        Raises:
            NotReadyError: the search's model has not been loaded yet.
        """
        view = self._keeper.view
        if self._own is not None:
            return ModelInUse(self._own, self._own_batcher, view.snapshot if view else None)
        if view is None:
            raise NotReadyError(self._keeper.problems)
        return ModelInUse(view.embedder, self._search_batcher, view.snapshot)


def load_pair_model(settings: Settings) -> Embedder:
    """Load the model of LOOKALIKE_PAIR_MODEL; where that is empty, the model of the search.

    Raises:
        ModelError: it cannot be loaded.
        SettingsError: this machine cannot run it.
    """
    if not settings.pair_model:
        return load_embedder(ModelSource.from_settings(settings))
    source = replace(
        ModelSource.from_settings(settings),
        spec=settings.pair_model,
        weights=settings.pair_model_weights,
    )
    try:
        return load_embedder(source)
    except (ModelError, SettingsError) as error:
        # An adapter names the settings of the search's model; these are the pair model's.
        message = str(error).replace("LOOKALIKE_MODEL", "LOOKALIKE_PAIR_MODEL")
        raise type(error)(message) from error
