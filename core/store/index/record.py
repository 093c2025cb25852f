"""`index/<generation>.faiss` as the catalog knows it: a cache beside the segments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

FOLDER: Final = "index"


@dataclass(frozen=True)
class IndexRecord:
    """One saved index."""

    id: int
    space_id: int
    file: str  # name inside the index folder
    sha256: bytes
    kind: str
    vectors: int  # how many it holds
    last_vector_id: int  # vectors made later are not in it
    recall: float | None  # recall@10 against exact search; None: the index is exact
    created_at: float  # seconds since the epoch


def index_path(store_dir: Path, file: str) -> Path:
    """Where a saved index lives."""
    return store_dir / FOLDER / file


def latest_index(connection: sqlite3.Connection, space_id: int) -> IndexRecord | None:
    """The newest saved index of a space."""
    row = connection.execute(
        "SELECT * FROM indexes WHERE space_id = ? ORDER BY id DESC LIMIT 1", (space_id,)
    ).fetchone()
    return IndexRecord(**dict(row)) if row else None
