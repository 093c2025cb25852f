"""`catalog.db`: the SQLite file that is the only truth about a store.

Layout: the tables below. Write order: a segment file is durable before the transaction that names
it; that transaction's COMMIT publishes. Recovery: SQLite's own (WAL, synchronous=FULL); files that
no row names are orphans of a kill and are collected by the next run.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from core.errors import DamagedCatalogError, StoreError, StoreVersionError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CATALOG_FILE: Final = "catalog.db"
SCHEMA_VERSION: Final = 1
_BUSY_TIMEOUT_S: Final = 60.0
_CACHE_KIB: Final = 32_768  # at most, for each connection

_SCHEMA: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO meta VALUES ('generation', 0), ('store_id', hex(randomblob(8)));

CREATE TABLE spaces (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint TEXT NOT NULL UNIQUE,
    spec TEXT NOT NULL,
    weights TEXT,
    dimension INTEGER NOT NULL,
    default_threshold REAL NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('building', 'live', 'retired')),
    retired_at REAL
);
CREATE UNIQUE INDEX one_live_space ON spaces (state) WHERE state = 'live';

CREATE TABLE segments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    space_id INTEGER NOT NULL REFERENCES spaces (id),
    rows INTEGER NOT NULL,
    size INTEGER NOT NULL,       -- bytes of the file
    sha256 BLOB NOT NULL,
    verified_stat TEXT NOT NULL, -- the file's stat when its checksum was last found right
    damaged INTEGER NOT NULL DEFAULT 0  -- its vectors are to be made again
);

CREATE TABLE vectors (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    space_id INTEGER NOT NULL REFERENCES spaces (id),
    md5 BLOB NOT NULL,
    at_ms INTEGER NOT NULL,      -- moment of a video, -1 for a still picture
    segment_id INTEGER NOT NULL REFERENCES segments (id),
    row INTEGER NOT NULL,
    generation INTEGER NOT NULL, -- that last changed this row
    UNIQUE (space_id, md5, at_ms)
);
CREATE INDEX vectors_by_segment ON vectors (segment_id);
CREATE INDEX vectors_by_generation ON vectors (generation);

CREATE TABLE items (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    path BLOB NOT NULL UNIQUE,   -- relative to the image root, as the bytes on disk
    stem BLOB NOT NULL,          -- the path without its suffix
    ambiguous INTEGER NOT NULL DEFAULT 0,  -- another item has the same stem
    state TEXT NOT NULL CHECK (state IN ('indexed', 'failed', 'missing')),
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    suspect INTEGER NOT NULL DEFAULT 0,    -- hash at the next run whatever stat says
    md5 BLOB,                    -- of the file as last read
    vector_md5 BLOB,             -- of the content whose vector answers searches
    reason_code TEXT,
    reason TEXT,
    product_id TEXT NOT NULL,
    attributes TEXT NOT NULL DEFAULT '{}',
    generation INTEGER NOT NULL, -- that last changed this row
    updated_at REAL NOT NULL
);
CREATE INDEX items_by_state ON items (state);
CREATE INDEX items_by_stem ON items (stem);
CREATE INDEX items_by_md5 ON items (md5);
CREATE INDEX items_by_vector ON items (vector_md5);
CREATE INDEX items_by_generation ON items (generation);

CREATE TABLE passed_over (       -- files that hold no picture, so that no rerun opens them
    path BLOB PRIMARY KEY,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    suspect INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE indexes (           -- caches over the segments, newest last
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    space_id INTEGER NOT NULL REFERENCES spaces (id),
    file TEXT NOT NULL,
    sha256 BLOB NOT NULL,
    kind TEXT NOT NULL,
    vectors INTEGER NOT NULL,
    last_vector_id INTEGER NOT NULL,
    recall REAL,                 -- recall@10 against exact search; NULL: the index is exact
    created_at REAL NOT NULL
);

CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    state TEXT NOT NULL CHECK
        (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'interrupted')),
    trigger TEXT NOT NULL,
    options TEXT NOT NULL,
    counters TEXT NOT NULL DEFAULT '{}',
    created_at REAL NOT NULL,
    started_at REAL,
    finished_at REAL,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    message TEXT,
    error_code TEXT,
    warnings TEXT NOT NULL DEFAULT '[]',
    failed_items INTEGER NOT NULL DEFAULT 0,
    total_items INTEGER NOT NULL DEFAULT 0,
    generation INTEGER
);
CREATE INDEX runs_by_state ON runs (state);
"""


