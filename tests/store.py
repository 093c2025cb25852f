"""A store filled by hand, for tests of what lies below the ingester."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.records import FileStat, ModelIdentity
from core.store.commit import Commit, FailedFile, IndexedFile, NewSegment
from core.store.segments import SegmentRows, write_segment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from core.records import Space
    from core.store.catalog import Catalog

DIMENSION = 8
_clock = itertools.count(1)


def identity(name: str = "one") -> ModelIdentity:
    return ModelIdentity(
        spec=name,
        weights=Path("weights.pt"),
        fingerprint=hashlib.md5(name.encode()).hexdigest(),
        dimension=DIMENSION,
        default_threshold=0.5,
    )


def md5(content: str) -> bytes:
    return hashlib.md5(content.encode()).digest()


def stat() -> FileStat:
    moment = next(_clock)
    return FileStat(1000 + moment, moment, moment)


def vector(content: str, space: str = "") -> NDArray[np.float32]:
    """A unit vector that belongs to a content in a space, as float16 holds it."""
    seed = int.from_bytes(md5(content + space)[:4], "big")
    row = np.random.default_rng(seed).normal(size=DIMENSION)
    return (row / np.linalg.norm(row)).astype(np.float16).astype(np.float32)


def segment(catalog: Catalog, space: Space, contents: Iterable[str]) -> NewSegment:
    kept = list(contents)
    rows = SegmentRows(
        embedding=np.stack([vector(each, space.spec) for each in kept]).astype(np.float16),
        md5=np.frombuffer(b"".join(md5(each) for each in kept), np.uint8).reshape(-1, 16),
        at_ms=np.full(len(kept), -1, np.int32),
    )
    record = write_segment(
        catalog.store_dir, catalog.next_segment_id(), space.id, space.fingerprint, rows
    )
    return NewSegment(record, rows)


def indexed(path: str, content: str) -> IndexedFile:
    return IndexedFile(path, stat(), md5(content), racy=False)


def failed(path: str, content: str | None = None) -> FailedFile:
    found = md5(content) if content else None
    return FailedFile(path, stat(), found, "not_an_image", "no picture", racy=False)


def publish(catalog: Catalog, space: Space, files: dict[str, str]) -> int:
    """Publish files with the vectors that are not there yet."""
    contents = set(files.values())
    known = catalog.embedded(space.id, [md5(each) for each in contents])
    fresh = sorted(each for each in contents if md5(each) not in known)
    commit = Commit(
        segment=segment(catalog, space, fresh) if fresh else None,
        indexed=[indexed(path, content) for path, content in files.items()],
    )
    return catalog.publish(space, commit)
