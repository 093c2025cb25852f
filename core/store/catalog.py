"""The catalog: which spaces, items, vectors and runs there are, and the generation they are at."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from core.errors import StoreError
from core.records import Item, ItemState, Space, SpaceState
from core.store.browse import ItemFilter
from core.store.database import CATALOG_FILE, Database
from core.store.known import read_known_files, read_known_rows
from core.store.publish import apply_commit, bump_generation
from core.store.runs import RunLog
from core.store.segments import SegmentRecord

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator, Iterable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from core.records import KnownFile, KnownRow, ModelIdentity
    from core.store.commit import Commit

_LOOKUP_CHUNK: Final = 500


class Catalog:
    """One open catalog; share it between threads, or open one for each long reader."""

    def __init__(self, store_dir: Path) -> None:
        self.store_dir = store_dir
        self.database = Database(store_dir / CATALOG_FILE)
        self.runs = RunLog(self.database)

    def close(self) -> None:
        """Close the connection."""
        self.database.close()

    def generation(self) -> int:
        """How many states have been published."""
        return int(self.get_note("generation") or 0)

    def store_id(self) -> str:
        """Names this store; one that is made anew in its place has another name."""
        return str(self.get_note("store_id"))

    # Spaces

    def live_space(self) -> Space | None:
        """The space that answers searches; None before the first run."""
        return self._space("state = ?", SpaceState.LIVE)

    def space_of(self, fingerprint: str) -> Space | None:
        """The space of a model, whatever its state."""
        return self._space("fingerprint = ?", fingerprint)

    def ensure_space(self, identity: ModelIdentity) -> Space:
        """The space of a model, made if need be: live if it is the first, else building."""
        with self.database.writing() as connection:
            live = connection.execute("SELECT id FROM spaces WHERE state = 'live'").fetchone()
            state = SpaceState.BUILDING if live else SpaceState.LIVE
            # A space that was being built for a model since given up is as good as retired.
            connection.execute(
                "UPDATE spaces SET state = 'retired', retired_at = ? "
                "WHERE state = 'building' AND fingerprint != ?",
                (time.time(), identity.fingerprint),
            )
            connection.execute(
                "INSERT INTO spaces (fingerprint, spec, weights, dimension, default_threshold, "
                "state) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (fingerprint) DO UPDATE SET "
                "spec = excluded.spec, weights = excluded.weights, "
                "default_threshold = excluded.default_threshold, "
                "state = iif(state = 'live', 'live', excluded.state)",
                (
                    identity.fingerprint,
                    identity.spec,
                    str(identity.weights) if identity.weights else None,
                    identity.dimension,
                    identity.default_threshold,
                    state,
                ),
            )
        space = self.space_of(identity.fingerprint)
        assert space is not None  # noqa: S101  # inserted above
        return space

    def go_live(self, space: Space) -> Space:
        """Let a built space answer in place of the live one, in one transaction."""
        with self.database.writing() as connection:
            generation = bump_generation(connection)
            connection.execute(
                "UPDATE spaces SET state = 'retired', retired_at = ? WHERE state = 'live'",
                (time.time(),),
            )
            connection.execute("UPDATE spaces SET state = 'live' WHERE id = ?", (space.id,))
            # From here an item shows the content that was embedded while the space was built. What
            # has no vector here shows nothing, even if an older content had one before.
            connection.execute(
                "UPDATE items SET generation = ?, vector_md5 = CASE WHEN state != 'failed' AND "
                "EXISTS (SELECT 1 FROM vectors v WHERE v.space_id = ? AND v.md5 = items.md5) "
                "THEN md5 END",
                (generation, space.id),
            )
        live = self.live_space()
        assert live is not None  # noqa: S101  # made live above
        return live

    # Vectors

    def next_segment_id(self) -> int:
        """The id of the next segment; ids are never used twice."""
        with self.database.reading() as connection:
            row = connection.execute(
                "SELECT seq FROM sqlite_sequence WHERE name = 'segments'"
            ).fetchone()
            return 1 + (row["seq"] if row else 0)

    def segments(self, space_id: int | None = None) -> list[SegmentRecord]:
        """The segments of one space, or all, oldest first."""
        where, values = ("WHERE space_id = ?", [space_id]) if space_id is not None else ("", [])
        with self.database.reading() as connection:
            rows = connection.execute(f"SELECT * FROM segments {where} ORDER BY id", values)
            return [SegmentRecord(**dict(row)) for row in rows]

    def embedded(self, space_id: int, md5s: Iterable[bytes]) -> set[bytes]:
        """Which of `md5s` have a vector in the space."""
        wanted = list(md5s)
        found: set[bytes] = set()
        with self.database.reading() as connection:
            for start in range(0, len(wanted), _LOOKUP_CHUNK):
                chunk = wanted[start : start + _LOOKUP_CHUNK]
                marks = ",".join("?" * len(chunk))
                found.update(
                    row["md5"]
                    for row in connection.execute(
                        f"SELECT md5 FROM vectors WHERE space_id = ? AND md5 IN ({marks}) "
                        "AND segment_id NOT IN (SELECT id FROM segments WHERE damaged)",
                        (space_id, *chunk),
                    )
                )
        return found

    def publish(self, space: Space, commit: Commit) -> int:
        """Publish one step of a run; the COMMIT of this transaction is what readers see."""
        with self.database.writing() as connection:
            return apply_commit(connection, space, commit)

    # Items

    def known_files(
        self, space_id: int | None, after: bytes = b"", up_to: bytes | None = None
    ) -> Generator[KnownFile, None, None]:
        """Every file the catalog remembers, in the order of their path's bytes.

        Where two paths are given: those after the one and not after the other. `has_vector` speaks
        of the given space; without one it is always false. In the live space it also takes that
        the vector is the one that stands for the file in searches. Until it has ended or been
        closed it holds the connection.
        """
        with self.database.reading() as connection:
            yield from read_known_files(connection, space_id, after, up_to)

    def count_passed_over(self) -> int:
        """How many files the catalog remembers as no pictures."""
        with self.database.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM passed_over").fetchone()[0])

    @contextmanager
    def known_rows(self, space_id: int | None) -> Iterator[Future[Iterator[KnownRow]]]:
        """The same without the tombstones, as little of each file as a comparison takes.

        The first row takes a while, in which the caller can do something else. The block holds the
        connection; files read in it, once the rows have come, are of the same state.
        """
        with self.database.reading() as connection, ThreadPoolExecutor(1) as beside:
            yield beside.submit(read_known_rows, connection, space_id)

    def items(
        self, wanted: ItemFilter | ItemState | None, limit: int, offset: int = 0
    ) -> tuple[list[Item], int]:
        """Items in the order of their paths, and how many there are of that kind."""
        only = wanted if isinstance(wanted, ItemFilter) else ItemFilter(wanted)
        where, values = only.condition()
        with self.database.reading() as connection:
            rows = connection.execute(
                f"SELECT * FROM items {where} ORDER BY path LIMIT ? OFFSET ?",
                (*values, limit, offset),
            ).fetchall()
            total = connection.execute(f"SELECT count(*) FROM items {where}", values).fetchone()[0]
            return [_item(row) for row in rows], total

    def item_paths(self) -> list[str]:
        """The path of every item, missing ones included."""
        with self.database.reading() as connection:
            return [os.fsdecode(row[0]) for row in connection.execute("SELECT path FROM items")]

    def find_item(self, path: str) -> Item | None:
        """The item of a path, whatever its state."""
        with self.database.reading() as connection:
            row = connection.execute(
                "SELECT * FROM items WHERE path = ?", (os.fsencode(path),)
            ).fetchone()
            return _item(row) if row else None

    def count_items(self) -> dict[ItemState, int]:
        """How many items are in each state."""
        counts = dict.fromkeys(ItemState, 0)
        with self.database.reading() as connection:
            for row in connection.execute("SELECT state, count(*) AS n FROM items GROUP BY state"):
                counts[ItemState(row["state"])] = row["n"]
        return counts

    def count_attributes(self) -> dict[str, list[tuple[str, int]]]:
        """For each key, how often each value occurs among searchable items, most frequent first."""
        counted: dict[str, list[tuple[str, int]]] = {}
        with self.database.reading() as connection:
            for row in connection.execute(
                "SELECT a.key, a.value, count(*) AS n FROM items, json_each(items.attributes) a "
                "WHERE vector_md5 IS NOT NULL AND state != 'missing' "
                "GROUP BY a.key, a.value ORDER BY a.key, n DESC, a.value"
            ):
                counted.setdefault(row["key"], []).append((row["value"], row["n"]))
        return counted

    def request_retry(self, paths: Iterable[str] | None) -> int:
        """Have failed items tried again at the next run; None: all of them. Gives their number."""
        with self.database.writing() as connection:
            if paths is None:
                return connection.execute(
                    "UPDATE items SET suspect = 1 WHERE state = 'failed'"
                ).rowcount
            return sum(
                connection.execute(
                    "UPDATE items SET suspect = 1 WHERE state = 'failed' AND path = ?",
                    (os.fsencode(path),),
                ).rowcount
                for path in paths
            )

    # Notes: small facts under a name

    def get_note(self, key: str) -> str | int | float | None:
        """The fact kept under `key`."""
        with self.database.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
            return row["value"] if row else None

    def set_note(self, key: str, value: str | float) -> None:
        """Keep a fact under `key`."""
        if key in ("generation", "store_id"):
            raise StoreError(f"The {key} is not for setting.")
        with self.database.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def _space(self, where: str, value: str) -> Space | None:
        with self.database.reading() as connection:
            row = connection.execute(f"SELECT * FROM spaces WHERE {where}", (value,)).fetchone()
            return _space(row) if row else None


def _item(row: sqlite3.Row) -> Item:
    state = ItemState(row["state"])
    return Item(
        id=row["id"],
        path=os.fsdecode(row["path"]),
        state=state,
        md5=row["md5"],
        stale=state is ItemState.FAILED and row["vector_md5"] is not None,
        reason_code=row["reason_code"],
        reason=row["reason"],
        size=row["size"],
        product_id=row["product_id"],
        attributes=json.loads(row["attributes"]),
        updated_at=row["updated_at"],
    )


def _space(row: sqlite3.Row) -> Space:
    return Space(
        id=row["id"],
        fingerprint=row["fingerprint"],
        spec=row["spec"],
        weights=row["weights"],
        dimension=row["dimension"],
        default_threshold=row["default_threshold"],
        state=SpaceState(row["state"]),
    )
