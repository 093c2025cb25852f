"""The photos themselves: originals and thumbnails, and nothing else of the disk."""

from __future__ import annotations

import io
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PIL import Image

from core.errors import ImageError
from core.records import ItemState
from core.vision.decode import (
    MAGIC_BYTES,
    DecodeLimits,
    decode_image,
    looks_like_image,
    media_type,
)
from core.vision.video import frame_at, looks_like_video
from service.errors import PictureNotFoundError

if TYPE_CHECKING:
    from core.settings import Settings
    from core.store.catalog import Catalog

THUMBNAIL_TYPE: Final = "image/jpeg"
_QUALITY: Final = 85  # of thumbnails, on JPEG's scale to 100

_WEBM_MAGIC: Final = b"\x1a\x45\xdf\xa3"
_WEBM_TYPE: Final = "video/webm"
_MP4_TYPE: Final = "video/mp4"


@dataclass(frozen=True)
class Original:
    """A picture's file that may be sent."""

    file: str  # resolved, inside the image folder
    media_type: str
    stat: os.stat_result

    @property
    def is_video(self) -> bool:
        """Whether it has moments."""
        return self.media_type.startswith("video/")

    @property
    def tag(self) -> str:
        """Names the present content."""
        return f"{self.stat.st_mtime_ns:x}-{self.stat.st_size:x}"


class Pictures:
    """Gives pictures that the catalog knows, from inside the image folder only."""

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self._root = os.path.realpath(settings.image_dir)
        self._limits = DecodeLimits.for_catalogue(settings)
        self._catalog = catalog

    def find(self, path: str) -> Original:
        """The file of an item, if it holds a picture.

        Raises:
            PictureNotFoundError: there is no such picture.
        """
        item = self._catalog.find_item(path)
        if item is None or item.state is ItemState.MISSING:
            raise PictureNotFoundError
        file = os.path.realpath(os.path.join(self._root, path))
        if not file.startswith(self._root + os.sep):
            raise PictureNotFoundError
        head, found = _look_at(file)
        if not stat.S_ISREG(found.st_mode):
            raise PictureNotFoundError("The file holds no picture.")
        if looks_like_image(head):
            kind = image_type(head)
        elif looks_like_video(head):
            kind = _WEBM_TYPE if head.startswith(_WEBM_MAGIC) else _MP4_TYPE
        else:
            raise PictureNotFoundError("The file holds no picture.")
        return Original(file, kind, found)

    def rendered(self, original: Original, size: int | None, at_ms: int) -> bytes:
        """The picture upright and at most `size` pixels wide and high, as JPEG.

        Of a video it is the frame at `at_ms`, in the video's own size where `size` is None.

        Raises:
            PictureNotFoundError: it cannot be decoded.
        """
        try:
            with open(original.file, "rb") as file:  # noqa: PTH123  # keeps odd names as they are
                if original.is_video:
                    image = frame_at(file, at_ms, self._limits)
                elif original.stat.st_size > self._limits.max_bytes:
                    raise PictureNotFoundError("The file is over LOOKALIKE_MAX_FILE_MB.")
                else:
                    image = decode_image(file.read(), self._limits)
        except (OSError, ImageError) as error:
            raise PictureNotFoundError(f"There is no picture to show: {error}") from error
        if size is not None:
            image.thumbnail((size, size), Image.Resampling.LANCZOS, reducing_gap=3.0)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=_QUALITY)
        return buffer.getvalue()


def image_type(head: bytes) -> str:
    """The media type of a picture, from its first bytes."""
    return media_type(head) or "application/octet-stream"


def _look_at(file: str) -> tuple[bytes, os.stat_result]:
    """The first bytes of a file and its stat."""
    try:
        # A pipe put in place of the file would block a plain open for ever.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError as error:
        raise PictureNotFoundError("The file is gone or cannot be read.") from error
    with os.fdopen(descriptor, "rb") as opened:
        found = os.fstat(descriptor)
        return (opened.read(MAGIC_BYTES) if stat.S_ISREG(found.st_mode) else b""), found
