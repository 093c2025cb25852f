"""Picture bytes to upright RGB pixels, within limits.

Content alone decides what a picture is: neither the file's name nor a declared type is looked at.
Pixels come out as a person would see them: turned as EXIF says, transparency laid on white, 16-bit
samples scaled to 8, the first frame of an animation.
"""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from core.errors import (
    EmptyFileError,
    ImageError,
    ImageTooLargeError,
    NotAnImageError,
    TruncatedImageError,
)

if TYPE_CHECKING:
    from core.settings import Settings

# Pillow's own limit would overrule LOOKALIKE_MAX_IMAGE_MEGAPIXELS; `decode_image` checks the size
# before any pixel is decoded.
Image.MAX_IMAGE_PIXELS = None

# Pillow warns of odd metadata, which no reader of a log could do anything about.
warnings.filterwarnings("ignore", module=r"PIL\.")

_COMMON: Final = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF")

FORMATS: Final = (*_COMMON, "HEIF")
"""The Pillow decoders that may see untrusted bytes; the last has to be taught first."""

IMAGE_SUFFIXES: Final = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff"),
        *(".gif", ".avif", ".heic", ".heif"),
    )
)
"""Names that promise a picture: such a file that holds none is reported, not passed over."""

_MAGIC: Final = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"II+\x00", "image/tiff"),
    (b"MM\x00+", "image/tiff"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_HEIF_BRANDS: Final = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
)
_AVIF_BRANDS: Final = frozenset((b"avif", b"avis"))
STILL_BRANDS: Final = _HEIF_BRANDS | _AVIF_BRANDS
"""Files of the MP4 family that hold a picture and no video."""
MAGIC_BYTES: Final = 12
"""How much of a file `media_type` needs."""


@dataclass(frozen=True)
class DecodeLimits:
    """The largest picture that is decoded."""

    max_pixels: int  # width times height
    max_bytes: int  # of the encoded file
    bytes_setting: str  # the setting behind `max_bytes`, for the message

    @classmethod
    def for_uploads(cls, settings: Settings) -> DecodeLimits:
        """The limits an operator set for pictures that strangers send."""
        return cls(settings.max_image_pixels, settings.max_upload_bytes, "LOOKALIKE_MAX_UPLOAD_MB")

    @classmethod
    def for_catalogue(cls, settings: Settings) -> DecodeLimits:
        """The limits an operator set for the shop's own photos."""
        max_bytes = int(settings.max_file_mb * 1_000_000)
        return cls(settings.max_image_pixels, max_bytes, "LOOKALIKE_MAX_FILE_MB")


def media_type(head: bytes) -> str | None:
    """What picture a file that starts with `head` (`MAGIC_BYTES` long) may be; None: none."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp" and head[8:12] in STILL_BRANDS:
        return "image/avif" if head[8:12] in _AVIF_BRANDS else "image/heic"
    return next((name for magic, name in _MAGIC if head.startswith(magic)), None)


def looks_like_image(head: bytes) -> bool:
    """Whether a file that starts with `head` (`MAGIC_BYTES` long) may be a supported picture."""
    return media_type(head) is not None


def decode_image(data: bytes, limits: DecodeLimits, detail: int | None = None) -> Image.Image:
    """Decode `data` to an upright RGB picture.

    With `detail` a JPEG may come out at a half, a quarter or an eighth of its size, as long as both
    sides keep so many pixels: its decoder then leaves out work on what nobody would see.

    Raises:
        EmptyFileError: there are no bytes.
        NotAnImageError: the content is of no supported format.
        ImageTooLargeError: it is over `limits`; nothing of its pixels has been decoded.
        TruncatedImageError: it starts well but is damaged or cut short.
    """
    if not data:
        raise EmptyFileError
    if len(data) > limits.max_bytes:
        raise ImageTooLargeError(
            f"The file has {len(data):,} bytes; the limit is {limits.max_bytes:,} "
            f"({limits.bytes_setting})."
        )
    if not looks_like_image(data[:MAGIC_BYTES]):
        raise NotAnImageError
    image = _open(data)
    width, height = image.size
    if width * height > limits.max_pixels:
        raise ImageTooLargeError(
            f"The picture has {width} x {height} = {width * height:,} pixels; the limit is "
            f"{limits.max_pixels:,} (LOOKALIKE_MAX_IMAGE_MEGAPIXELS)."
        )
    return _to_rgb(image, detail)


def _open(data: bytes) -> Image.Image:
    is_heic = media_type(data[:MAGIC_BYTES]) == "image/heic"
    if is_heic:
        _know_heif()
    try:
        # Asked for a format that it has not been taught, Pillow breaks on what no decoder reads.
        return Image.open(io.BytesIO(data), formats=FORMATS if is_heic else _COMMON)
    except UnidentifiedImageError as error:
        raise TruncatedImageError(
            "The content starts like a picture but no decoder can read it."
        ) from error
    except MemoryError as error:
        raise ImageTooLargeError(_NO_MEMORY) from error
    except _DECODER_ERRORS as error:
        raise TruncatedImageError(f"The picture's header is damaged: {error}") from error


@cache
def _know_heif() -> None:
    """Teach Pillow HEIF, once, and only where such a picture comes along."""
    pillow_heif = import_module("pillow_heif")
    # Phones store one picture in tiles and thumbnails beside it; only the picture is wanted.
    pillow_heif.register_heif_opener(thumbnails=False)


def _to_rgb(image: Image.Image, detail: int | None) -> Image.Image:
    try:
        image.seek(0)
        if detail is not None:
            image.draft(None, (detail, detail))
        image.load()
        image = _eight_bit(image)
        ImageOps.exif_transpose(image, in_place=True)  # or a copy is made of one that is upright
        return _on_white(image)
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageTooLargeError(_NO_MEMORY) from error
    except _DECODER_ERRORS as error:
        raise TruncatedImageError(f"The picture is damaged or cut short: {error}") from error


_NO_MEMORY: Final = "Decoding the picture takes more memory than LOOKALIKE_DECODE_MEMORY_MB allows."

# Everything Pillow's decoders are known to raise on hostile bytes.
_DECODER_ERRORS: Final = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    AssertionError,
    EOFError,
    RuntimeError,
    OverflowError,
    ZeroDivisionError,
    struct.error,
)


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit, 32-bit and float grey samples to 8 bits; Pillow would clip them."""
    if not (image.mode.startswith("I") or image.mode == "F"):
        return image
    with np.errstate(invalid="ignore"):  # signalling NaNs
        samples = np.asarray(image).astype(np.float64)
    samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    full = 1.0 if image.mode == "F" else 65535.0
    white = max(full, float(samples.max(initial=0.0)))
    clear = image.info.get("transparency")
    if isinstance(clear, int):  # the one sample value of a PNG that is see-through
        samples[samples == clear] = white
    scaled = Image.fromarray(np.clip(samples * (255.0 / white) + 0.5, 0, 255).astype(np.uint8))
    scaled.info = {key: value for key, value in image.info.items() if key != "transparency"}
    exif = image.getexif()
    if exif:
        scaled.info["exif"] = exif.tobytes()
    return scaled


def _on_white(image: Image.Image) -> Image.Image:
    """Convert to RGB, laying transparent parts on white, as a shop page shows them."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")