class Database:
    """One connection to a catalog, safe to share between threads.

    It follows the file's name: where another file took the place of the one it opened, it opens
    that; where the file is gone it says so, for an open file would go on as if nothing happened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(_cannot_open(path, error)) from error
        self._connect()

    def _connect(self) -> None:
        path = self._path
        try:
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise StoreError(_cannot_open(path, error)) from error
        try:
            self._connection.row_factory = sqlite3.Row
            self._prepare()
            self._file = _identity(path)
        except sqlite3.Error as error:
            self._connection.close()
            if _is_damage(error):
                raise DamagedCatalogError(damaged_catalog(path, error)) from error
            raise StoreError(_cannot_open(path, error)) from error
        except StoreError:
            self._connection.close()
            raise

    def _follow_file(self) -> None:
        found = _identity(self._path)
        if found is None:
            raise StoreError(
                f"{self._path} is gone; the folder is LOOKALIKE_STORE_DIR. What was read before is "
                "answered from memory until it is back."
            )
        if found != self._file:
            self._connection.close()
            self._connect()

    def close(self) -> None:
        """Close the connection; the last one to close folds the write-ahead log in."""
        with self._lock:
            self._connection.close()

    def let_go(self) -> None:
        """Give back the memory in which pages of the file are kept; what reads next, reads anew."""
        with self._lock, self._told_apart():
            self._connection.execute("PRAGMA shrink_memory")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Hold one consistent view of the catalog while the block runs.

        Raises:
            StoreError: the file cannot be read.
        """
        with self._lock, self._told_apart():
            if self._connection.in_transaction:
                yield self._connection
                return
            self._follow_file()
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                self._connection.rollback()

    @contextmanager
    def writing(self, *, prepared: bool = True) -> Iterator[sqlite3.Connection]:
        """Commit what the block did, all of it or, on any error, none.

        Raises:
            StoreError: the file cannot be written, or is damaged.
        """
        with self._lock, self._told_apart():
            if prepared:
                self._follow_file()
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.commit()
            except BaseException:
                self._connection.rollback()
                raise

    @contextmanager
    def _told_apart(self) -> Iterator[None]:
        """Turn what a disk or a damaged file does into a StoreError."""
        try:
            yield
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
            raise
        except sqlite3.DatabaseError as error:
            if _is_damage(error):
                raise DamagedCatalogError(damaged_catalog(self._path, error)) from error
            raise StoreError(
                f"{self._path}: {error}. The folder is LOOKALIKE_STORE_DIR; what was published "
                "before stands."
            ) from error

    def _prepare(self) -> None:
        connection = self._connection
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise StoreVersionError(
                f"{self._path} has format {version}, this Lookalike knows up to {SCHEMA_VERSION}: "
                "run the newer Lookalike that wrote it, or set LOOKALIKE_STORE_DIR to another "
                "folder."
            )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        # A start looks a million hashes up; with SQLite's own 2 MB each is a read of its own.
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        if version < SCHEMA_VERSION:
            self._create()

    def _create(self) -> None:
        with self.writing(prepared=False) as connection:
            # Another process may have created the tables while this one waited for the lock.
            if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
                for statement in _SCHEMA.split(";\n"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells one file from another under the same name; None: there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def damaged_catalog(path: Path, error: Exception) -> str:
    """What to say of a catalog that is not what was written."""
    return (
        f"{path} is damaged: {error}. Run lookalike-ingest repair: it sets the file aside and "
        "makes a new one from the photos and the segments. The folder is LOOKALIKE_STORE_DIR."
    )


def _is_damage(error: sqlite3.Error) -> bool:
    # The extended codes of a damage carry its primary code in their lowest byte.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return True
    # Only Lookalike writes texts here, and never such: a bit of one was flipped.
    return str(error).startswith("Could not decode to UTF-8")


def _cannot_open(path: Path, error: Exception) -> str:
    return f"{path} cannot be opened: {error}. The folder is LOOKALIKE_STORE_DIR."
