"""The pictures of a folder in the order of their likeness to one of them, or to any other."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from core.errors import (
    ImageError,
    LookalikeError,
    NotAnImageError,
    UnreadableFileError,
    UnusableVectorError,
)
from core.records import printable
from core.vision.decode import (
    IMAGE_SUFFIXES,
    MAGIC_BYTES,
    DecodeLimits,
    decode_image,
    looks_like_image,
)
from service.client import RefusedError
from service.labels import read_labels
from service.vectors import cosine
from service.zero_shot import closest, label_vectors, sentences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from core.settings import Settings
    from core.vision.embedder import Embedder
    from service.client import LookalikeClient

_FILES_AT_ONCE: Final = 16  # in one request
_BYTES_AT_ONCE: Final = 48_000_000


@dataclass(frozen=True, eq=False)
class Seen:
    """A picture's vector and what it shows."""

    vector: NDArray[np.float32]  # [d], unit length
    label: str | None  # None: the model names no classes


@dataclass(frozen=True)
class Ranked:
    """One picture of the folder."""

    name: str  # relative to the folder
    score: float  # cosine with the reference, -1 to 1
    label: str | None


@dataclass(frozen=True)
class Ranking:
    """The pictures of a folder, the most alike first, and what was left out."""

    rows: list[Ranked]
    skipped: dict[str, str]  # name -> why


class Eyes(Protocol):
    """Looks at picture files, here or elsewhere."""

    def look(self, files: Sequence[Path]) -> Iterator[Seen | LookalikeError]:
        """Give what each file shows, in their order, or why it cannot be used."""
        ...


def rank(reference: Path, folder: Path, top: int, eyes: Eyes) -> Ranking:
    """Rank the pictures below `folder`; files that hold none are skipped.

    Raises:
        ImageError: the reference cannot be used.
    """
    files, skipped = find_pictures(folder)
    (looked,) = eyes.look([reference])
    seen = _usable(reference, looked)
    rows = list[Ranked]()
    for file, found in zip(files, eyes.look(files), strict=True):
        name = _name(file, folder)
        if isinstance(found, LookalikeError):
            skipped[name] = str(found)
        else:
            rows.append(Ranked(name, cosine(seen.vector, found.vector), found.label))
    rows.sort(key=lambda row: (-row.score, row.name))
    return Ranking(rows[:top], dict(sorted(skipped.items())))


def compare_files(first: Path, second: Path, eyes: Eyes) -> float:
    """Give the cosine of two pictures, -1 to 1.

    Raises:
        ImageError: one of them cannot be used.
    """
    vectors = [
        _usable(file, seen).vector
        for file, seen in zip((first, second), eyes.look([first, second]), strict=True)
    ]
    return cosine(*vectors)


def _usable(file: Path, seen: Seen | LookalikeError) -> Seen:
    if isinstance(seen, LookalikeError):
        raise ImageError(f"{printable(str(file))}: {seen}") from seen
    return seen


def find_pictures(folder: Path) -> tuple[list[Path], dict[str, str]]:
    """Give the files below a folder that begin like a picture, and why the others do not count."""
    files = list[Path]()
    skipped: dict[str, str] = {}
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            file = Path(parent, name)
            reason = _why_not(file)
            if reason is None:
                files.append(file)
            else:
                skipped[_name(file, folder)] = reason
    return files, skipped


