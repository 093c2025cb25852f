"""The drawn sample catalogue: what ships is what the program draws, and its table is true."""

import csv
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from tools.catalogue.shelf import write_catalogue, write_shot
from tools.catalogue.stock import PRODUCTS, QUERIES
from tools.draw_catalogue import main

DATA_FOLDER = Path(__file__).resolve().parents[2] / "data"
SMALL_PX = 48  # the set of files and their table do not depend on the size


@pytest.fixture(scope="module")
def redrawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalogue")
    main(["--output", str(folder), "--size", str(SMALL_PX)])
    return folder


def files_in(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def shipped_rows() -> list[dict[str, str]]:
    with (DATA_FOLDER / "images" / "products.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("part", ["images", "queries"])
def test_the_program_redraws_the_files_that_ship(redrawn: Path, part: str) -> None:
    assert files_in(redrawn / part) == files_in(DATA_FOLDER / part)


def test_the_program_rewrites_the_table_that_ships(redrawn: Path) -> None:
    drawn = (redrawn / "images" / "products.csv").read_bytes()
    assert drawn == (DATA_FOLDER / "images" / "products.csv").read_bytes()


def test_every_picture_has_one_row_and_every_row_a_picture() -> None:
    listed = [row["path"] for row in shipped_rows()]
    assert len(listed) == len(set(listed))
    assert set(listed) == files_in(DATA_FOLDER / "images") - {"products.csv"}


def test_every_product_has_at_least_two_views() -> None:
    views = Counter(row["product_id"] for row in shipped_rows())
    assert min(views.values()) >= 2


def test_every_row_is_filled_in_and_lies_in_the_folder_of_its_category() -> None:
    for row in shipped_rows():
        assert all(row.values()), row
        assert row["path"].split("/")[0] == row["category"]
        assert float(row["price"]) > 0


@pytest.mark.parametrize("mark", [",", ":"])
def test_some_value_holds_a_mark_that_careless_readers_trip_over(mark: str) -> None:
    assert any(mark in value for row in shipped_rows() for value in row.values())


def test_every_shipped_picture_opens_in_full() -> None:
    for path in [*DATA_FOLDER.rglob("*.jpg"), *DATA_FOLDER.rglob("*.png")]:
        with Image.open(path) as picture:
            picture.load()
            assert 400 <= min(picture.size) <= max(picture.size) <= 480, path


def test_queries_are_not_pictures_of_the_catalogue() -> None:
    catalogue = {p.read_bytes() for p in (DATA_FOLDER / "images").rglob("*") if p.is_file()}
    assert all(p.read_bytes() not in catalogue for p in (DATA_FOLDER / "queries").iterdir())


def test_drawing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    folders = (tmp_path / "once", tmp_path / "again")
    for folder in folders:
        write_catalogue(PRODUCTS[::6], folder, SMALL_PX)
        for query in QUERIES:
            write_shot(query, folder, SMALL_PX)
    once, again = ({n: (f / n).read_bytes() for n in files_in(f)} for f in folders)
    assert once == again
