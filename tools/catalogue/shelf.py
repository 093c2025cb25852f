"""Writes the catalogue: the pictures, and the table that says what each of them shows.

Layout of the images folder: ``<category>/<product id>-<view>.jpg`` (some ``.png``), and
``products.csv`` with one row per picture. The queries folder is flat and has no table.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

from tools.catalogue.canvas import Canvas
from tools.catalogue.products import Product, Shot, plan_shots
from tools.catalogue.scene import photograph

TABLE_NAME = "products.csv"
COLUMNS = ("path", "product_id", "name", "category", "colour", "brand", "price")
JPEG_QUALITY = 86


def write_catalogue(products: Sequence[Product], folder: Path, size_px: int | None = None) -> int:
    """Draw every picture of the products and their table; return the number of pictures."""
    rows: list[tuple[str, ...]] = []
    for product in products:
        for shot in plan_shots(product):
            write_shot(shot, folder, size_px)
            rows.append(_row(shot.path, product))
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / TABLE_NAME).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    return len(rows)


def write_shot(shot: Shot, folder: Path, size_px: int | None = None) -> None:
    """Draw one picture into the folder; ``size_px`` replaces the size that was planned."""
    canvas = Canvas(size_px or shot.size_px, shot.view, shot.scene.light_from_left)
    shot.draw(canvas, shot.palette)
    picture = photograph(canvas, shot.scene, shot.pose)
    target = folder / shot.path
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix == ".png":
        picture.save(target, optimize=True)
    else:
        picture.save(target, quality=JPEG_QUALITY, optimize=True)


def _row(path: str, product: Product) -> tuple[str, ...]:
    kind = product.category.name
    about = (product.name, kind, product.colour, product.brand, product.price)
    return (path, product.product_id, *about)
