"""The files that the catalog remembers, in the order of their paths' bytes."""

from __future__ import annotations

import os
from itertools import starmap
from typing import TYPE_CHECKING, Final

from core.records import FileStat, ItemState, KnownFile

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from core.records import KnownRow


def read_known_files(
    connection: sqlite3.Connection,
    space_id: int | None,
    after: bytes = b"",
    up_to: bytes | None = None,
) -> Iterator[KnownFile]:
    """Every file, or those whose paths come after one path and not after the other."""
    where = "path > ?2" if up_to is None else "path > ?2 AND path <= ?3"
    values = (space_id, after) if up_to is None else (space_id, after, up_to)
    return starmap(_known_file, _plain(connection).execute(_FILES.format(where=where), values))


def read_known_rows(connection: sqlite3.Connection, space_id: int | None) -> Iterator[KnownRow]:
    """Every file but the tombstones, with what tells whether it is unchanged and no more."""
    return _plain(connection).execute(_ROWS, (space_id,))


def _plain(connection: sqlite3.Connection) -> sqlite3.Cursor:
    rows = connection.cursor()
    rows.row_factory = None  # plain tuples: there may be a million
    return rows


_FILES: Final = """
SELECT path, id, size, mtime_ns, ctime_ns, state, md5, suspect,
    EXISTS (SELECT 1 FROM vectors v WHERE v.space_id = ?1 AND v.md5 = items.md5
        AND v.segment_id NOT IN (SELECT id FROM segments WHERE damaged))
    AND (vector_md5 IS md5 OR state != 'indexed'
        OR NOT EXISTS (SELECT 1 FROM spaces WHERE id = ?1 AND state = 'live')) AS has_vector
FROM items WHERE {where}
UNION ALL
SELECT path, NULL, size, mtime_ns, ctime_ns, NULL, NULL, suspect, 0 FROM passed_over WHERE {where}
ORDER BY path
"""

# The contents without a vector are found first, all together, in the order of their hashes: a
# look for each file's would jump about in the table, and take longer than all the rest. The plus
# sign keeps that look to the vectors of damaged segments, of which there are hardly any.
_ROWS: Final = """
WITH lacking AS (
    SELECT md5 FROM items WHERE md5 IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM vectors v WHERE v.space_id = ?1 AND v.md5 = items.md5)
    UNION ALL
    SELECT md5 FROM vectors d WHERE +space_id = ?1
        AND segment_id IN (SELECT id FROM segments WHERE damaged)
        AND NOT EXISTS (SELECT 1 FROM vectors v WHERE v.space_id = ?1 AND v.md5 = d.md5
            AND v.segment_id NOT IN (SELECT id FROM segments WHERE damaged))
)
SELECT path, iif(NOT suspect AND (state = 'failed' OR (
        md5 IS NOT NULL AND md5 NOT IN (SELECT md5 FROM lacking)
        AND (vector_md5 IS md5
            OR NOT EXISTS (SELECT 1 FROM spaces WHERE id = ?1 AND state = 'live')))), size, NULL),
    mtime_ns, ctime_ns
FROM items WHERE state != 'missing'
UNION ALL
SELECT path, iif(suspect, NULL, size), mtime_ns, ctime_ns FROM passed_over
ORDER BY path
"""

_STATES: Final = dict[str | None, ItemState | None](((None, None), *((s, s) for s in ItemState)))


def _known_file(  # noqa: PLR0913, PLR0917  # one for each column
    path: bytes,
    item_id: int | None,
    size: int,
    mtime_ns: int,
    ctime_ns: int,
    state: str | None,
    md5: bytes | None,
    suspect: int,
    has_vector: int,
) -> KnownFile:
    return KnownFile(
        os.fsdecode(path),
        item_id,
        FileStat(size, mtime_ns, ctime_ns),
        _STATES[state],
        md5,
        bool(suspect),
        bool(has_vector),
    )
