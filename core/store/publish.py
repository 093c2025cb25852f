"""One step of a run, published by one transaction.

Write order: segment file durable → transaction inserts its vectors, upserts items, bumps the
generation → COMMIT. Readers see all of a step or nothing of it.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from core.records import FileStat, SpaceState, default_product, printable, stem_of

if TYPE_CHECKING:
    import sqlite3

    from core.records import Space
    from core.store.commit import (
        Commit,
        FailedFile,
        IndexedFile,
        Label,
        MovedFile,
        NewSegment,
        PassedOverFile,
    )


def apply_commit(connection: sqlite3.Connection, space: Space, commit: Commit) -> int:
    """Publish `commit` inside the caller's transaction and give the new generation."""
    generation = bump_generation(connection)
    step = _Step(connection, space, generation, time.time())
    if commit.segment is not None:
        step.insert_vectors(commit.segment)
    step.move(commit.moved)
    step.upsert_indexed(commit.indexed)
    step.upsert_failed(commit.failed)
    step.mark_missing(commit.missing)
    step.pass_over(commit.passed_over, commit.forgotten)
    step.label(commit.labels)
    step.settle_ambiguity()
    return generation


def bump_generation(connection: sqlite3.Connection) -> int:
    """Count one more published state."""
    row = connection.execute(
        "UPDATE meta SET value = value + 1 WHERE key = 'generation' RETURNING value"
    ).fetchone()
    return int(row[0])


