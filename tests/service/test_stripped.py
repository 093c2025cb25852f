"""Photos leave the house without what a camera writes beside the pixels."""

from __future__ import annotations

import io
import struct
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from core.vision.decode import DecodeLimits, decode_image
from service.picture_answer import range_of
from service.stripped.parts import Span, joined, read_parts, total
from service.stripped.strip import strip
from service.thumbnails import ThumbnailCache

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.testclient import TestClient

    from tests.service.conftest import Draw, Shop

SECRET = b"SECRET-PLACE-52.5N"
PIXELS = 50_000_000
LIMITS = DecodeLimits(PIXELS, 10**9, "X")


def exif(orientation: int = 1) -> Image.Exif:
    made = Image.Exif()
    made[0x0112] = orientation
    made[0x010E] = SECRET.decode()
    made[0x013B] = SECRET.decode()
    gps = made.get_ifd(0x8825)
    gps[1], gps[2] = "N", (52.0, 31.0, 12.0)
    gps[29] = SECRET.decode()
    return made


def photo(kind: str, orientation: int = 1, mode: str = "RGB") -> bytes:
    """A photo as a camera and an editor leave it."""
    gradient = Image.linear_gradient("L").resize((90, 60))
    image = Image.merge("RGB", (gradient, gradient.transpose(0), Image.new("L", (90, 60), 77)))
    image = image.convert(mode)
    more: dict[str, Any] = {"exif": exif(orientation)}
    if kind == "JPEG":
        more |= {"comment": SECRET, "xmp": b"<x>" + SECRET + b"</x>", "progressive": True}
    if kind == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_text("Author", SECRET.decode())
        info.add_itxt("XML:com.adobe.xmp", SECRET.decode(), zip=False)
        info.add_text("Comment", SECRET.decode(), zip=False)
        more |= {"pnginfo": info}
    if kind == "WEBP":
        more |= {"xmp": SECRET, "lossless": True}
    if kind == "GIF":
        more = {"comment": SECRET, "save_all": True, "append_images": [image.rotate(90)], "loop": 0}
    if kind == "AVIF":
        more |= {"quality": 95}
    buffer = io.BytesIO()
    image.save(buffer, kind, **more)
    trailer = b"" if kind in ("TIFF", "AVIF") else SECRET
    return buffer.getvalue() + trailer


def stripped(data: bytes, media_type: str) -> bytes | None:
    file = io.BytesIO(data)
    parts = strip(file, len(data), media_type, PIXELS)
    if parts is None:
        return None
    made = b"".join(read_parts(file, parts, 0, total(parts) - 1))
    assert len(made) == total(parts)
    return made


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_pixels_and_their_turn_stay_and_the_place_goes(kind: str, orientation: int) -> None:
    data = photo(kind, orientation)
    assert SECRET in data
    made = stripped(data, f"image/{kind.lower()}")
    assert made is not None
    assert SECRET not in made
    before, after = decode_image(data, LIMITS), decode_image(made, LIMITS)
    assert after.size == ((90, 60) if orientation < 5 else (60, 90))
    assert np.array_equal(np.asarray(before), np.asarray(after))
    with Image.open(io.BytesIO(made)) as opened:
        assert set(opened.getexif()) <= {0x0112}
        assert not opened.getexif().get_ifd(0x8825)
        assert not {"comment", "xmp", "Author", "Comment"} & set(opened.info)
    assert stripped(made, f"image/{kind.lower()}") == made


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_a_picture_that_tells_nothing_is_sent_byte_for_byte(kind: str, draw: Draw) -> None:
    data = draw(1, kind)
    assert stripped(data, f"image/{kind.lower()}") == data


@pytest.mark.parametrize("mode", ["CMYK", "L"])
def test_colours_stay_as_they_are(mode: str) -> None:
    profile = b"profile" * 9000  # goes over several segments
    image = Image.linear_gradient("L").resize((64, 48)).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", icc_profile=profile, exif=exif(3))
    made = stripped(buffer.getvalue(), "image/jpeg")
    assert made is not None
    with Image.open(io.BytesIO(made)) as opened:
        assert opened.info["icc_profile"] == profile
        assert np.array_equal(
            np.asarray(ImageOps.exif_transpose(opened)),
            np.asarray(ImageOps.exif_transpose(Image.open(buffer))),
        )


def test_an_animation_keeps_its_frames_and_loops() -> None:
    data = photo("GIF")
    made = stripped(data, "image/gif")
    assert made is not None
    assert SECRET not in made
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(made)) as after:
        assert (after.n_frames, after.info.get("loop")) == (before.n_frames, 0)
        for frame in range(before.n_frames):
            before.seek(frame)
            after.seek(frame)
            assert before.convert("RGB").tobytes() == after.convert("RGB").tobytes()


def test_a_preview_inside_the_header_goes() -> None:
    data = photo("JPEG")
    segment = b"JFIF\0\x01\x01\0\0\x01\0\x01\x04\x04" + SECRET[:12] * 4
    data = data[:2] + b"\xff\xe0" + struct.pack(">H", len(segment) + 2) + segment + data[2:]
    made = stripped(data, "image/jpeg")
    assert made is not None
    assert SECRET[:12] not in made
    assert decode_image(made, LIMITS).size == (90, 60)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_file_cut_anywhere_is_sent_without_its_secrets_or_not_at_all(kind: str) -> None:
    data = photo(kind)
    for end in range(12, len(data), 7):
        made = stripped(data[:end], f"image/{kind.lower()}")
        assert made is None or SECRET not in made


