"""The photos themselves: originals and thumbnails, and nothing else of the disk."""

from __future__ import annotations

import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final
from urllib.parse import quote

from PIL import Image

from core.errors import ImageError
from core.source.local import LocalFolder
from core.source.opening import open_source
from core.vision.decode import (
    MAGIC_BYTES,
    DecodeLimits,
    decode_image,
    looks_like_image,
    media_type,
)
from core.vision.video import frame_at, looks_like_video
from service.errors import PictureNotFoundError
from service.picture_answer import Opened
from service.stripped.strip import strip
from service.thumbnails import ThumbnailCache

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from core.settings import Settings
    from service.known_items import KnownItems, KnownPicture

THUMBNAIL_TYPE: Final = "image/jpeg"
SIGNED_S: Final = 600  # how long a signed URL holds, in seconds
_QUALITY: Final = 85  # of thumbnails, on JPEG's scale to 100

_TIFF: Final = "image/tiff"
_DESCRIPTORS: Final = Path("/proc/self/fd")

_WEBM_MAGIC: Final = b"\x1a\x45\xdf\xa3"
_WEBM_TYPE: Final = "video/webm"
_MP4_TYPE: Final = "video/mp4"


@dataclass(frozen=True)
class Original:
    """A picture's file that may be sent."""

    root: str  # resolved
    file: str  # resolved, inside the root
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

    def open(self) -> BinaryIO:
        """Open the file, if it is still the one that was found.

        Raises:
            PictureNotFoundError: it is not.
        """
        file = open_inside(self.root, self.file)
        now, then = os.fstat(file.fileno()), self.stat
        if (now.st_ino, now.st_dev, now.st_mtime_ns, now.st_size) != (
            *(then.st_ino, then.st_dev, then.st_mtime_ns, then.st_size),
        ):
            file.close()
            raise PictureNotFoundError("The file has just been changed.")
        return file


class Pictures:
    """Gives pictures that the catalogue knows, from inside the image folder only."""

    finders: Executor | None = None  # whose threads `find` is to be called in; None: any

    def __init__(self, settings: Settings, known: KnownItems, root: str) -> None:
        self._root = root  # resolved
        self._redirect = settings.image_redirect
        self._limits = DecodeLimits.for_catalogue(settings)
        self._known = known
        self._thumbnails = ThumbnailCache(int(settings.thumbnail_cache_mb * 1_000_000))

    def find(self, path: str) -> Original:
        """The file of an item, if it holds a picture.

        Raises:
            PictureNotFoundError: there is no such picture.
        """
        file = self._locate(self._known.picture(path))
        with open_inside(self._root, file) as opened:
            found = os.fstat(opened.fileno())
            head = opened.read(MAGIC_BYTES)
        if looks_like_image(head):
            kind = image_type(head)
        elif looks_like_video(head):
            kind = _WEBM_TYPE if head.startswith(_WEBM_MAGIC) else _MP4_TYPE
        else:
            raise PictureNotFoundError("The file holds no picture.")
        return Original(self._root, file, kind, found)

    def elsewhere(self, path: str) -> str | None:
        """Where a whole picture is fetched from, if not here.

        Raises:
            PictureNotFoundError: there is no such picture.
            SourceError: the object storage's library cannot sign a URL.
        """
        if not self._redirect:
            return None
        picture = self._known.picture(path)
        if self._redirect == "signed":
            return self._signed_url(picture.path, SIGNED_S)
        return f"{self._redirect.rstrip('/')}/{quote(os.fsencode(picture.path))}"

    def close(self) -> None:
        """Give back what is held beside memory."""

    def _locate(self, picture: KnownPicture) -> str:
        try:
            return os.path.realpath(os.path.join(self._root, picture.path))
        except (OSError, ValueError) as error:  # taken away this moment; a NUL inside
            raise PictureNotFoundError from error

    def _signed_url(self, path: str, lasts_s: int) -> str | None:  # noqa: ARG002  # see ObjectPictures
        return None

    def rendered(self, original: Original, size: int | None, at_ms: int) -> bytes:
        """The picture upright and at most `size` pixels wide and high, as JPEG.

        Of a video it is the frame at `at_ms`, in the video's own size where `size` is None.

        Raises:
            PictureNotFoundError: it cannot be decoded.
        """
        key = (original.file, original.tag, size, at_ms)
        made = self._thumbnails.get(key)
        if made is None:
            image = self._decoded(original, at_ms, detail=size and 2 * size)
            if size is not None:
                image.thumbnail((size, size), Image.Resampling.LANCZOS, reducing_gap=3.0)
            made = _encoded(image, "JPEG", quality=_QUALITY)
            self._thumbnails.put(key, made)
        return made

    def opened(self, original: Original) -> Opened | None:
        """What is sent of a file; None: it has to be encoded anew, see `encoded`.

        Raises:
            PictureNotFoundError: the file is gone, or a video that cannot be understood.
        """
        file = original.open()
        kind = original.media_type
        parts = strip(file, original.stat.st_size, kind, self._limits.max_pixels)
        if parts is not None:
            return Opened(file, parts, kind)
        file.close()
        if original.is_video:
            raise PictureNotFoundError("The video's structure is damaged.")
        return None

    def encoded(self, original: Original) -> tuple[bytes, str]:
        """A picture encoded anew without loss, and its media type.

        Raises:
            PictureNotFoundError: it cannot be decoded.
        """
        image = self._decoded(original, 0)
        if original.media_type == _TIFF:
            return _encoded(image, "TIFF"), _TIFF
        return _encoded(image, "PNG", compress_level=1), "image/png"

    def _decoded(self, original: Original, at_ms: int, detail: int | None = None) -> Image.Image:
        try:
            with original.open() as file:
                if original.is_video:
                    return frame_at(file, at_ms, self._limits)
                if original.stat.st_size > self._limits.max_bytes:
                    raise PictureNotFoundError("The file is over LOOKALIKE_MAX_FILE_MB.")
                return decode_image(file.read(), self._limits, detail)
        except (OSError, ImageError) as error:
            raise PictureNotFoundError(f"There is no picture to show: {error}") from error


