"""An evaluation from folders to figures, by a model in this process."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from core.errors import ImageError, UnusableVectorError
from core.records import printable
from core.vision.decode import DecodeLimits, decode_image
from service.evaluation.distortions import DISTORTIONS
from service.evaluation.measure import Figures, Labelled, first_places, measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

    from core.settings import Settings
    from core.vision.embedder import Embedder
    from service.evaluation.labelled import LabelledFolder

PLAIN: Final = "as it is"


@dataclass(frozen=True)
class Looked:
    """The photos of a folder that could be used."""

    files: list[Path]
    photos: Labelled
    skipped: dict[str, str]  # name -> why


@dataclass(frozen=True)
class RobustnessRow:
    """How well queries are found that something was done to."""

    distortion: str
    recall_at_1: float  # the first match, the query's own photo left out, has its label
    itself: float  # the first match of all is the query's own photo, as it was


@dataclass(frozen=True)
class Evaluation:
    """What was measured of one model on one set of photos."""

    model: str
    dimension: int
    default_threshold: float
    figures: Figures
    robustness: list[RobustnessRow]  # empty where it was not asked for
    queries: Looked
    gallery: Looked


class Evaluator:
    """Looks at photos with one model.

    Args:
        settings: limits of pictures and the size of a batch.
        embedder: the model.
    """

    def __init__(self, settings: Settings, embedder: Embedder) -> None:
        self._limits = DecodeLimits.for_catalogue(settings)
        self._batch_size = settings.batch_size
        self._embedder = embedder

    def evaluate(
        self,
        queries: LabelledFolder,
        gallery: LabelledFolder | None,
        only: set[str] | None,
        *,
        robustness: bool = False,
    ) -> Evaluation:
        """Ask `gallery` about `queries`; without a gallery, the other photos of `queries`.

        Args:
            queries: photos to ask about.
            gallery: photos to find.
            only: labels to ask about; None: all.
            robustness: distort the queries in several ways too.

        Raises:
            EvaluationError: no query has anything to find.
        """
        seen = self.look(queries)
        searched = seen if gallery is None else self.look(gallery)
        asked = seen if only is None else _those(seen, only)
        default = self._embedder.default_threshold
        return Evaluation(
            model=self._embedder.spec,
            dimension=self._embedder.dimension,
            default_threshold=default,
            figures=measure(asked.photos, searched.photos, default),
            robustness=self._robustness(asked, searched) if robustness else [],
            queries=asked,
            gallery=searched,
        )

    def look(self, found: LabelledFolder) -> Looked:
        """Embed the photos of a folder; those that cannot be used are skipped."""
        files, labels, vectors, contents = [], [], [], []
        skipped = dict(found.skipped)
        looked = self._look(found.files, lambda image: image)
        for file, label, one in zip(found.files, found.labels, looked, strict=True):
            if isinstance(one, str):
                skipped[printable(file.relative_to(found.folder).as_posix())] = one
                continue
            files.append(file)
            labels.append(label)
            vectors.append(one[0])
            contents.append(one[1])
        rows = np.stack(vectors) if vectors else np.empty((0, self._embedder.dimension), np.float32)
        return Looked(files, Labelled(rows, labels, contents), skipped)

    def _robustness(self, asked: Looked, searched: Looked) -> list[RobustnessRow]:
        """Every distortion of the queries that have something to find."""
        known = set(searched.photos.contents)
        more = [n for n, content in enumerate(asked.photos.contents) if content not in known]
        whole = _joined(searched.photos, _picked(asked.photos, more))
        changes = {PLAIN: lambda image: image, **DISTORTIONS}
        rows = []
        for name, change in changes.items():
            looked = list(self._look(asked.files, change))
            good = [n for n, one in enumerate(looked) if not isinstance(one, str)]
            vectors = np.stack([one[0] for one in looked if not isinstance(one, str)])
            distorted = replace(_picked(asked.photos, good), vectors=vectors)
            firsts = first_places(distorted, whole)
            own = [
                whole.contents[first] == content
                for first, content in zip(firsts, distorted.contents, strict=True)
            ]
            figures = measure(distorted, searched.photos, self._embedder.default_threshold)
            rows.append(RobustnessRow(name, figures.recall_at_1, float(np.mean(own))))
        return rows

    def _look(
        self, files: list[Path], change: Callable[[Image.Image], Image.Image]
    ) -> Iterator[tuple[NDArray[np.float32], bytes] | str]:
        """Vector and hash of each file, in their order, or why it cannot be used."""

        def prepare(file: Path) -> tuple[NDArray[np.uint8], bytes] | str:
            try:
                data = file.read_bytes()
                image = decode_image(data, self._limits, self._embedder.preprocessing.detail)
                pixels = self._embedder.prepare(change(image))
            except OSError as error:
                return f"cannot be read: {error.strerror}"
            except ImageError as error:
                return str(error)
            return pixels, hashlib.md5(data).digest()

        with ThreadPoolExecutor(os.cpu_count()) as workers:
            for start in range(0, len(files), self._batch_size):
                batch = list(workers.map(prepare, files[start : start + self._batch_size]))
                pixels = [one[0] for one in batch if not isinstance(one, str)]
                rows = iter(self._embedder.embed(np.stack(pixels)) if pixels else ())
                for one in batch:
                    yield one if isinstance(one, str) else _usable(next(rows), one[1])


def _usable(vector: NDArray[np.float32], content: bytes) -> tuple[NDArray[np.float32], bytes] | str:
    return (vector, content) if np.isfinite(vector).all() else str(UnusableVectorError())


def _those(looked: Looked, labels: set[str]) -> Looked:
    places = [n for n, label in enumerate(looked.photos.labels) if label in labels]
    files = [looked.files[place] for place in places]
    return Looked(files, _picked(looked.photos, places), looked.skipped)


def _picked(photos: Labelled, places: list[int]) -> Labelled:
    return Labelled(
        photos.vectors[places],
        [photos.labels[place] for place in places],
        [photos.contents[place] for place in places],
    )


def _joined(one: Labelled, other: Labelled) -> Labelled:
    return Labelled(
        np.concatenate([one.vectors, other.vectors]),
        one.labels + other.labels,
        one.contents + other.contents,
    )