class _Step:
    """The statements of one commit."""

    def __init__(
        self, connection: sqlite3.Connection, space: Space, generation: int, now: float
    ) -> None:
        self._connection = connection
        self._space = space
        self._generation = generation
        self._now = now
        self._stems: set[bytes] = set()

    def insert_vectors(self, segment: NewSegment) -> None:
        record, rows = segment.record, segment.rows
        self._connection.execute(
            "INSERT INTO segments (id, space_id, rows, size, sha256, verified_stat) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (
                record.id,
                record.space_id,
                record.rows,
                record.size,
                record.sha256,
                record.verified_stat,
            ),
        )
        # A vector made anew gets a new id, so that an index never mistakes it for the old one; and
        # a video sampled anew may have other moments.
        contents = [md5.tobytes() for md5 in rows.md5]
        self._connection.executemany(
            "DELETE FROM vectors WHERE space_id = ? AND md5 = ?",
            ((self._space.id, md5) for md5 in dict.fromkeys(contents)),
        )
        self._connection.executemany(
            "INSERT INTO vectors (space_id, md5, at_ms, segment_id, row, generation) "
            "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET row = excluded.row",
            (
                (self._space.id, md5, int(rows.at_ms[i]), record.id, i, self._generation)
                for i, md5 in enumerate(contents)
            ),
        )
        # Items whose vector was replaced must be looked up again by readers.
        self._connection.execute(
            "UPDATE items SET generation = ? WHERE vector_md5 IN "
            "(SELECT md5 FROM vectors WHERE segment_id = ?)",
            (self._generation, record.id),
        )

    def upsert_indexed(self, files: list[IndexedFile]) -> None:
        # While a space is being built the live one answers, so an item keeps the vector it shows.
        serves = self._space.state is SpaceState.LIVE
        shown = "excluded.md5" if serves else "vector_md5"
        self._connection.executemany(
            "INSERT INTO items (path, stem, state, size, mtime_ns, ctime_ns, suspect, md5, "
            "vector_md5, product_id, generation, updated_at) "
            "VALUES (?, ?, 'indexed', ?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (path) DO UPDATE SET state = 'indexed', size = excluded.size, "
            "mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns, "
            f"suspect = excluded.suspect, md5 = excluded.md5, vector_md5 = {shown}, "
            "reason_code = NULL, reason = NULL, generation = excluded.generation, "
            "updated_at = excluded.updated_at",
            (
                (
                    *self._name(file.path),
                    *_numbers(file.stat),
                    file.racy,
                    file.md5,
                    file.md5 if serves else None,
                    default_product(printable(file.path)),
                    self._generation,
                    self._now,
                )
                for file in files
            ),
        )

        self._forget_passed_over([file.path for file in files])

    def upsert_failed(self, files: list[FailedFile]) -> None:
        self._connection.executemany(
            "INSERT INTO items (path, stem, state, size, mtime_ns, ctime_ns, suspect, md5, "
            "reason_code, reason, product_id, generation, updated_at) "
            "VALUES (?, ?, 'failed', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (path) DO UPDATE SET state = 'failed', size = excluded.size, "
            "mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns, "
            "suspect = excluded.suspect, md5 = coalesce(excluded.md5, md5), "
            "reason_code = excluded.reason_code, reason = excluded.reason, "
            "generation = excluded.generation, updated_at = excluded.updated_at",
            (
                (
                    *self._name(file.path),
                    *_numbers(file.stat),
                    file.racy,
                    file.md5,
                    file.code,
                    printable(file.reason),
                    default_product(printable(file.path)),
                    self._generation,
                    self._now,
                )
                for file in files
            ),
        )

        self._forget_passed_over([file.path for file in files])

    def move(self, files: list[MovedFile]) -> None:
        for file in files:
            path, stem = self._name(file.path)
            old = self._connection.execute(
                "SELECT path, stem FROM items WHERE id = ?", (file.item_id,)
            ).fetchone()
            self._stems.add(old["stem"])
            # A tombstone may hold the name; it takes the one that falls free. Were its row deleted,
            # a reader that missed the generations between would keep the item for ever.
            tombstone = self._connection.execute(
                "UPDATE items SET path = randomblob(16), generation = ? "
                "WHERE path = ? AND id != ? RETURNING id",
                (self._generation, path, file.item_id),
            ).fetchone()
            self._connection.execute(
                "UPDATE items SET path = ?, stem = ?, size = ?, mtime_ns = ?, ctime_ns = ?, "
                "suspect = ?, generation = ?, updated_at = ? WHERE id = ?",
                (
                    path,
                    stem,
                    *_numbers(file.stat),
                    file.racy,
                    self._generation,
                    self._now,
                    file.item_id,
                ),
            )
            if tombstone is not None:
                self._connection.execute(
                    "UPDATE items SET path = ?, stem = ? WHERE id = ?",
                    (old["path"], old["stem"], tombstone["id"]),
                )

        self._forget_passed_over([file.path for file in files])

    def mark_missing(self, item_ids: list[int]) -> None:
        for item_id in item_ids:
            row = self._connection.execute(
                "UPDATE items SET state = 'missing', generation = ?, updated_at = ? "
                "WHERE id = ? RETURNING stem",
                (self._generation, self._now, item_id),
            ).fetchone()
            self._stems.add(row["stem"])

    def pass_over(self, files: list[PassedOverFile], forgotten: list[str]) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO passed_over (path, size, mtime_ns, ctime_ns, suspect) "
            "VALUES (?, ?, ?, ?, ?)",
            ((os.fsencode(f.path), *_numbers(f.stat), f.racy) for f in files),
        )
        self._forget_passed_over(forgotten)

    def label(self, labels: list[Label]) -> None:
        self._connection.executemany(
            "UPDATE items SET product_id = :product, attributes = :attributes, "
            "generation = :generation WHERE path = :path "
            "AND (product_id != :product OR attributes != :attributes)",
            (
                {
                    "path": os.fsencode(label.path),
                    "product": label.product_id,
                    "attributes": label.attributes,
                    "generation": self._generation,
                }
                for label in labels
            ),
        )

    def settle_ambiguity(self) -> None:
        """Note which items share their stem, where that changed."""
        for stem in self._stems:
            self._connection.execute(
                "UPDATE items SET ambiguous = NOT ambiguous, generation = :generation "
                "WHERE stem = :stem AND state != 'missing' AND ambiguous != "
                "((SELECT count(*) FROM items WHERE stem = :stem AND state != 'missing') > 1)",
                {"stem": stem, "generation": self._generation},
            )

    def _forget_passed_over(self, paths: list[str]) -> None:
        self._connection.executemany(
            "DELETE FROM passed_over WHERE path = ?", ((os.fsencode(path),) for path in paths)
        )

    def _name(self, path: str) -> tuple[bytes, bytes]:
        stem = os.fsencode(stem_of(path))
        self._stems.add(stem)
        return os.fsencode(path), stem


def _numbers(stat: FileStat) -> tuple[int, int, int]:
    return stat.size, stat.mtime_ns, stat.ctime_ns
