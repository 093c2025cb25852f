"""Videos as the frames that stand for them.

A frame is kept where the scene changes, or every few seconds. However long a video is, the frames
are bounded in number and spread over all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Final, Literal

import numpy as np
from PIL import Image

from core.errors import ImageTooLargeError, NotAnImageError, TruncatedImageError
from core.vision.decode import STILL_BRANDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from av import VideoFrame
    from av.container import InputContainer
    from numpy.typing import NDArray

    from core.settings import Settings
    from core.vision.decode import DecodeLimits

VIDEO_SUFFIXES: Final = frozenset((".mp4", ".m4v", ".mov", ".webm", ".mkv"))
"""Names that promise a video: such a file that holds none is reported, not passed over."""

_SCENE_SIDE: Final = 32  # frames are compared as pictures of so many pixels a side
_SCENE_CHANGE: Final = 24.0  # mean absolute difference, of 255, from the last kept frame


@dataclass(frozen=True)
class VideoSampling:
    """Which frames stand for a video."""

    by: Literal["scenes", "interval"]
    interval_s: float  # between frames; the least for scenes
    max_frames: int

    @classmethod
    def from_settings(cls, settings: Settings) -> VideoSampling:
        """The sampling an operator chose."""
        return cls(settings.video_frames, settings.video_interval_s, settings.video_max_frames)


def looks_like_video(head: bytes) -> bool:
    """Whether a file that starts with `head` (12 bytes) may be an MP4, QuickTime, WebM or MKV."""
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return True
    return head[4:8] == b"ftyp" and head[8:12] not in STILL_BRANDS


def promises_video(path: str) -> bool:
    """Whether a file's name says that it holds a video."""
    return PurePosixPath(path).suffix.lower() in VIDEO_SUFFIXES


def sample_frames(
    file: IO[bytes],
    sampling: VideoSampling,
    limits: DecodeLimits,
    prepare: Callable[[Image.Image], NDArray[np.uint8]],
) -> list[tuple[int, NDArray[np.uint8]]]:
    """Give the frames that stand for a video: their moments in milliseconds and prepared pixels.

    Raises:
        NotAnImageError: there is no video in the file.
        TruncatedImageError: it is damaged before its first frame.
        ImageTooLargeError: a frame is over the limit of pixels.
    """
    kept: list[tuple[int, NDArray[np.uint8]]] = []
    gap_s = sampling.interval_s
    last: NDArray[np.float32] | None = None
    last_s = -np.inf
    for at_s, frame in _frames(file, limits):
        if at_s - last_s < gap_s:
            continue
        small = _small(frame)
        if sampling.by == "scenes" and last is not None and _same_scene(small, last):
            continue
        kept.append((round(at_s * 1000), prepare(_picture(frame))))
        last, last_s = small, at_s
        if len(kept) >= 2 * sampling.max_frames:
            # Too many: every second one goes, and from here they are twice as far apart.
            kept = kept[::2]
            gap_s = max(gap_s, 0.1) * 2
    if not kept:
        raise NotAnImageError("The file holds a video without a frame.")
    return _spread(kept, sampling.max_frames)


def frame_at(file: IO[bytes], at_ms: int, limits: DecodeLimits) -> Image.Image:
    """Give the RGB frame that is shown at a moment of a video.

    Raises:
        NotAnImageError: there is no video in the file, or no frame.
        TruncatedImageError: it is damaged before that moment.
    """
    found: VideoFrame | None = None
    for at_s, frame in _frames(file, limits):
        if found is not None and round(at_s * 1000) > at_ms:
            break
        found = frame
    if found is None:
        raise NotAnImageError("The file holds a video without a frame.")
    return _picture(found)


def _frames(file: IO[bytes], limits: DecodeLimits) -> Iterator[tuple[float, VideoFrame]]:
    """Yield each frame with its moment in seconds; damage after the first frame ends the video."""
    import av  # noqa: PLC0415  # a large library that photos do not need

    seen = 0
    try:
        with av.open(file, "r") as container:
            for frame in _decoded(container, limits):
                at_s = frame.time if frame.time is not None else seen / 25.0
                yield float(at_s), frame
                seen += 1
    except av.FFmpegError as error:
        if not seen:
            raise TruncatedImageError(f"The video is damaged: {error.strerror}.") from error


def _decoded(container: InputContainer, limits: DecodeLimits) -> Iterator[VideoFrame]:
    if not container.streams.video:
        raise NotAnImageError("The file holds no video stream.")
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1  # the decoding processes are the parallelism
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > limits.max_pixels:
        raise ImageTooLargeError(
            f"The video has frames of {width} x {height} pixels; the limit is "
            f"{limits.max_pixels:,} (LOOKALIKE_MAX_IMAGE_MEGAPIXELS)."
        )
    yield from container.decode(stream)


def _small(frame: VideoFrame) -> NDArray[np.float32]:
    small = frame.reformat(_SCENE_SIDE, _SCENE_SIDE, "rgb24").to_ndarray()
    return small.astype(np.float32)


def _same_scene(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    return float(np.abs(one - other).mean()) < _SCENE_CHANGE


def _picture(frame: VideoFrame) -> Image.Image:
    image = Image.fromarray(frame.to_ndarray(format="rgb24"))
    return image.rotate(frame.rotation, expand=True) if frame.rotation else image


def _spread(
    kept: list[tuple[int, NDArray[np.uint8]]], most: int
) -> list[tuple[int, NDArray[np.uint8]]]:
    if len(kept) <= most:
        return kept
    places = np.linspace(0, len(kept) - 1, most).round().astype(int)
    return [kept[place] for place in places]
