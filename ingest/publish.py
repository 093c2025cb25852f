"""Collects what a run finds out and publishes it in steps."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from core.store.commit import Commit, NewSegment
from core.store.segments import SegmentRows, write_segment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from core.folder.metadata import Metadata
    from core.records import Space
    from core.store.catalog import Catalog
    from core.store.commit import FailedFile, IndexedFile, Label, MovedFile

_MOST_ROWS: Final = 20_000
"""Settled files in one transaction: keeps memory and the time readers wait bounded."""


class Publisher:
    """Turns findings into commits: often enough that a kill costs little, and never half."""

    def __init__(
        self,
        catalog: Catalog,
        space: Space,
        metadata: Metadata | None,
        *,
        every_images: int,
        every_s: float,
        published: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._catalog = catalog
        self._space = space
        self._metadata = metadata
        self._every_images = every_images
        self._every_s = every_s
        self._published = published
        self._clock = clock
        self._last_commit = clock()
        self._commit = Commit()
        self._vectors: list[tuple[bytes, int, NDArray[np.float32]]] = []
        self.busy_s = 0.0  # time spent committing

    def add_vectors(self, md5: bytes, at_ms: Sequence[int], vectors: NDArray[np.float32]) -> None:
        """Take the `[m, d]` unit vectors of some content, one for each of its moments.

        The files that show it are added before the next `settle`.
        """
        self._vectors += [
            (md5, moment, vector) for moment, vector in zip(at_ms, vectors, strict=True)
        ]

    def indexed(self, file: IndexedFile) -> None:
        """Take a file whose content has a vector, already or with the next commit."""
        self._commit.indexed.append(file)

    def failed(self, file: FailedFile) -> None:
        """Take a file that could not be embedded."""
        self._commit.failed.append(file)

    def moved(self, file: MovedFile) -> None:
        """Take an item whose file has another name."""
        self._commit.moved.append(file)

    def unpublished(self) -> set[bytes]:
        """The contents whose vectors wait for the next commit."""
        return {md5 for md5, _, _ in self._vectors}

    @property
    def pending(self) -> Commit:
        """The commit being collected."""
        return self._commit

    def settle(self) -> bool:
        """Publish if enough has come together or enough time has gone by."""
        files = len(self._commit.indexed) + len(self._commit.failed) + len(self._commit.moved)
        due = (
            len(self._vectors) >= self._every_images
            or files + len(self._commit.passed_over) >= _MOST_ROWS
            or self._clock() - self._last_commit >= self._every_s
        )
        if due:
            self.flush()
        return due

    def flush(self) -> None:
        """Publish everything taken so far.

        Raises:
            OSError: the segment could not be made durable; what was published before stands.
        """
        started = self._clock()
        segment = self._write_segment() if self._vectors else None
        commit = replace(self._commit, segment=segment, labels=self._labels())
        if commit:
            self._catalog.publish(self._space, commit)
            self._published()
        self._commit, self._vectors = Commit(), []
        self._last_commit = self._clock()
        self.busy_s += self._last_commit - started

    def _labels(self) -> list[Label]:
        if self._metadata is None:
            return []  # unreadable: what was known before stays
        commit = self._commit
        paths = [file.path for file in commit.indexed]
        paths += [file.path for file in commit.failed]
        paths += [file.path for file in commit.moved]
        label = self._metadata.label
        return [label(path) for path in paths]

    def _write_segment(self) -> NewSegment:
        rows = SegmentRows(
            embedding=np.stack([vector for _, _, vector in self._vectors]).astype(np.float16),
            md5=np.frombuffer(b"".join(m for m, _, _ in self._vectors), np.uint8).reshape(-1, 16),
            at_ms=np.array([at_ms for _, at_ms, _ in self._vectors], np.int32),
        )
        record = write_segment(
            self._catalog.store_dir,
            self._catalog.next_segment_id(),
            self._space.id,
            self._space.fingerprint,
            rows,
        )
        return NewSegment(record, rows)
