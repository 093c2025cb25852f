"""The model of a run, loaded only if a photo has to be embedded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from core.records import ModelIdentity
from core.vision.models import ModelSource, load_embedder, source_key

if TYPE_CHECKING:
    from core.settings import Settings
    from core.store.catalog import Catalog
    from core.vision.embedder import Embedder


class RunModel:
    """Names the model's space at once, from what an earlier load noted; loads when asked."""

    def __init__(self, settings: Settings) -> None:
        self._source = ModelSource.from_settings(settings)
        self._embedder: Embedder | None = None
        self._loaded: str | None = None  # the note that names what is loaded

    def identity(self, catalog: Catalog) -> ModelIdentity:
        """What names the model's space.

        Raises:
            ModelError: the model is unknown or cannot be loaded.
        """
        note = catalog.get_note(self._note())
        if note is None:
            self.embedder(catalog)
            note = catalog.get_note(self._note())
        # The service may work in another folder.
        weights = self._source.weights.resolve() if self._source.weights else None
        return ModelIdentity(spec=self._source.spec, weights=weights, **json.loads(str(note)))

    def embedder(self, catalog: Catalog) -> Embedder:
        """The loaded model.

        Raises:
            ModelError: the model is unknown or cannot be loaded.
        """
        note = self._note()
        if self._embedder is None or self._loaded != note:
            self._embedder = load_embedder(self._source)
            self._loaded = note
            facts = {
                "fingerprint": self._embedder.fingerprint,
                "dimension": self._embedder.dimension,
                "default_threshold": self._embedder.default_threshold,
            }
            catalog.set_note(note, json.dumps(facts))
        return self._embedder

    def _note(self) -> str:
        return f"model:{source_key(self._source)}"
