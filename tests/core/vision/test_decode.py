"""Every format, orientation and way to be broken."""

from __future__ import annotations

import io
import random
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from core.errors import (
    EmptyFileError,
    ImageError,
    ImageTooLargeError,
    NotAnImageError,
    TruncatedImageError,
)
from core.settings import Settings
from core.vision.decode import (
    FORMATS,
    MAGIC_BYTES,
    DecodeLimits,
    decode_image,
    looks_like_image,
)
from core.vision.models import ModelSource, load_embedder

QUERIES = Path(__file__).parents[3] / "data" / "queries"

pillow_heif.register_heif_opener(thumbnails=False)  # for writing the pictures of these tests

LIMITS = DecodeLimits(4_000_000, 10_000_000, "LOOKALIKE_MAX_UPLOAD_MB")
LOSSLESS = ("PNG", "BMP", "TIFF")


def _encode(image: Image.Image, name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def _decode(data: bytes) -> np.ndarray:
    image = decode_image(data, LIMITS)
    assert image.mode == "RGB"
    return np.asarray(image)


@pytest.fixture(scope="module")
def scene() -> Image.Image:
    """A small picture that no turn or mirror leaves as it is."""
    ramp = np.mgrid[0:24, 0:40].astype(np.uint8) * 6
    return Image.fromarray(np.stack([ramp[0], ramp[1], ramp[0] // 2 + 20], axis=-1))


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_its_pixels(scene: Image.Image, name: str) -> None:
    options = {"lossless": True} if name == "WEBP" else {}
    pixels = _decode(_encode(scene, name, **options))
    assert pixels.shape == (24, 40, 3)
    largest = np.abs(pixels.astype(int) - np.asarray(scene)).max()
    assert largest == 0 if name in (*LOSSLESS, "WEBP") else largest < 60


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_pictures_come_out_upright(scene: Image.Image, orientation: int, name: str) -> None:
    turn = Image.Transpose
    stored_as = {
        1: (),
        2: (turn.FLIP_LEFT_RIGHT,),
        3: (turn.ROTATE_180,),
        4: (turn.FLIP_TOP_BOTTOM,),
        5: (turn.TRANSPOSE,),
        6: (turn.ROTATE_90,),
        7: (turn.TRANSVERSE,),
        8: (turn.ROTATE_270,),
    }
    stored = scene
    for step in stored_as[orientation]:
        stored = stored.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}
    pixels = _decode(_encode(stored, name, exif=exif, **options.get(name, {})))
    assert pixels.shape == (24, 40, 3)
    assert np.abs(pixels.astype(int) - np.asarray(scene)).max() <= (8 if name == "JPEG" else 0)


@pytest.mark.parametrize(
    ("detail", "size"),
    [
        *((None, (1000, 1300)), (501, (1000, 1300)), (500, (500, 650))),
        *((250, (250, 325)), (125, (125, 163)), (1, (125, 163))),
    ],
)
def test_a_jpeg_may_be_reduced_but_not_below_the_detail_asked_for(
    detail: int | None, size: tuple[int, int]
) -> None:
    ramp = np.mgrid[0:1300, 0:1000].astype(np.float64) / 6
    whole = Image.fromarray(np.stack([ramp[0], ramp[1], ramp[0] / 2], axis=-1).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    stored = _encode(whole.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)
    image = decode_image(stored, LIMITS, detail)
    assert image.size == size
    expected = np.asarray(whole.resize(size, Image.Resampling.BOX)).astype(int)
    assert np.abs(np.asarray(image) - expected).mean() < 1.5
    assert decode_image(_encode(whole, "PNG"), LIMITS, detail).size == (1000, 1300)


def test_a_jpeg_of_several_pictures_is_reduced_too() -> None:
    pictures = [Image.new("RGB", (800, 600), colour) for colour in ("red", "blue")]
    data = _encode(pictures[0], "MPO", save_all=True, append_images=pictures[1:])
    image = decode_image(data, LIMITS, 300)
    assert (image.size, image.getpixel((200, 150))) == ((400, 300), (254, 0, 0))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_jpegs_of_other_colours_are_reduced_too(mode: str) -> None:
    data = _encode(Image.new("RGB", (800, 600), "white").convert(mode), "JPEG")
    image = decode_image(data, LIMITS, 300)
    assert (image.size, image.getpixel((9, 9))) == ((400, 300), (255, 255, 255))


def test_a_reduced_jpeg_that_is_cut_short_is_told_so() -> None:
    whole = _encode(Image.effect_noise((1600, 1200), 60), "JPEG")
    with pytest.raises(TruncatedImageError):
        decode_image(whole[: len(whole) // 2], LIMITS, 300)


@pytest.mark.parametrize("photo", sorted(QUERIES.glob("*.jpg")), ids=lambda photo: photo.stem)
def test_what_is_left_out_changes_next_to_nothing(photo: Path) -> None:
    embedder = load_embedder(ModelSource("classic", None, "cpu", "fp32"))
    with Image.open(photo) as image:
        large = image.resize((image.width * 4, image.height * 4), Image.Resampling.LANCZOS)
    data, limits = _encode(large, "JPEG", quality=92), replace(LIMITS, max_pixels=40_000_000)
    whole = decode_image(data, limits)
    reduced = decode_image(data, limits, embedder.preprocessing.detail)
    assert reduced.width < whole.width / 2
    vectors = embedder.embed(np.stack([embedder.prepare(one) for one in (whole, reduced)]))
    assert vectors[0] @ vectors[1] > 0.998


def test_a_16_bit_picture_is_turned_too() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = Image.fromarray(np.zeros((24, 40), np.uint16))
    for name in ("PNG", "TIFF"):
        assert _decode(_encode(deep, name, exif=exif)).shape == (40, 24, 3)


@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF"])
def test_transparency_lies_on_white(name: str) -> None:
    image = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 8, 2))
    image.paste((0, 0, 0, 128), (0, 6, 8, 8))
    options = {"lossless": True, "exact": True} if name == "WEBP" else {}
    pixels = _decode(_encode(image, name, **options))
    assert pixels[1, 4].tolist() == [0, 0, 255]
    assert pixels[4, 4].tolist() == [255, 255, 255]
    assert np.abs(pixels[7, 4].astype(int) - 127).max() <= 1


@pytest.mark.parametrize("name", ["PNG", "GIF"])
def test_a_transparent_palette_entry_lies_on_white(name: str) -> None:
    image = Image.new("P", (6, 6), 1)
    image.putpalette([10, 20, 30, 200, 0, 0])
    image.putpixel((0, 0), 0)
    pixels = _decode(_encode(image, name, transparency=1))
    assert pixels[0, 0].tolist() == [10, 20, 30]
    assert pixels[3, 3].tolist() == [255, 255, 255]


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_transparent_sample_value_lies_on_white(mode: str) -> None:
    colour = 40 if mode == "L" else (40, 50, 60)
    data = _encode(Image.new(mode, (4, 4), colour), "PNG", transparency=colour)
    assert _decode(data)[2, 2].tolist() == [255, 255, 255]


def test_a_transparent_16_bit_sample_value_lies_on_white() -> None:
    image = Image.fromarray(np.array([[500, 30_000]], np.uint16))
    pixels = _decode(_encode(image, "PNG", transparency=500))
    assert pixels[0].tolist() == [[255] * 3, [117] * 3]


@pytest.mark.parametrize("name", ["JPEG", "TIFF"])
def test_printers_colours_become_rgb(name: str) -> None:
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    red, green, blue = _decode(_encode(image, name))[8, 8].astype(int)
    assert red > 200
    assert max(green, blue) < 60


@pytest.mark.parametrize("mode", ["1", "L", "LA", "PA", "YCbCr", "LAB", "RGBX"])
def test_every_mode_a_file_can_hold_becomes_rgb(mode: str) -> None:
    data = _encode(Image.new(mode, (5, 4)), "TIFF" if mode != "LA" else "PNG")
    assert _decode(data).shape == (4, 5, 3)


@pytest.mark.parametrize("name", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_clipped(name: str) -> None:
    image = Image.fromarray(np.array([[0, 256, 32_896, 65_535]], np.uint16))
    assert _decode(_encode(image, name))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_32_bit_and_float_grey_are_scaled_to_their_brightest() -> None:
    deep = Image.fromarray(np.array([[0, 500_000, 1_000_000]], np.int32))
    assert _decode(_encode(deep, "TIFF"))[0, :, 0].tolist() == [0, 128, 255]
    for top in (1.0, 4000.0):
        real = np.array([[0, top / 2, top, np.nan, -5]], np.float32)
        shades = _decode(_encode(Image.fromarray(real), "TIFF"))[0, :, 0]
        assert shades.tolist() == [0, 128, 255, 0, 0]


@pytest.mark.parametrize("name", ["GIF", "WEBP", "TIFF"])
def test_an_animation_is_its_first_frame(name: str) -> None:
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "lime", "blue")]
    data = _encode(frames[0], name, save_all=True, append_images=frames[1:])
    red, green, blue = _decode(data)[4, 4].astype(int)
    assert red > 240
    assert max(green, blue) < 20


def test_damaged_exif_does_not_cost_the_picture(scene: Image.Image) -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12\0\x09\xff\xff"
    for name in ("JPEG", "PNG", "WEBP"):
        assert _decode(_encode(scene, name, exif=exif)).shape == (24, 40, 3)


def test_no_bytes_are_an_empty_file() -> None:
    with pytest.raises(EmptyFileError):
        decode_image(b"", LIMITS)


@pytest.mark.parametrize(
    "data",
    [
        b"hello, this is a text",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<!doctype html><html></html>",
        b"%PDF-1.7",
        b"PK\x03\x04 a zip",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"\0" * 100,
        b"\xff",
    ],
)
def test_what_is_no_picture_is_said_to_be_none(data: bytes) -> None:
    assert not looks_like_image(data[:MAGIC_BYTES])
    with pytest.raises(NotAnImageError):
        decode_image(data, LIMITS)


def test_a_format_that_is_not_on_the_list_is_refused(scene: Image.Image) -> None:
    for name in ("PPM", "TGA", "ICO", "PDF", "JPEG2000"):
        with pytest.raises(NotAnImageError):
            decode_image(_encode(scene, name), LIMITS)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_known_by_its_first_bytes(scene: Image.Image, name: str) -> None:
    assert looks_like_image(_encode(scene, name)[:MAGIC_BYTES])


@pytest.mark.parametrize("name", FORMATS)
def test_a_picture_cut_short_anywhere_is_refused(name: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    whole = _encode(Image.fromarray(noise), name)
    for length in [*range(1, 64), *range(64, int(len(whole) * 0.98), len(whole) // 60)]:
        with pytest.raises((TruncatedImageError, NotAnImageError)):
            decode_image(whole[:length], LIMITS)


@pytest.mark.parametrize("name", FORMATS)
def test_flipped_bytes_give_a_picture_or_one_of_our_errors(name: str) -> None:
    source = random.Random(name)
    noise = np.random.default_rng(2).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    whole = _encode(Image.fromarray(noise), name)
    for _ in range(300):
        damaged = bytearray(whole)
        reach = min(len(damaged), source.choice([40, 300, 10_000]))
        for _ in range(source.randint(1, 5)):
            damaged[source.randrange(reach)] = source.randrange(256)
        try:
            decode_image(bytes(damaged), LIMITS)
        except ImageError:
            continue


def test_too_many_bytes_name_the_limit_and_its_setting() -> None:
    limits = DecodeLimits(1_000, 100, "LOOKALIKE_MAX_FILE_MB")
    with pytest.raises(ImageTooLargeError, match=r"101 bytes.* 100 \(LOOKALIKE_MAX_FILE_MB\)"):
        decode_image(b"\xff" * 101, limits)


def test_too_many_pixels_name_the_limit_and_its_setting() -> None:
    data = _encode(Image.new("L", (3000, 2000)), "PNG")
    expected = r"3000 x 2000 = 6,000,000 pixels.* 4,000,000 \(LOOKALIKE_MAX_IMAGE_MEGAPIXELS\)"
    with pytest.raises(ImageTooLargeError, match=expected):
        decode_image(data, LIMITS)


def _png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1_000_000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [2_500, 20_000, 200_000, 2_000_000_000])
def test_a_bomb_is_refused_before_its_pixels_exist(side: int) -> None:
    with pytest.raises(ImageTooLargeError, match="LOOKALIKE_MAX_IMAGE_MEGAPIXELS"):
        decode_image(_png_that_claims(side, side), LIMITS)


def test_a_limit_above_pillows_own_is_honoured() -> None:
    data = _encode(Image.new("1", (20_000, 10_000)), "PNG")
    limits = DecodeLimits(10_000, 10_000_000, "LOOKALIKE_MAX_UPLOAD_MB")
    with pytest.raises(ImageTooLargeError, match="200,000,000 pixels"):
        decode_image(data, limits)
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (20_000, 10_000)


def test_the_settings_choose_the_limits() -> None:
    settings = Settings(max_upload_mb=2, max_image_megapixels=3)
    uploads = DecodeLimits.for_uploads(settings)
    assert (uploads.max_pixels, uploads.max_bytes) == (3_000_000, 2_000_000)
    assert DecodeLimits.for_catalogue(settings).max_pixels == 3_000_000
