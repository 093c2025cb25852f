"""What runs in a Ray actor: one model and its decoding processes, near photos it reads itself.

Nothing here needs Ray. An actor never raises for a photo, and not for itself either: what makes
it useless comes back as a value, so that the coordinator can say it in a sentence.
"""

from __future__ import annotations

import platform
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import LookalikeError, SourceError
from core.source.local import LocalFolder
from core.source.opening import open_source
from core.vision.models import ModelSource, load_embedder
from ingest.engine import LocalEngine
from ingest.photos import FolderPhotos

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from core.settings import Settings
    from ingest.embed import Embedded, Task
    from ingest.photos import Photos


@dataclass(frozen=True)
class Ready:
    """What an actor says once its model is loaded."""

    node: str  # the machine's name
    spec: str
    fingerprint: str


@dataclass(frozen=True)
class Useless:
    """Why an actor can do nothing."""

    node: str
    code: str
    message: str


class EmbedWorker:
    """Embeds what it is told to; made anew by Ray where a machine was lost."""

    def __init__(self, settings: Settings, batch_size: int) -> None:
        self._settings = settings
        self._batch_size = batch_size
        self._engine: LocalEngine | None = None
        self._node = platform.node()
        # Decoding processes import their parent's main module anew; Ray's own is of no use there.
        main = sys.modules["__main__"]
        main.__spec__ = None
        main.__dict__.pop("__file__", None)

    def ready(self) -> Ready | Useless:
        """Load the model and look at the photos' place."""
        try:
            photos = self._photos()
            embedder = load_embedder(ModelSource.from_settings(self._settings))
            self._engine = LocalEngine(
                self._settings, photos, embedder, self._batch_size, _Unwatched()
            )
            self._engine.__enter__()
        except LookalikeError as error:
            return Useless(self._node, error.code, str(error))
        return Ready(self._node, embedder.spec, embedder.fingerprint)

    def _photos(self) -> Photos:
        source = open_source(self._settings)
        if not isinstance(source, LocalFolder):
            from ingest.object_photos import ObjectPhotos, Trust  # noqa: PLC0415

            source.holds("any")  # an answer of any kind will do
            return ObjectPhotos(source, self._settings, Trust.NEVER)
        if not source.root.is_dir():
            raise SourceError(
                f"LOOKALIKE_IMAGE_DIR={source.name} is no folder there. Workers read the photos "
                "themselves: mount them at the same path on every node, or keep them in object "
                "storage."
            )
        return FolderPhotos(source)

    def embed(self, tasks: Sequence[Task]) -> list[Embedded] | Useless:
        """Embed some photos; each is answered."""
        assert self._engine is not None  # noqa: S101  # the coordinator asks whether it is ready
        try:
            return list(self._engine.embed(tasks))
        except LookalikeError as error:
            return Useless(self._node, error.code, str(error))


class _Unwatched:
    """Nobody looks at the progress of an actor; the coordinator counts what comes back."""

    def count(self, name: str, by: int = 1) -> None:
        pass

    def stage(self, _name: str) -> AbstractContextManager[None]:
        return nullcontext()

    def spent(self, _name: str, _seconds: float) -> None:
        pass
