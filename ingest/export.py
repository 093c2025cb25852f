"""The catalogue as a Parquet file, for notebooks: path, product, attributes, vector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import StoreError
from core.records import STILL, printable
from core.store.catalog import Catalog
from core.store.files import write_file_durably
from core.store.snapshot import read_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.store.snapshot import Snapshot

_ROWS_AT_ONCE: Final = 8_192


def export_catalogue(store_dir: Path, target: Path) -> int:
    """Write every searchable photo, one row each, ordered by vector; give the number of rows.

    Columns: ``path``, ``product_id``, ``attributes`` (map of text to text), ``at_ms`` (null for a
    still picture), ``vector`` (fixed list of float32, unit length). The file's metadata names the
    model and the generation.

    Raises:
        StoreError: nothing has been ingested yet, or vectors are damaged.
        OSError: the file cannot be written; nothing is left behind.
    """
    catalog = Catalog(store_dir)
    try:
        snapshot = read_snapshot(catalog)
        if snapshot.space is None:
            raise StoreError(f"{store_dir} holds nothing yet: run lookalike-ingest run first.")
        if snapshot.problems:
            raise StoreError(f"{' '.join(snapshot.problems)} Run lookalike-ingest run first.")
        write_file_durably(target, lambda temporary: _write(temporary, snapshot))
        return len(snapshot.entries)
    finally:
        catalog.close()


def _write(path: Path, snapshot: Snapshot) -> None:
    assert snapshot.space is not None  # noqa: S101  # checked by the caller
    schema = pa.schema(
        [
            ("path", pa.string()),
            ("product_id", pa.string()),
            ("attributes", pa.map_(pa.string(), pa.string())),
            ("at_ms", pa.int64()),
            ("vector", pa.list_(pa.float32(), snapshot.space.dimension)),
        ],
        metadata={
            "lookalike.model": snapshot.space.spec,
            "lookalike.space": snapshot.space.fingerprint,
            "lookalike.generation": str(snapshot.generation),
        },
    )
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in _batches(snapshot, schema):
            writer.write_batch(batch)


def _batches(snapshot: Snapshot, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    assert snapshot.vectors is not None  # noqa: S101  # a snapshot with a space has them
    entries = snapshot.entries
    for start in range(0, len(entries), _ROWS_AT_ONCE):
        rows = [entries[place] for place in range(start, min(start + _ROWS_AT_ONCE, len(entries)))]
        vectors = snapshot.vectors.read(np.array([row.vector_id for row in rows], np.int64))
        columns = {
            "path": [printable(row.path) for row in rows],
            "product_id": [row.product_id for row in rows],
            "attributes": [list(row.attributes.items()) for row in rows],
            "at_ms": [None if row.at_ms == STILL else row.at_ms for row in rows],
            "vector": list(vectors),
        }
        arrays = [pa.array(columns[field.name], type=field.type) for field in schema]
        yield pa.record_batch(arrays, schema=schema)
