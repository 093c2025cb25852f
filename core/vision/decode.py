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

FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
"""The Pillow decoders that may see untrusted bytes."""

IMAGE_SUFFIXES: Final = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif")
)
"""Names that promise a picture: such a file that holds none is reported, not passed over."""

_MAGIC: Final = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"BM",
    b"II*\x00",
    b"MM\x00*",
    b"II+\x00",
    b"MM\x00+",
    b"GIF87a",
    b"GIF89a",
)
MAGIC_BYTES: Final = 12
"""How much of a file `looks_like_image` needs."""


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


def looks_like_image(head: bytes) -> bool:
    """Whether a file that starts with `head` (`MAGIC_BYTES` long) may be a supported picture."""
    return head.startswith(_MAGIC) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def decode_image(data: bytes, limits: DecodeLimits) -> Image.Image:
    """Decode `data` to an upright RGB picture.

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
    with warnings.catch_warnings():
        # Pillow warns of odd metadata and of sizes that the check below refuses anyway.
        warnings.simplefilter("ignore")
        image = _open(data)
        width, height = image.size
        if width * height > limits.max_pixels:
            raise ImageTooLargeError(
                f"The picture has {width} x {height} = {width * height:,} pixels; the limit is "
                f"{limits.max_pixels:,} (LOOKALIKE_MAX_IMAGE_MEGAPIXELS)."
            )
        return _to_rgb(image)


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise NotAnImageError(
            "The content starts like a picture but no decoder can read it."
        ) from error
    except MemoryError as error:
        raise ImageTooLargeError(_NO_MEMORY) from error
    except _DECODER_ERRORS as error:
        raise TruncatedImageError(f"The picture's header is damaged: {error}") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    try:
        image.seek(0)
        image.load()
        upright = ImageOps.exif_transpose(_eight_bit(image))
        return _on_white(upright)
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
    OverflowError,
    ZeroDivisionError,
    NotImplementedError,
    struct.error,
)


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit, 32-bit and float grey samples to 8 bits; Pillow would clip them."""
    if not (image.mode.startswith("I") or image.mode == "F"):
        return image
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
