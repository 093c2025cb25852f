"""What turns tasks into vectors: this process and its helpers, or a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from core.errors import StoreModelError
from core.vision.decode import DecodeLimits
from core.vision.models import ModelSource
from core.vision.video import VideoSampling
from ingest.decoders import DecoderLimits
from ingest.embed import embed_files
from ingest.reading import Preparation

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from core.settings import Settings
    from core.vision.embedder import Embedder
    from ingest.embed import Embedded, Task
    from ingest.photos import Photos
    from ingest.progress import Ticker


class Engine(Protocol):
    """Embeds photos; a photo that fails is answered with its failure, never by an error."""

    def __enter__(self) -> Self:
        """Start what it works with."""
        ...

    def __exit__(self, *error: object) -> None:
        """Stop it, whatever is under way."""
        ...

    def embed(self, tasks: Iterable[Task]) -> Generator[Embedded, None, None]:
        """Answer every task once, in any order; tasks are taken as there is room for them.

        Raises:
            LookalikeError: nothing more can be embedded.
        """
        ...


class LocalEngine:
    """Decoding processes of this machine, and the model in this process."""

    def __init__(
        self,
        settings: Settings,
        photos: Photos,
        embedder: Embedder,
        batch_size: int,
        progress: Ticker,
    ) -> None:
        how = Preparation(
            embedder.preprocessing,
            DecodeLimits.for_catalogue(settings),
            VideoSampling.from_settings(settings),
            ModelSource.from_settings(settings) if embedder.light else None,
        )
        self._pool = photos.decoders(how, DecoderLimits.from_settings(settings))
        self._embedder = embedder
        self._batch_size = batch_size
        self._progress = progress

    def __enter__(self) -> Self:
        self._pool.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.__exit__(*error)

    def embed(self, tasks: Iterable[Task]) -> Generator[Embedded, None, None]:
        """See `Engine`; the answers come in the tasks' order."""
        return embed_files(tasks, self._pool, self._embedder, self._batch_size, self._progress)


def check_fingerprint(spec: str, found: str, wanted: str, where: str = "") -> None:
    """Refuse a model that is not the one whose space is being filled.

    Raises:
        StoreModelError: it is another.
    """
    if found != wanted:
        raise StoreModelError(
            f"{spec} loaded{where} with other weights than its file had a moment ago; run again "
            "once LOOKALIKE_MODEL_WEIGHTS has settled, and is the same everywhere."
        )
