"""Colours named as a shop assistant would name them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from core.vision.colours import COLOURS, ColourNamer, NamedColour
from core.vision.decode import DecodeLimits, decode_image

CATALOGUE = Path(__file__).parents[3] / "data" / "images"
LIMITS = DecodeLimits(50_000_000, 20_000_000, "LOOKALIKE_MAX_UPLOAD_MB")

PLAIN = {
    "amber": {"orange", "gold", "brown", "yellow"},
    "navy blue": {"navy"},
    "violet": {"purple", "lilac"},
    "silver and blue": {"grey", "blue"},
}
"""What the sample catalogue's less plain words may be called."""


@pytest.fixture(scope="module")
def namer() -> ColourNamer:
    return ColourNamer()


def on(background: str, thing: str, size: tuple[int, int] = (240, 200)) -> Image.Image:
    image = Image.new("RGB", size, background)
    width, height = size
    box = (width // 4, height // 4, 3 * width // 4, 3 * height // 4)
    ImageDraw.Draw(image).ellipse(box, fill=thing)
    return image


@pytest.mark.parametrize("name", COLOURS)
def test_a_shade_that_stands_for_a_name_is_called_so(namer: ColourNamer, name: str) -> None:
    for shade in COLOURS[name].split():
        background = "white" if name not in ("white", "beige", "grey") else "#fcdc3c"
        (first, *_) = namer.name(on(background, shade))
        assert (first.name, first.source) == (name, "pixels"), shade


@pytest.mark.parametrize("background", ["white", "#dfe6ea", "black", "#c8b088", "#30603a"])
def test_the_background_has_no_share(namer: ColourNamer, background: str) -> None:
    assert namer.name(on(background, "#dc1e28")) == [NamedColour("red", 1.0)]


def test_light_that_falls_off_over_the_background_gives_it_no_share(namer: ColourNamer) -> None:
    fall = np.linspace(250, 190, 240).astype(np.uint8)
    image = Image.fromarray(np.repeat(np.tile(fall, (200, 1))[..., None], 3, axis=2))
    ImageDraw.Draw(image).rectangle((80, 60, 160, 140), fill="#1c7e7e")
    assert namer.name(image) == [NamedColour("teal", 1.0)]


def test_a_wall_and_a_table_are_both_background(namer: ColourNamer) -> None:
    image = Image.new("RGB", (240, 240), "#f0f0ee")
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 160, 240, 240), fill="#8f6340")
    pen.rectangle((80, 80, 160, 200), fill="#3c7ee6")
    assert namer.name(image) == [NamedColour("blue", 1.0)]


def test_a_white_thing_keeps_its_inside_on_white(namer: ColourNamer) -> None:
    image = on("white", "#3a3a3c")
    ImageDraw.Draw(image).ellipse((75, 65, 165, 135), fill="white")
    assert namer.name(image)[0].name == "white"


def test_shares_are_of_the_thing_and_the_largest_comes_first(namer: ColourNamer) -> None:
    image = Image.new("RGB", (200, 200), "white")
    pen = ImageDraw.Draw(image)
    pen.rectangle((50, 50, 149, 119), fill="#141e48")  # 70 rows
    pen.rectangle((50, 120, 149, 149), fill="#f8dc32")  # 30 rows
    navy, yellow = namer.name(image)
    assert (navy.name, yellow.name) == ("navy", "yellow")
    assert navy.score == pytest.approx(0.7, abs=0.04)
    assert yellow.score == pytest.approx(0.3, abs=0.04)


def test_a_speck_is_not_named(namer: ColourNamer) -> None:
    image = on("white", "#24803a")
    ImageDraw.Draw(image).ellipse((110, 90, 125, 105), fill="#dc1e28")
    assert [colour.name for colour in namer.name(image)] == ["green"]


def test_a_picture_filled_by_the_thing_is_named_whole(namer: ColourNamer) -> None:
    assert namer.name(Image.new("RGB", (90, 60), "#742ca4")) == [NamedColour("purple", 1.0)]


def test_a_busy_border_makes_the_middle_count_most(namer: ColourNamer) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (150, 150, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((300, 300), Image.Resampling.NEAREST)
    ImageDraw.Draw(image).rectangle((60, 60, 240, 240), fill="#ff9020")
    best = namer.name(image)[0]
    assert best.name == "orange"
    assert best.score > 0.4


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (3000, 2), (7, 5)])
def test_odd_sizes_are_named(namer: ColourNamer, size: tuple[int, int]) -> None:
    assert namer.name(Image.new("RGB", size, "#dc1e28")) == [NamedColour("red", 1.0)]


def test_shares_never_sum_to_more_than_one(namer: ColourNamer) -> None:
    random = np.random.default_rng(3)
    for _ in range(20):
        pixels = random.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        named = namer.name(Image.fromarray(pixels).resize((90, 90), Image.Resampling.NEAREST))
        scores = [colour.score for colour in named]
        assert scores == sorted(scores, reverse=True)
        assert sum(scores) <= 1
        assert all(score >= 0.08 for score in scores)


def test_the_sample_catalogue_is_named_as_its_shop_does(namer: ColourNamer) -> None:
    with (CATALOGUE / "products.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    first = among = 0
    for row in rows:
        image = decode_image((CATALOGUE / row["path"]).read_bytes(), LIMITS)
        names = [colour.name for colour in namer.name(image)]
        said = PLAIN.get(row["colour"]) or set(row["colour"].split()) - {"and"}
        first += names[0] in said
        among += bool(said.intersection(names))
    assert first / len(rows) >= 0.8
    assert among / len(rows) >= 0.95