class LocalEyes:
    """Looks with a model in this process."""

    def __init__(
        self, settings: Settings, embedder: Embedder, *, name_classes: bool = True
    ) -> None:
        self._limits = DecodeLimits.for_catalogue(settings)
        self._batch_size = settings.batch_size
        self._embedder = embedder
        self._name_classes = name_classes
        zero_shot = name_classes and embedder.supports_text and not embedder.supports_classes
        self._labels = read_labels(settings.labels) if zero_shot else ()
        self._label_vectors: NDArray[np.float32] | None = None

    def look(self, files: Sequence[Path]) -> Iterator[Seen | LookalikeError]:
        """See `Eyes.look`."""
        with ThreadPoolExecutor(os.cpu_count()) as workers:
            for start in range(0, len(files), self._batch_size):
                batch = list(workers.map(self._prepare, files[start : start + self._batch_size]))
                pixels = [one for one in batch if not isinstance(one, LookalikeError)]
                seen = self._embed(np.stack(pixels)) if pixels else iter(())
                for one in batch:
                    yield one if isinstance(one, LookalikeError) else next(seen)

    def _prepare(self, file: Path) -> NDArray[np.uint8] | LookalikeError:
        try:
            detail = self._embedder.preprocessing.detail
            return self._embedder.prepare(decode_image(file.read_bytes(), self._limits, detail))
        except OSError as error:
            return UnreadableFileError(f"The file could not be read: {error.strerror}.")
        except ImageError as error:
            return error

    def _embed(self, pixels: NDArray[np.uint8]) -> Iterator[Seen | LookalikeError]:
        if self._name_classes:
            vectors, predictions = self._embedder.embed_and_classify(pixels, top=1)
        else:
            vectors, predictions = self._embedder.embed(pixels), [[] for _ in pixels]
        for vector, predicted in zip(vectors, predictions, strict=True):
            if np.isfinite(vector).all():
                label = predicted[0].label if predicted else self._nearest_label(vector)
                yield Seen(vector, label)
            else:
                yield UnusableVectorError()

    def _nearest_label(self, vector: NDArray[np.float32]) -> str | None:
        if not self._labels:
            return None
        if self._label_vectors is None:
            texts = self._embedder.embed_texts(sentences(self._labels))
            self._label_vectors = label_vectors(self._labels, texts)
        return closest(self._labels, self._label_vectors, vector, top=1)[0].label


class RemoteEyes:
    """Looks through a running service."""

    def __init__(self, client: LookalikeClient) -> None:
        self._client = client

    def look(self, files: Sequence[Path]) -> Iterator[Seen | LookalikeError]:
        """See `Eyes.look`."""
        for chunk in _chunks(files, lambda file: file.stat().st_size):
            yield from self._ask(chunk)

    def _ask(self, files: Sequence[Path]) -> Iterator[Seen | LookalikeError]:
        try:
            answer = self._client.embeddings(files, top=1)
        except RefusedError as error:
            if error.status >= 500:
                raise
            if len(files) == 1:
                yield error
                return
            # None of them could be used, each for a reason of its own.
            for file in files:
                yield from self._ask([file])
            return
        reasons = {error.index: ImageError(error.detail) for error in answer.errors}
        found = zip(answer.embeddings, answer.predictions, strict=True)
        for index, (vector, predictions) in enumerate(found):
            if vector is None:
                yield reasons[index]
            else:
                label = predictions[0].label if predictions else None
                yield Seen(np.array(vector, np.float32), label)


def _chunks(files: Sequence[Path], size_of: Callable[[Path], int]) -> Iterator[list[Path]]:
    """Files in groups that one request may hold."""
    chunk = list[Path]()
    size = 0
    for file in files:
        more = size_of(file)
        if chunk and (len(chunk) == _FILES_AT_ONCE or size + more > _BYTES_AT_ONCE):
            yield chunk
            chunk, size = [], 0
        chunk.append(file)
        size += more
    if chunk:
        yield chunk


def _why_not(file: Path) -> str | None:
    """Why a file holds no picture, as far as its first bytes tell; None: it may hold one."""
    if not file.is_file():
        return "no regular file"
    try:
        with file.open("rb") as opened:
            head = opened.read(MAGIC_BYTES)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if looks_like_image(head):
        return None
    return str(NotAnImageError()) if file.suffix.lower() in IMAGE_SUFFIXES else "no picture"


def _name(file: Path, folder: Path) -> str:
    return printable(file.relative_to(folder).as_posix())