def video(kind: str) -> bytes:
    buffer = io.BytesIO()
    codec = "mpeg4" if kind == "mp4" else "libvpx"
    with av.open(buffer, "w", format=kind) as container:
        container.metadata["title"] = SECRET.decode()
        container.metadata["comment"] = SECRET.decode()
        container.metadata["location"] = "+52.5200+013.4050/"
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for shade in range(5):
            pixels = np.full((48, 64, 3), 50 * shade, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["mp4", "webm"])
def test_a_video_keeps_its_frames_and_loses_its_tags(kind: str) -> None:
    data = video(kind)
    assert SECRET in data
    made = stripped(data, f"video/{kind}")
    assert made is not None
    assert b"52.5200" not in made
    if kind == "mp4":
        assert SECRET not in made
    assert len(made) == len(data)

    def frames(content: bytes) -> list[bytes]:
        with av.open(io.BytesIO(content)) as container:
            return [
                frame.to_ndarray(format="rgb24").tobytes() for frame in container.decode(video=0)
            ]

    assert frames(made) == frames(data)
    assert len(frames(made)) == 5


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF"])
def test_what_is_served_tells_no_place_and_finds_itself(shop: Shop, kind: str, draw: Draw) -> None:
    data = photo(kind, orientation=1 if kind in ("GIF", "AVIF") else 6)
    shop.put(f"a.{kind.lower()}", data)
    shop.put("other.jpg", draw(3))
    shop.ingest()
    with shop.open() as client:
        path = f"/api/v1/images/a.{kind.lower()}"
        sent = client.get(path)
        assert sent.status_code == 200
        assert sent.headers["content-type"].startswith("image/")
        for content in (sent.content, client.get(path, params={"size": 64}).content):
            assert SECRET not in content
            with Image.open(io.BytesIO(content)) as opened:
                assert not opened.getexif().get_ifd(0x8825)
        found = client.post("/api/v1/find-similar", files={"file": sent.content}).json()
    best = found["matches"][0]
    assert best["filename"] == f"a.{kind.lower()}"
    assert best["similarity_score"] > 0.999


def test_a_range_is_sent_as_asked(client: TestClient, draw: Draw) -> None:
    whole = draw(4)
    path = "/api/v1/images/shoes/s4.jpg"
    for asked, part, told in (
        ("bytes=0-9", whole[:10], f"bytes 0-9/{len(whole)}"),
        ("bytes=100-", whole[100:], f"bytes 100-{len(whole) - 1}/{len(whole)}"),
        ("bytes=-7", whole[-7:], f"bytes {len(whole) - 7}-{len(whole) - 1}/{len(whole)}"),
    ):
        answer = client.get(path, headers={"Range": asked})
        assert (answer.status_code, answer.content) == (206, part)
        assert answer.headers["content-range"] == told
    for asked in ("bytes=5-1", "pages=1-2", "bytes=1-2,4-5", "bytes=-", "bytes=" + "9" * 40 + "-"):
        assert client.get(path, headers={"Range": asked}).status_code == 200
    answer = client.get(path, headers={"Range": "bytes=9999999-"})
    assert (answer.status_code, answer.content) == (416, b"")
    assert range_of("bytes=-0", 10) == (1, 0)
    assert range_of("bytes=-50", 10) == (0, 9)
    assert range_of("bytes=0-", 0) == (1, 0)


def test_parts_are_read_in_any_cut() -> None:
    file = io.BytesIO(b"0123456789")
    parts = joined([Span(0, 2), Span(2, 2), b"ab", b"c", Span(8, 5)], 10)
    assert parts == [Span(0, 4), b"abc", Span(8, 2)]
    for first in range(9):
        for last in range(first, 9):
            got = b"".join(read_parts(file, parts, first, last))
            assert got == b"0123abc89"[first : last + 1]


def test_thumbnails_are_kept_up_to_a_bound_the_least_used_given_up() -> None:
    cache = ThumbnailCache(10)
    cache.put("a", b"1234")
    cache.put("b", b"1234")
    assert cache.get("a") == b"1234"
    cache.put("c", b"1234")
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (b"1234", None, b"1234")
    cache.put("c", b"12")
    cache.put("huge", b"1" * 11)
    assert cache.held_bytes == 6
    assert cache.get("huge") is None


def test_an_edited_photo_has_another_thumbnail(shop: Shop, draw: Draw) -> None:
    shop.put("a.jpg", draw(1))
    shop.ingest()
    with shop.open() as client:
        first = client.get("/api/v1/images/a.jpg", params={"size": 64}).content
        assert client.get("/api/v1/images/a.jpg", params={"size": 64}).content == first
        shop.put("a.jpg", draw(2))
        assert client.get("/api/v1/images/a.jpg", params={"size": 64}).content != first


def test_swapping_links_under_the_services_hands_never_shows_a_file_outside(
    shop: Shop, draw: Draw, tmp_path: Path
) -> None:
    inside, outside = draw(1), draw(2)
    shop.put("deep/a.jpg", inside)
    shop.ingest()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.jpg").write_bytes(outside)
    deep, kept = shop.folder / "deep", tmp_path / "kept"
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            with suppress(OSError):
                deep.rename(kept)
                deep.symlink_to(elsewhere)
                deep.unlink()
                kept.rename(deep)

    thread = threading.Thread(target=swap)
    with shop.open() as client:
        thread.start()
        try:
            seen = set()
            for _ in range(400):
                answer = client.get("/api/v1/images/deep/a.jpg")
                seen.add(answer.content if answer.status_code == 200 else answer.status_code)
        finally:
            stop.set()
            thread.join()
    assert seen <= {inside, 404}