def open_pictures(settings: Settings, known: KnownItems) -> Pictures:
    """The pictures of the place that LOOKALIKE_IMAGE_DIR names.

    Raises:
        SettingsError: no library at hand speaks its protocol.
    """
    source = open_source(settings)
    if isinstance(source, LocalFolder):
        return Pictures(settings, known, os.path.realpath(source.root))
    from service.object_pictures import ObjectPictures  # noqa: PLC0415  # which derives from these

    return ObjectPictures(settings, known, source)


def _encoded(image: Image.Image, kind: str, **options: int) -> bytes:
    plain = image.copy()  # without the tags that Pillow would take over from the original
    plain.info = {}
    buffer = io.BytesIO()
    plain.save(buffer, kind, **options)
    return buffer.getvalue()


def image_type(head: bytes) -> str:
    """The media type of a picture, from its first bytes."""
    return media_type(head) or "application/octet-stream"


def open_inside(root: str, file: str) -> BinaryIO:
    """Open a regular file that lies inside a folder, wherever links lead by now.

    Raises:
        PictureNotFoundError: it does not, or cannot be read.
    """
    if not file.startswith(root + os.sep):
        raise PictureNotFoundError
    try:
        # A pipe put in place of the file would block a plain open for ever.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError as error:
        raise PictureNotFoundError("The file is gone or cannot be read.") from error
    opened = os.fdopen(descriptor, "rb")
    # A folder on the way may have become a link since the path was resolved.
    if not _place_of(descriptor, file).startswith(root + os.sep):
        opened.close()
        raise PictureNotFoundError
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        opened.close()
        raise PictureNotFoundError("The file holds no picture.")
    return opened


def _place_of(descriptor: int, file: str) -> str:
    """Where an open file lies; without Linux' own answer, where its path leads now."""
    try:
        return str((_DESCRIPTORS / str(descriptor)).readlink())
    except OSError:
        return os.path.realpath(file)
