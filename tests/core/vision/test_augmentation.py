"""Vectors averaged over a picture and its mirror image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.settings import Settings
from core.vision.augmentation import FlipAveraged
from core.vision.embedder import unit_rows
from core.vision.models import ModelSource, load_embedder, source_key

if TYPE_CHECKING:
    from tests.shop import Shop

PIXELS = np.random.default_rng(3).integers(0, 256, (3, 128, 128, 3), dtype=np.uint8)


def test_a_picture_and_its_mirror_image_have_one_vector() -> None:
    plain, flipped = (
        load_embedder(ModelSource(spec, None)) for spec in ("classic", "classic+flip")
    )
    side = plain.image_size
    pixels = np.ascontiguousarray(PIXELS[:, :side, :side])
    vectors = flipped.embed(pixels)
    assert np.allclose(vectors, flipped.embed(pixels[:, :, ::-1].copy()), atol=1e-5)
    expected = unit_rows(plain.embed(pixels) + plain.embed(pixels[:, :, ::-1].copy()))
    assert np.allclose(vectors, expected, atol=1e-6)
    assert flipped.fingerprint != plain.fingerprint
    assert flipped.dimension == plain.dimension


def test_it_bears_as_many_passes_as_the_model_it_averages() -> None:
    plain = load_embedder(ModelSource("classic", None))
    plain.passes_at_once = 2
    assert FlipAveraged(plain).passes_at_once == 2


def test_the_setting_is_part_of_the_spec_and_of_its_key() -> None:
    with_flip = ModelSource.from_settings(Settings.load(tta="flip"))
    without = ModelSource.from_settings(Settings.load())
    assert with_flip.spec == "classic+flip"
    assert with_flip.plain == without
    assert source_key(with_flip) != source_key(without)


def test_switching_it_on_builds_a_space_of_its_own(shop: Shop) -> None:
    shop.photos(3)
    shop.ingest()
    run = shop.ingest(shop.settings(tta="flip"))
    assert run.counters.embedded == 3
    space = shop.snapshot().space
    assert space is not None
    assert space.spec == "classic+flip"
