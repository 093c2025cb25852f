"""Two uploads compared, as the clients of a two-picture comparer ask for it."""

from __future__ import annotations

import base64
import io
import json
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import requests
from cmap import Colormap
from PIL import Image

from service.heatmap import LONGEST_SIDE, heat_map

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from starlette.testclient import TestClient

    from tests.service.conftest import Draw, Server

COMPUTE = "/compute"
BLACK, WHITE = (0, 0, 0), (255, 255, 255)


def ask(client: TestClient, first: bytes, second: bytes) -> Any:
    return client.post(COMPUTE, files={"file1": ("a.jpg", first), "file2": ("b.jpg", second)})


def picture_of(answer: Any) -> Image.Image:
    head, _, coded = answer.json()["visualization"].partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(coded, validate=True)))


def colour(level: int) -> tuple[int, ...]:
    return tuple(np.rint(Colormap("inferno").lut(256)[level, :3] * 255).astype(int).tolist())


def drawn(first: Image.Image, second: Image.Image) -> NDArray[np.uint8]:
    image = Image.open(io.BytesIO(heat_map(first, second)))
    assert (image.format, image.mode) == ("PNG", "RGB")
    return np.asarray(image)


def test_ping_is_answered(client: TestClient) -> None:
    assert client.get("/ping").json() == {"message": "pong"}


def test_two_pictures_are_scored_and_drawn(client: TestClient, draw: Draw) -> None:
    answer = ask(client, draw(31), draw(32, "PNG", (300, 40)))
    assert answer.status_code == 200
    assert set(answer.json()) == {"similarity_score", "visualization"}
    assert -1 <= answer.json()["similarity_score"] < 1
    image = picture_of(answer)
    assert (image.format, image.size) == ("PNG", (120, 100))


def test_the_score_is_the_cosine_behind_the_distance_of_a_pair(
    client: TestClient, draw: Draw
) -> None:
    found = ask(client, draw(33), draw(34)).json()["similarity_score"]
    coded = [base64.b64encode(draw(seed)).decode() for seed in (33, 34)]
    pair = {"reference_image": coded[0], "generated_image": coded[1]}
    scored = client.post("/similarity", json={"pairs": [pair]}).json()["scores"][0]
    assert found == pytest.approx(1 - scored["distance"], abs=1e-6)


@pytest.mark.parametrize("seed", [1, 35])
def test_nothing_differs_between_a_picture_and_itself(
    client: TestClient, draw: Draw, seed: int
) -> None:
    answer = ask(client, draw(seed), draw(seed))
    assert answer.json()["similarity_score"] == 1.0
    assert picture_of(answer).getcolors() == [(120 * 100, colour(0))]


def test_the_map_shows_the_mean_difference_of_the_channels_on_a_fixed_scale() -> None:
    first = Image.new("RGB", (4, 2), BLACK)
    second = first.copy()
    second.putpixel((0, 0), WHITE)
    second.putpixel((1, 0), (30, 0, 0))
    second.putpixel((2, 1), (1, 2, 1))
    expected = np.full((2, 4, 3), colour(0))
    expected[0, 0], expected[0, 1], expected[1, 2] = colour(255), colour(10), colour(1)
    assert (drawn(first, second) == expected).all()
    assert (drawn(second, first) == expected).all()


def test_a_half_that_differs_is_drawn_where_it_is() -> None:
    first = Image.new("RGB", (200, 100), WHITE)
    second = Image.new("RGB", (100, 50), WHITE)
    second.paste(BLACK, (50, 0, 100, 50))
    levels = drawn(first, second)
    assert (levels[:, :95] == colour(0)).all()
    assert (levels[:, 105:] == colour(255)).all()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((2048, 1024), (1024, 512)),
        ((10, 3000), (3, 1024)),
        ((1, 30_000), (1, 1024)),
        ((1, 1), (1, 1)),
    ],
)
def test_the_map_has_the_first_pictures_size_up_to_a_limit(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    image = Image.new("RGB", size, (9, 9, 9))
    levels = drawn(image, Image.new("RGB", (64, 64), (9, 9, 9)))
    assert levels.shape == (expected[1], expected[0], 3)
    assert max(levels.shape) <= LONGEST_SIDE
    assert (levels == colour(0)).all()


def test_a_file_that_cannot_be_used_is_named(client: TestClient, draw: Draw) -> None:
    for content, status, code in (
        (b"", 415, "empty_file"),
        (b"hello", 415, "not_an_image"),
        (draw(1)[:700], 415, "damaged_image"),
        (draw(1, "BMP", (9000, 6000))[:200], 413, "image_too_large"),
    ):
        for first, second, name in ((content, draw(1), "file1"), (draw(1), content, "file2")):
            answer = ask(client, first, second)
            assert (answer.status_code, answer.json()["code"]) == (status, code)
            assert answer.json()["detail"].startswith(f"{name}: ")


def test_a_missing_file_is_named(client: TestClient, draw: Draw) -> None:
    answer = client.post(COMPUTE, files={"file1": draw(1)})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"][0]["field"] == "file2"


def test_clients_reach_it_as_they_are(server: Server, draw: Draw, tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(draw(len(name)))
    said = subprocess.run(
        ["curl", "-sS", "-F", "file1=@a.jpg", "-F", "file2=@b.jpg", server.url + COMPUTE],
        cwd=tmp_path, capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert json.loads(said)["similarity_score"] == 1.0
    with (tmp_path / "a.jpg").open("rb") as one, (tmp_path / "b.jpg").open("rb") as other:
        answer = requests.post(
            server.url + COMPUTE,
            files={"file1": one, "file2": other},
            headers={"Origin": "http://localhost:3000"},
            timeout=30,
        )
    assert answer.json()["similarity_score"] == 1.0
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
