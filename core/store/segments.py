"""`segments/<id>.h5`: immutable HDF5 files of vectors.

Layout of one file:

    embedding   float16 [n, d], rows of unit length
    md5         uint8 [n, 16], of the bytes each row was made from
    at_ms       int32 [n], the moment of a video, -1 for a still picture
    attributes  space (the fingerprint), checksum (SHA-256 over the three datasets)

Write order: the whole file is built in memory, because HDF5 is not crash-safe when written in
place, then made durable under its name, then named by the catalog's COMMIT together with the
SHA-256 of the file. Recovery: a file no row names is an orphan; a file whose SHA-256 is wrong is
damaged, its rows are dropped and their photos embedded again by the next run.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import h5py
import numpy as np

from core.errors import DamagedSegmentError
from core.store.files import write_durably

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FOLDER: Final = "segments"
_DATASETS: Final = ("embedding", "md5", "at_ms")


@dataclass(frozen=True)
class SegmentRows:
    """Vectors on their way into a segment, or out of one."""

    embedding: NDArray[np.float16]  # [n, d], unit length
    md5: NDArray[np.uint8]  # [n, 16]
    at_ms: NDArray[np.int32]  # [n]

    def __len__(self) -> int:
        return len(self.embedding)


@dataclass(frozen=True)
class SegmentRecord:
    """A segment as the catalog knows it."""

    id: int
    space_id: int
    rows: int
    size: int  # bytes of the whole file
    sha256: bytes  # of the whole file
    verified_stat: str  # `stat_signature` when the checksum was last found right
    damaged: bool = False  # its vectors are to be made again


def segment_path(store_dir: Path, segment_id: int) -> Path:
    """Where a segment lives."""
    return store_dir / FOLDER / f"{segment_id:010d}.h5"


def write_segment(
    store_dir: Path, segment_id: int, space_id: int, fingerprint: str, rows: SegmentRows
) -> SegmentRecord:
    """Make a segment durable; it counts once the catalog names it.

    Raises:
        OSError: nothing is left behind.
    """
    path = segment_path(store_dir, segment_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = _encode(fingerprint, rows)
    write_durably(path, data)
    return SegmentRecord(
        id=segment_id,
        space_id=space_id,
        rows=len(rows),
        size=len(data),
        sha256=hashlib.sha256(data).digest(),
        verified_stat=stat_signature(path),
    )


def read_segment(store_dir: Path, record: SegmentRecord) -> SegmentRows:
    """Read a segment whose every byte has been checked.

    Raises:
        DamagedSegmentError: the file is missing, unreadable or not what was written.
    """
    path = segment_path(store_dir, record.id)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DamagedSegmentError(f"Segment {path} cannot be read: {error}.") from error
    if hashlib.sha256(data).digest() != record.sha256:
        raise DamagedSegmentError(_not_what_was_written(path))
    with h5py.File(io.BytesIO(data), "r") as file:
        return SegmentRows(file["embedding"][:], file["md5"][:], file["at_ms"][:])


def read_stray_segment(path: Path, fingerprint: str) -> SegmentRows | None:
    """Read a segment file that no catalog vouches for, by its own checksum.

    None: it is damaged, no segment, or of another space.
    """
    try:
        with h5py.File(io.BytesIO(path.read_bytes()), "r") as file:
            rows = SegmentRows(file["embedding"][:], file["md5"][:], file["at_ms"][:])
            right = file.attrs["checksum"] == _checksum(rows)
            return rows if right and file.attrs["space"] == fingerprint else None
    except Exception:  # noqa: BLE001  # HDF5 meets damage with errors of every kind
        return None


def stat_signature(path: Path) -> str:
    """What changes when anything touches the file; cheap beside a checksum.

    Raises:
        OSError: the file is missing.
    """
    stat = path.stat()
    return f"{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ctime_ns}:{stat.st_ino}"


class OpenSegment:
    """A segment held open, after every byte of it was checked.

    Rows are read with `pread`: unlike a mapping, that survives a file cut short by somebody else,
    and like one it outlives the file's name, so a merge may unlink the file under a reader.
    """

    def __init__(self, store_dir: Path, record: SegmentRecord, dimension: int) -> None:
        """Open and check.

        Raises:
            DamagedSegmentError: the file is missing or not what was written.
        """
        self._path = segment_path(store_dir, record.id)
        self._dimension = dimension
        try:
            self._file = self._path.open("rb", buffering=0)
            right = hashlib.file_digest(self._file, "sha256").digest() == record.sha256
        except OSError as error:
            raise DamagedSegmentError(f"Segment {self._path} cannot be read: {error}.") from error
        if not right:
            raise DamagedSegmentError(_not_what_was_written(self._path))
        with h5py.File(self._path, "r", locking=False) as file:
            self._offset: int = file["embedding"].id.get_offset()
            self.md5: NDArray[np.uint8] = file["md5"][:]

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """Give `[len(rows), d]` float16 vectors; a row that cannot be read is NaN."""
        vectors = np.empty((len(rows), self._dimension), np.float16)
        if not len(rows):
            return vectors
        # Neighbouring rows are read together: a scan of the whole segment is one call.
        ends = np.flatnonzero(rows[1:] - rows[:-1] != 1) + 1
        for start, stop in itertools.pairwise((0, *ends.tolist(), len(rows))):
            self.read_run(int(rows[start]), vectors[start:stop])
        return vectors

    def read_run(self, first: int, vectors: NDArray[np.float16]) -> None:
        """Fill `vectors`, `[n, d]` and contiguous, with the rows from `first` on, or with NaN."""
        width = self._dimension * vectors.itemsize
        place = self._offset + first * width
        if os.preadv(self._file.fileno(), [vectors.data], place) != vectors.nbytes:
            vectors[:] = np.nan


def _not_what_was_written(path: Path) -> str:
    return (
        f"Segment {path} is not what was written: its SHA-256 differs from the catalog's. The next "
        "ingest run embeds its photos again."
    )


def _encode(fingerprint: str, rows: SegmentRows) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name in _DATASETS:
            file.create_dataset(name, data=getattr(rows, name))
        file.attrs["space"] = fingerprint
        file.attrs["checksum"] = _checksum(rows)
    return buffer.getvalue()


def _checksum(rows: SegmentRows) -> str:
    digest = hashlib.sha256()
    for name in _DATASETS:
        digest.update(np.ascontiguousarray(getattr(rows, name)).data)
    return digest.hexdigest()
