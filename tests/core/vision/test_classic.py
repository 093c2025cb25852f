"""What the classic descriptor sees."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from core.vision.classic_parts import PART_SIZES, SIDE, describe
from core.vision.decode import DecodeLimits, decode_image

if TYPE_CHECKING:
    from core.vision.embedder import Embedder

CATALOGUE = Path(__file__).parents[3] / "data" / "images"
LIMITS = DecodeLimits(50_000_000, 50_000_000, "this test")


def _scores(model: Embedder, first: Image.Image, *others: Image.Image) -> np.ndarray:
    vectors = model.embed(np.stack([model.prepare(image) for image in (first, *others)]))
    scores: np.ndarray = vectors[1:] @ vectors[0]
    return scores


def _mug(colour: str, ground: str, scale: float = 1.0) -> Image.Image:
    image = Image.new("RGB", (400, 400), ground)
    draw = ImageDraw.Draw(image)
    left, top, side = 200 - 120 * scale, 200 - 130 * scale, 200 * scale
    draw.rectangle((left, top, left + side, top + side * 1.3), fill=colour)
    draw.ellipse(
        (left + side - 9, top + 50 * scale, left + side * 1.4, top + side), outline=colour, width=18
    )
    return image


def test_a_picture_and_its_mirror_image_are_one(
    classic: Embedder, pictures: list[Image.Image]
) -> None:
    for picture in pictures:
        assert _scores(classic, picture, ImageOps.mirror(picture))[0] > 0.999


def test_near_copies_score_near_one(classic: Embedder, pictures: list[Image.Image]) -> None:
    for picture in pictures[:5]:
        half = picture.resize((max(1, picture.width // 2), max(1, picture.height // 2)))
        brighter = ImageEnhance.Brightness(picture).enhance(1.05)
        assert _scores(classic, picture, half, brighter).min() > 0.9


def test_the_background_does_not_decide(classic: Embedder) -> None:
    red = _mug("#c22", "white")
    same, far, other = _scores(
        classic, red, _mug("#c22", "#cde0ea"), _mug("#c22", "white", 0.6), _mug("#27a", "white")
    )
    assert min(same, far) > classic.default_threshold
    assert min(same, far) > other + 0.2


def test_every_part_is_a_unit_vector_of_its_stated_size(pictures: list[Image.Image]) -> None:
    pixels = np.asarray(pictures[0].resize((SIDE, SIDE)))
    row = describe(pixels)
    assert row.dtype == np.float32
    assert row.shape == (sum(PART_SIZES.values()),)
    for part in np.split(row, np.cumsum(list(PART_SIZES.values()))[:-1]):
        assert 0.9 < np.linalg.norm(part) <= 1.00001


@pytest.fixture(scope="module")
def catalogue(classic: Embedder) -> tuple[list[dict[str, str]], np.ndarray]:
    """The rows of the sample catalogue and the scores between its photos."""
    if not (CATALOGUE / "products.csv").is_file():
        pytest.skip("no sample catalogue")
    with (CATALOGUE / "products.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if (CATALOGUE / row["path"]).is_file()]
    pictures = [decode_image((CATALOGUE / row["path"]).read_bytes(), LIMITS) for row in rows]
    vectors = classic.embed(np.stack([classic.prepare(picture) for picture in pictures]))
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -2)
    return rows, scores


def test_a_catalogue_photos_neighbour_is_mostly_the_same_product(
    catalogue: tuple[list[dict[str, str]], np.ndarray],
) -> None:
    rows, scores = catalogue
    products = np.array([row["product_id"] for row in rows])
    same = products[:, None] == products
    siblings = same.sum(axis=1) > 1
    assert (products[scores.argmax(axis=1)] == products)[siblings].mean() > 0.85


def test_unlike_products_score_low(
    catalogue: tuple[list[dict[str, str]], np.ndarray], classic: Embedder
) -> None:
    rows, scores = catalogue
    kinds = np.array([row["category"] for row in rows])
    unlike = scores[kinds[:, None] != kinds]
    assert np.median(unlike) < 0.3
    assert (unlike < classic.default_threshold).mean() > 0.9
