"""What the store holds, as both programs see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

STILL: Final = -1
"""`at_ms` of a vector that was made from a still picture and not from a moment of a video."""


class ItemState(StrEnum):
    """Where an item stands; docs/architecture.md draws the moves between the states."""

    INDEXED = "indexed"
    FAILED = "failed"
    MISSING = "missing"


class SpaceState(StrEnum):
    """Where a vector space stands."""

    BUILDING = "building"
    LIVE = "live"
    RETIRED = "retired"


class RunState(StrEnum):
    """Where an ingest run stands; docs/architecture.md draws the moves between the states."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to the run."""
        return self not in (RunState.QUEUED, RunState.RUNNING)


class FileStat(NamedTuple):
    """What tells a changed file from an unchanged one without opening it.

    A tuple, as are the next two: a rerun makes one of each for every file.
    """

    size: int  # bytes
    mtime_ns: int
    ctime_ns: int  # catches an edit that put the old mtime back


class SeenFile(NamedTuple):
    """A file the walk found."""

    path: str  # relative to the image root, POSIX, undecodable bytes as surrogate escapes
    stat: FileStat
    claimed_md5: bytes | None = None  # 16 bytes; what an object storage says the content's is


class KnownFile(NamedTuple):
    """A file as the catalog last knew it."""

    path: str
    item_id: int | None  # None: a file passed over because it holds no picture
    stat: FileStat
    state: ItemState | None  # None: passed over
    md5: bytes | None  # 16 bytes; None where the file could not be read
    suspect: bool  # hash it even if its stat is the same: racily young, or a retry was asked for
    has_vector: bool  # whether the space at hand holds a vector of its content


SeenRow = tuple[bytes, int, int, int]
"""A file the walk found, in short: its path's bytes, then the numbers of `FileStat`."""

KnownRow = tuple[bytes, int | None, int, int]
"""A file as the catalog last knew it, in short; without a size where a file of the same stat still
has to be looked at."""


@dataclass(frozen=True)
class Item:
    """One photo of the catalogue, for people to look at."""

    id: int
    path: str
    state: ItemState
    md5: bytes | None
    stale: bool  # searchable through the vector of an earlier content
    reason_code: str | None
    reason: str | None
    size: int  # bytes
    product_id: str
    attributes: dict[str, str]
    updated_at: float  # seconds since the epoch


@dataclass(frozen=True)
class Space:
    """One model's vectors; vectors of two spaces never mix."""

    id: int
    fingerprint: str
    spec: str  # LOOKALIKE_MODEL that made it
    weights: str | None  # LOOKALIKE_MODEL_WEIGHTS that made it
    dimension: int
    default_threshold: float
    state: SpaceState


@dataclass(frozen=True)
class ModelIdentity:
    """What names a model's space, known without loading the model."""

    spec: str
    weights: Path | None
    fingerprint: str
    dimension: int
    default_threshold: float  # least score of a match, where the operator chose none


@dataclass(frozen=True)
class RunOptions:
    """What was asked of a run."""

    force_full: bool = False  # embed every file anew
    verify: bool = False  # hash every file, whatever its stat says
    allow_mass_removal: bool = False  # lift the delete guard
    batch_size: int | None = None  # pictures per forward pass; None: the setting


@dataclass(frozen=True)
class RunCounters:
    """How far a run has come; every field only grows."""

    scanned: int = 0  # files seen in the folder
    planned: int = 0  # files whose stat says they may have changed
    settled: int = 0  # of the planned ones
    hashed: int = 0
    embedded: int = 0  # pictures that went through the model
    new: int = 0
    modified: int = 0
    moved: int = 0
    revived: int = 0  # missing items whose file came back
    removed: int = 0
    failed: int = 0  # files of this run that could not be embedded
    bytes_read: int = 0
    stage_s: dict[str, float] = field(default_factory=dict)  # busy seconds of each stage

    @property
    def new_images(self) -> int:
        """Files added or edited, as clients count them; a moved file is neither."""
        return self.new + self.modified + self.revived


@dataclass(frozen=True)
class Run:
    """One ingest run, asked for, going on or over."""

    id: int
    state: RunState
    trigger: str  # api, cli, schedule, watch
    options: RunOptions
    counters: RunCounters
    created_at: float  # seconds since the epoch, as all times here
    started_at: float | None
    finished_at: float | None
    cancel_requested: bool
    message: str | None
    error_code: str | None
    warnings: tuple[str, ...]
    failed_items: int  # items in state failed when the run ended
    total_items: int  # items indexed or failed when the run ended
    generation: int | None  # what the run published last


def image_id(path: str, *, ambiguous: bool) -> str:
    """The id clients know an item by: its path without the suffix, unless a sibling shares that."""
    return path if ambiguous else stem_of(path)


def stem_of(path: str) -> str:
    """`shoes/p12.jpg` -> `shoes/p12`."""
    start = path.rfind("/") + 1
    dot = path.rfind(".")
    # A dot that begins or ends the name begins no suffix.
    return path[:dot] if start < dot < len(path) - 1 else path


def default_product(path: str) -> str:
    """The product of a photo that no metadata names: the file's stem."""
    return PurePosixPath(path).stem


def printable(text: str) -> str:
    """A name that any UTF-8 reader takes: undecodable bytes become escapes such as `\\xff`."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
