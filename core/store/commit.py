"""Everything one step of a run changes, collected before it is published."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.records import FileStat
    from core.store.segments import SegmentRecord, SegmentRows


@dataclass(frozen=True)
class IndexedFile:
    """A file whose content has a vector in the space at hand."""

    path: str
    stat: FileStat
    md5: bytes
    racy: bool  # so young when it was read that a later edit may leave the same stat


@dataclass(frozen=True)
class FailedFile:
    """A file that could not be embedded, and why."""

    path: str
    stat: FileStat
    md5: bytes | None  # None: it could not even be read
    code: str
    reason: str
    racy: bool


@dataclass(frozen=True)
class MovedFile:
    """An item whose file has another name, with the content it had."""

    item_id: int
    path: str
    stat: FileStat
    racy: bool


@dataclass(frozen=True)
class PassedOverFile:
    """A file that holds no picture and does not claim to."""

    path: str
    stat: FileStat
    racy: bool


@dataclass(frozen=True)
class Label:
    """What the shop's own metadata says of a photo."""

    path: str
    product_id: str
    attributes: str  # JSON object of texts


@dataclass(frozen=True)
class NewSegment:
    """A durable segment file that the commit makes count."""

    record: SegmentRecord
    rows: SegmentRows


@dataclass(frozen=True)
class Commit:
    """Everything one transaction changes."""

    segment: NewSegment | None = None
    indexed: list[IndexedFile] = field(default_factory=list)
    failed: list[FailedFile] = field(default_factory=list)
    moved: list[MovedFile] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)  # item ids
    passed_over: list[PassedOverFile] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)  # passed-over paths that are gone
    labels: list[Label] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(
            self.segment
            or self.indexed
            or self.failed
            or self.moved
            or self.missing
            or self.passed_over
            or self.forgotten
            or self.labels
        )
