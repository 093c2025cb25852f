"""What every embedder promises, whatever is behind it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

from core.errors import NoTextTowerError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    from core.vision.embedder import Embedder


@pytest.fixture(params=["classic", "compact", "clip", "backbone", "dreamsim"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    model: Embedder = request.getfixturevalue(request.param)
    return model


@pytest.fixture
def pixels(embedder: Embedder, pictures: list[Image.Image]) -> NDArray[np.uint8]:
    return np.stack([embedder.prepare(picture) for picture in pictures])


def test_prepared_pictures_are_squares_of_bytes(
    embedder: Embedder, pixels: NDArray[np.uint8]
) -> None:
    size = embedder.image_size
    assert pixels.shape[1:] == (size, size, 3)
    assert pixels.dtype == np.uint8


def test_vectors_are_unit_float32_of_the_stated_dimension(
    embedder: Embedder, pixels: NDArray[np.uint8]
) -> None:
    vectors = embedder.embed(pixels)
    assert vectors.shape == (len(pixels), embedder.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_the_same_pictures_give_the_same_vectors(
    embedder: Embedder, pixels: NDArray[np.uint8]
) -> None:
    np.testing.assert_array_equal(embedder.embed(pixels), embedder.embed(pixels))


def test_a_row_does_not_depend_on_its_batch(embedder: Embedder, pixels: NDArray[np.uint8]) -> None:
    together = embedder.embed(pixels)
    alone = np.concatenate([embedder.embed(picture[None]) for picture in pixels])
    np.testing.assert_allclose(together, alone, atol=2e-5)
    np.testing.assert_allclose(embedder.embed(pixels[::-1])[::-1], together, atol=2e-5)


def test_read_only_and_sliced_pixels_are_taken(
    embedder: Embedder, pixels: NDArray[np.uint8]
) -> None:
    frozen = pixels.copy()
    frozen.flags.writeable = False
    np.testing.assert_allclose(embedder.embed(frozen[::2]), embedder.embed(pixels)[::2], atol=2e-5)


@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_a_picture_of_one_colour_still_has_a_vector(embedder: Embedder, level: int) -> None:
    size = embedder.image_size
    vectors = embedder.embed(np.full((1, size, size, 3), level, dtype=np.uint8))
    assert np.isfinite(vectors).all()
    assert np.linalg.norm(vectors) == pytest.approx(1, abs=1e-5)


def test_fingerprint_names_the_space(embedder: Embedder) -> None:
    assert re.fullmatch("[0-9a-f]{32}", embedder.fingerprint)


def test_default_threshold_is_a_score(embedder: Embedder) -> None:
    assert 0 < embedder.default_threshold < 1


def test_text_goes_into_the_same_space_or_is_refused(embedder: Embedder) -> None:
    if embedder.supports_text:
        vectors = embedder.embed_texts(["a red shoe", "a green apple", "鞋 👟"])
        assert vectors.shape == (3, embedder.dimension)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    else:
        with pytest.raises(NoTextTowerError, match="open_clip"):
            embedder.embed_texts(["a red shoe"])


def test_classes_come_best_first_or_not_at_all(
    embedder: Embedder, pixels: NDArray[np.uint8]
) -> None:
    classes = embedder.classify(pixels, top=4)
    assert len(classes) == len(pixels)
    for row in classes:
        assert len(row) == (4 if embedder.supports_classes else 0)
        scores = [prediction.score for prediction in row]
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= score <= 1 for score in scores)


def test_vectors_and_classes_together_are_those_made_apart(
    embedder: Embedder, pixels: NDArray[np.uint8]
) -> None:
    vectors, classes = embedder.embed_and_classify(pixels, top=2)
    np.testing.assert_allclose(vectors, embedder.embed(pixels), atol=1e-6)
    labels = [[prediction.label for prediction in row] for row in classes]
    apart = embedder.classify(pixels, top=2)
    assert labels == [[prediction.label for prediction in row] for row in apart]
