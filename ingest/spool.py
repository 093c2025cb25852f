"""A list that waits on disk, so that a run's memory does not grow with the folder."""

from __future__ import annotations

import pickle
import tempfile
from typing import TYPE_CHECKING, Generic, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")


class Spool(Generic[T]):
    """Append records, then iterate them, as often as wanted, in the order they came."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="lookalike-")  # noqa: SIM115  # see `close`
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, record: T) -> None:
        """Add one record; not while iterating."""
        pickle.dump(record, self._file, pickle.HIGHEST_PROTOCOL)
        self._count += 1

    def __iter__(self) -> Iterator[T]:
        self._file.seek(0)
        for _ in range(self._count):
            yield pickle.load(self._file)  # noqa: S301  # written by this object a moment ago

    def close(self) -> None:
        """Give the disk space back."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
