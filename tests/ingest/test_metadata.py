"""The shop's product data: read whole or not at all, taken over without embedding anything."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from core.errors import MetadataError
from core.folder.metadata import find_metadata, read_metadata
from tests.shop import entries_of

if TYPE_CHECKING:
    from pathlib import Path

    from core.records import Item
    from tests.shop import Shop


def _labels(shop: Shop) -> dict[str, tuple[str, dict[str, str]]]:
    items: dict[str, Item] = shop.items()
    return {path: (item.product_id, item.attributes) for path, item in items.items()}


_CSV = "path,product_id,colour,brand\n0000.png,shoe,red,\n./0001.png,shoe,,Acme\n0002.png,,blue,A\n"
_EXPECTED = {
    "0000.png": ("shoe", {"colour": "red"}),
    "0001.png": ("shoe", {"brand": "Acme"}),
    "0002.png": ("0002", {"colour": "blue", "brand": "A"}),
    "0003.png": ("0003", {}),
}


def test_a_csv_file_beside_the_photos_labels_them(shop: Shop) -> None:
    shop.photos(4)
    shop.write("products.csv", _CSV)
    shop.ingest()
    assert _labels(shop) == _EXPECTED
    table = shop.snapshot().entries
    entries = {table[place].path: table[place] for place in range(len(table))}
    assert entries["0000.png"].attributes == {"colour": "red"}
    assert entries["0000.png"].product_id == "shoe"


def test_a_json_file_says_the_same(shop: Shop) -> None:
    shop.photos(4)
    rows = [
        {"path": "0000.png", "product_id": "shoe", "colour": "red", "brand": None},
        {"path": "0001.png", "product_id": "shoe", "brand": "Acme"},
        {"path": "0002.png", "colour": "blue", "brand": "A"},
    ]
    shop.write("products.json", json.dumps(rows))
    shop.ingest()
    assert _labels(shop) == _EXPECTED


def test_an_edit_is_taken_over_without_embedding(shop: Shop) -> None:
    shop.photos(4)
    shop.write("products.csv", _CSV)
    shop.ingest()
    held = shop.snapshot()
    shop.write("products.csv", _CSV.replace("red", "green"))
    run = shop.ingest()
    counters = run.counters
    assert (counters.new_images, counters.embedded, counters.hashed, counters.moved) == (0, 0, 0, 0)
    assert _labels(shop)["0000.png"] == ("shoe", {"colour": "green"})
    assert entries_of(shop.snapshot(held)) == entries_of(shop.snapshot())


def test_taking_the_file_away_takes_the_labels_away(shop: Shop) -> None:
    shop.photos(2)
    shop.write("products.csv", _CSV)
    shop.ingest()
    (shop.images / "products.csv").unlink()
    shop.ingest()
    assert _labels(shop) == {"0000.png": ("0000", {}), "0001.png": ("0001", {})}


def test_a_photo_that_comes_later_is_labelled(shop: Shop) -> None:
    shop.photos(1)
    shop.write("products.csv", _CSV)
    run = shop.ingest()
    assert any("0001.png" in warning for warning in run.warnings)
    shop.photos(4)
    run = shop.ingest()
    assert _labels(shop) == _EXPECTED


def test_a_renamed_photo_takes_the_label_of_its_new_name(shop: Shop) -> None:
    shop.photos(2)
    shop.write("products.csv", _CSV)
    shop.ingest()
    (shop.images / "0001.png").rename(shop.images / "0002.png")
    shop.ingest()
    assert _labels(shop)["0002.png"] == _EXPECTED["0002.png"]


def test_a_broken_file_warns_and_keeps_what_was_known(shop: Shop) -> None:
    shop.photos(3)
    shop.write("products.csv", _CSV)
    shop.ingest()
    known = _labels(shop)
    shop.write("products.csv", "colour\nred\n")
    shop.photo("0000.png", seed=99)
    (shop.images / "0001.png").rename(shop.images / "moved.png")
    run = shop.ingest()
    assert any("`path`" in warning and "stays" in warning for warning in run.warnings)
    assert run.counters.modified == 1
    assert _labels(shop)["0000.png"] == known["0000.png"]
    assert _labels(shop)["moved.png"] == known["0001.png"]


def test_a_photo_that_came_while_the_file_was_broken_is_labelled_afterwards(shop: Shop) -> None:
    shop.photos(3)
    shop.write("products.csv", _CSV)
    shop.ingest()
    (shop.images / "0000.png").unlink()
    shop.ingest()
    with shop.catalog() as catalog, catalog.database.writing() as connection:
        connection.execute("DELETE FROM items WHERE path = ?", (b"0000.png",))
    shop.write("products.csv", "colour\nred\n")
    shop.photos(1)
    shop.ingest()
    assert _labels(shop)["0000.png"] == ("0000", {})
    shop.write("products.csv", _CSV)
    shop.ingest()
    assert _labels(shop)["0000.png"] == _EXPECTED["0000.png"]


def test_a_setting_may_name_the_file(shop: Shop, tmp_path: Path) -> None:
    shop.photos(4)
    shop.write("products.csv", "path,colour\n0000.png,ignored\n")
    (tmp_path / "elsewhere.csv").write_text(_CSV)
    shop.ingest(shop.settings(metadata=tmp_path / "elsewhere.csv"))
    assert _labels(shop) == _EXPECTED


def test_a_file_the_setting_names_must_be_there(shop: Shop, tmp_path: Path) -> None:
    shop.photos(1)
    run = shop.ingest(shop.settings(metadata=tmp_path / "none.csv"))
    assert any("LOOKALIKE_METADATA" in warning for warning in run.warnings)


def test_no_file_is_no_data(tmp_path: Path) -> None:
    assert find_metadata(tmp_path, None) is None
    assert read_metadata(None).labels == {}
    assert read_metadata(None).label("shoes/p1.jpg").product_id == "p1"


def test_a_photo_with_two_rows_takes_the_last_and_warns(tmp_path: Path) -> None:
    file = tmp_path / "products.csv"
    file.write_text("path,colour\na.png,red\na.png,blue\n")
    metadata = read_metadata(file)
    assert json.loads(metadata.label("a.png").attributes) == {"colour": "blue"}
    assert "1 photos have more than one row" in metadata.warnings[0]


def test_values_keep_commas_quotes_and_lines(tmp_path: Path) -> None:
    file = tmp_path / "products.csv"
    file.write_bytes(b'\xef\xbb\xbfpath,note\r\n"a,b.png","one, ""two""\nthree: 3"\r\n')
    label = read_metadata(file).label("a,b.png")
    assert json.loads(label.attributes) == {"note": 'one, "two"\nthree: 3'}


def test_json_values_of_any_kind_become_texts(tmp_path: Path) -> None:
    file = tmp_path / "products.json"
    rows = [{"path": "a", "product_id": 12, "n": 0, "b": False, "tags": ["x", "é"], "e": ""}]
    file.write_text(json.dumps(rows))
    label = read_metadata(file).label("a")
    assert label.product_id == "12"
    assert json.loads(label.attributes) == {"n": "0", "b": "false", "tags": '["x", "é"]'}


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("p.csv", b"", "no `path` column"),
        ("p.csv", b"colour\nred\n", "no `path` column"),
        ("p.csv", b"path,a,a\nx,1,2\n", "occurs twice"),
        ("p.csv", b"path,a\nx,1,2\n", "line 2: more fields"),
        ("p.csv", b"path,a\n,1\n", "line 2: `path` is empty"),
        ("p.csv", b'path,a\nx,"open\n', "line"),
        ("p.csv", b"path,a\nx,ok\ny,\xff\xfe\n", "line 3: not UTF-8"),
        ("p.json", b"{", "not JSON"),
        ("p.json", b"[" * 100_000, "not JSON"),
        ("p.json", b'{"path": "a"}', "list of objects"),
        ("p.json", b'["a"]', "entry 0: not an object"),
        ("p.json", b'[{"colour": "red"}]', "entry 0: `path` is empty"),
        ("p.json", b'[{"path": 3}]', "`path` is empty"),
        ("p.json", b'[{"path": "a", "x": "\\ud800"}]', "half a character"),
        ("p.json", b'[{"path": "\\udcff"}]', "half a character"),
    ],
)
def test_what_cannot_be_read_names_file_and_place(
    tmp_path: Path, name: str, data: bytes, said: str
) -> None:
    file = tmp_path / name
    file.write_bytes(data)
    with pytest.raises(MetadataError, match=said) as caught:
        read_metadata(file)
    assert str(file) in str(caught.value)


def test_a_file_that_is_gone_meanwhile_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MetadataError, match="cannot be read"):
        read_metadata(tmp_path / "products.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(MetadataError, match="cannot be read"):
        read_metadata(tmp_path / "folder.csv")
    shutil.rmtree(tmp_path / "folder.csv")
