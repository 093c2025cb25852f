"""The model that made a space's vectors, loaded from where it is likeliest to be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import ModelError, StoreModelError
from core.vision.models import ModelSource, load_embedder

if TYPE_CHECKING:
    from core.records import Space
    from core.settings import Settings
    from core.vision.embedder import Embedder


def embedder_of(settings: Settings, space: Space | None, held: Embedder | None) -> Embedder:
    """The model of a space, loaded unless it is the one at hand; without a space the one chosen.

    Raises:
        ModelError: the chosen model cannot be loaded.
        StoreModelError: no model at hand made the space's vectors.
    """
    chosen = ModelSource.from_settings(settings)
    if space is None:
        return held or load_embedder(chosen)
    if held is not None and held.fingerprint == space.fingerprint:
        return held
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
            "What loads under these names makes other vectors: other weights or another version."
        )
    where = (
        f"The vectors in {settings.store_dir}"
        if settings.index == "faiss"
        else f"The vectors in Milvus under LOOKALIKE_MILVUS_ALIAS={settings.milvus_alias}"
    )
    raise StoreModelError(
        f"{where} were made by {_named(space)}, which is "
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
