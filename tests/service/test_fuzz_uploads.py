"""Thousands of damaged pictures: each is answered, and none harms the service."""

from __future__ import annotations

import gc
import io
import time
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest
from PIL import Image

from core.errors import ImageError
from core.vision.decode import DecodeLimits, decode_image, media_type
from service.questions import Crop
from service.stripped.parts import read_parts, total
from service.stripped.strip import strip
from tests.mutants import mutants
from tests.service.test_stripped import PIXELS, photo, video

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from tests.service.conftest import Draw

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

LIMITS = DecodeLimits(2_000_000, 1_000_000, "LOOKALIKE_MAX_UPLOAD_MB")
DETAIL = 20  # pixels that both sides keep
KINDS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF")
MODES = {"PNG": ("1", "LA", "P", "I;16"), "TIFF": ("CMYK", "F", "I;16", "1"), "BMP": ("P", "L")}
SLOWEST_S = 5.0
MOST_GROWTH_BYTES = 200_000_000


def seeds() -> list[bytes]:
    """Valid pictures of every format and of the stranger modes."""
    found = [photo(kind, 6) for kind in KINDS]
    for kind, modes in MODES.items():
        for mode in modes:
            buffer = io.BytesIO()
            grey = Image.linear_gradient("L").resize((60, 40))
            deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
            (deep if mode == "I;16" else grey.convert(mode)).save(buffer, kind)
            found.append(buffer.getvalue())
    return found


def look_at(data: bytes) -> bool:
    """Decode as a search would; whether there was a picture."""
    started = time.monotonic()
    try:
        image = decode_image(data, LIMITS, DETAIL)
        Crop.of(0.2, 0.2, 0.21, 0.9).cut(image).load()
    except ImageError:
        return False
    finally:
        assert time.monotonic() - started < SLOWEST_S
    assert image.mode == "RGB"
    return True


def send(data: bytes) -> None:
    """Leave out what a camera wrote, as the image route would."""
    kind = media_type(data[:12])
    if kind is None:
        return
    file = io.BytesIO(data)
    parts = strip(file, len(data), kind, PIXELS)
    if parts is not None:
        sent = sum(map(len, read_parts(file, parts, 0, total(parts) - 1)))
        assert sent == total(parts) <= len(data) + 100


def memory() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


def attack(count: int, seed: int) -> int:
    decoded = 0
    before = 0
    for number, data in enumerate(mutants(seeds(), count, seed)):
        decoded += look_at(data)
        send(data)
        if number == count // 4:
            before = memory()
    assert memory() - before < MOST_GROWTH_BYTES
    return decoded


def test_damaged_pictures_are_pictures_or_errors_of_ours() -> None:
    decoded = attack(1500, seed=1)
    assert 50 < decoded < 1450


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_thousand_damaged_pictures_are_pictures_or_errors_of_ours() -> None:
    attack(12_000, seed=2)


def test_damaged_uploads_are_answered(client: TestClient, draw: Draw) -> None:
    _upload(client, 150, seed=3)
    best = client.post("/api/v1/find-similar", files={"file": draw(4)}).json()["matches"][0]
    assert best["image_id"] == "shoes/s4"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_thousands_of_damaged_uploads_are_answered(client: TestClient) -> None:
    _upload(client, 3000, seed=4)


def _upload(client: TestClient, count: int, seed: int) -> None:
    routes = ("find-similar", "describe", "embeddings", "find-similar?crop=0.1,0.1,0.5,0.9")
    for number, data in enumerate(mutants(seeds(), count, seed)):
        route = routes[number % len(routes)]
        field = "files" if route == "embeddings" else "file"
        answer = client.post(f"/api/v1/{route}", files={field: data})
        assert answer.status_code in (200, 413, 415, 422), (route, answer.text)


def test_damaged_forms_are_answered(client: TestClient, draw: Draw) -> None:
    form = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n'
        b"Content-Type: image/jpeg\r\n\r\n" + draw(1)[:300] + b"\r\n"
        b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\nvalue\r\n--b--\r\n'
    )
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    for data in mutants([form], 600, seed=5):
        answer = client.post("/api/v1/find-similar", content=data, headers=headers)
        assert answer.status_code in (200, 400, 413, 415, 422), answer.text
    for boundary in ("", "=", '"', "x" * 5000, "b; charset=utf-16", "é"):
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        answer = client.post(
            "/api/v1/find-similar",
            content=form,
            headers={k: v.encode() for k, v in headers.items()},
        )
        assert answer.status_code in (400, 422), answer.text


@pytest.mark.parametrize("kind", ["mp4", "webm"])
def test_damaged_videos_are_sent_without_their_tags_or_not_at_all(kind: str) -> None:
    for data in mutants([video(kind)], 400, seed=6):
        file = io.BytesIO(data)
        parts = strip(file, len(data), f"video/{kind}", PIXELS)
        if parts is not None:
            assert sum(map(len, read_parts(file, parts, 0, total(parts) - 1))) == total(parts)
