"""The Parquet file that a notebook reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
import pytest

from core.errors import StoreError
from ingest.export import export_catalogue
from tests.shop import vector_of

if TYPE_CHECKING:
    from tests.shop import Shop


def test_every_searchable_photo_is_a_row_with_its_vector(shop: Shop) -> None:
    red, blue = shop.photo("shoes/red.png", 1), shop.photo("blue.png", 2)
    shop.write("broken.png", "no picture")
    shop.write("products.csv", "path,product_id,colour\nshoes/red.png,p1,red\n")
    shop.ingest()
    target = shop.store.parent / "out.parquet"

    assert export_catalogue(shop.store, target) == 2

    table = pq.read_table(target)
    rows = {row["path"]: row for row in table.to_pylist()}
    assert set(rows) == {"shoes/red.png", "blue.png"}
    assert rows["shoes/red.png"]["product_id"] == "p1"
    assert dict(rows["shoes/red.png"]["attributes"]) == {"colour": "red"}
    assert rows["blue.png"]["at_ms"] is None
    for path, file in (("shoes/red.png", red), ("blue.png", blue)):
        vector = np.array(rows[path]["vector"], np.float32)
        assert float(vector @ vector_of(file.read_bytes())) > 0.9999
    assert table.schema.metadata[b"lookalike.model"] == b"classic"


def test_a_store_never_filled_has_nothing_to_export(shop: Shop) -> None:
    target = shop.store.parent / "out.parquet"
    with pytest.raises(StoreError, match="lookalike-ingest run"):
        export_catalogue(shop.store, target)
    assert not target.exists()


def test_the_command_writes_the_file_and_says_how_much(shop: Shop) -> None:
    shop.photos(2)
    shop.ingest()
    target = shop.store.parent / "out.parquet"
    done = shop.cli("export", str(target))
    assert done.returncode == 0, done.stderr
    assert "2 rows" in done.stdout
    assert pq.read_table(target).num_rows == 2
