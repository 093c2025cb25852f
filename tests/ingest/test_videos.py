"""Videos in the image folder are found by their frames."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from PIL import Image

from core.errors import ImageTooLargeError, NotAnImageError, TruncatedImageError
from core.records import ItemState
from core.vision.decode import DecodeLimits
from core.vision.video import VideoSampling, frame_at, looks_like_video, sample_frames
from tests.shop import picture_bytes, vector_of

if TYPE_CHECKING:
    from tests.shop import Shop

LIMITS = DecodeLimits(1_000_000, 50_000_000, "none")
SCENES = VideoSampling("scenes", interval_s=0.5, max_frames=10)


def scene(seed: int, size: int = 96) -> Image.Image:
    return Image.open(BytesIO(picture_bytes(seed, (size, size)))).convert("RGB")


def film(*seeds: int, seconds: float = 2.0, kind: str = "mp4", size: int = 96) -> bytes:
    """Encode a video that shows each scene for so many seconds."""
    buffer = BytesIO()
    with av.open(buffer, "w", format=kind) as container:
        codec = "libvpx" if kind == "webm" else "mpeg4"
        stream = container.add_stream(codec, rate=10)
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 4_000_000
        for seed in seeds:
            frame = av.VideoFrame.from_image(scene(seed, size))
            for _ in range(int(seconds * 10)):
                frame.pts = None
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def moments(data: bytes, sampling: VideoSampling = SCENES) -> list[int]:
    return [at for at, _ in sample_frames(BytesIO(data), sampling, LIMITS, np.asarray)]


@pytest.mark.parametrize("kind", ["mp4", "webm", "matroska", "mov"])
def test_one_frame_stands_for_each_scene(kind: str) -> None:
    data = film(1, 2, 3, kind=kind)
    assert looks_like_video(data[:12])
    found = sample_frames(BytesIO(data), SCENES, LIMITS, np.asarray)
    assert [at for at, _ in found] == pytest.approx([0, 2000, 4000], abs=150)
    for seed, (_, pixels) in zip((1, 2, 3), found, strict=True):
        assert np.abs(pixels.astype(int) - np.asarray(scene(seed))).mean() < 12


def test_frames_at_an_interval_do_not_look_at_scenes() -> None:
    found = moments(film(1, seconds=5), VideoSampling("interval", 1.0, 60))
    assert found == pytest.approx([0, 1000, 2000, 3000, 4000], abs=150)


def test_a_long_video_keeps_a_bounded_number_of_frames_from_all_of_it() -> None:
    found = moments(film(1, seconds=40), VideoSampling("interval", 0.5, 6))
    assert len(found) <= 6
    assert found[0] == 0
    assert found[-1] > 25_000


def test_the_frame_of_a_moment_is_the_one_that_was_sampled() -> None:
    data = film(1, 2)
    for at, pixels in sample_frames(BytesIO(data), SCENES, LIMITS, np.asarray):
        assert np.array_equal(np.asarray(frame_at(BytesIO(data), at, LIMITS)), pixels)


def test_a_video_that_cannot_be_used_is_a_typed_error() -> None:
    data = film(1)
    with pytest.raises(TruncatedImageError, match="damaged"):
        moments(data[: len(data) // 2])
    with pytest.raises(ImageTooLargeError, match="LOOKALIKE_MAX_IMAGE_MEGAPIXELS"):
        sample_frames(BytesIO(data), SCENES, DecodeLimits(100, 1, "none"), np.asarray)
    with pytest.raises((NotAnImageError, TruncatedImageError)):
        frame_at(BytesIO(b"\x00\x00\x00\x20ftypisom" + b"\x00" * 100), 0, LIMITS)


def test_a_video_is_found_by_any_of_its_scenes_and_named_once(shop: Shop) -> None:
    shop.write("clip.mp4", film(1, 2, 3))
    shop.photo("still.png", 50)
    shop.write("broken.mp4", "no video")
    run = shop.ingest()
    assert run.counters.new == 2
    assert shop.items()["broken.mp4"].state is ItemState.FAILED

    snapshot = shop.snapshot()
    assert snapshot.entries.item_count == 2
    for number, seed in enumerate((1, 2, 3)):
        found = snapshot.search(vector_of(picture_bytes(seed, (96, 96))), 10)
        assert found[0].entry.path == "clip.mp4"
        assert [match.entry.path for match in found].count("clip.mp4") == 1
        assert found[0].entry.at_ms == pytest.approx(2000 * number, abs=150)
    assert shop.run().counters.embedded == 0


def test_a_renamed_video_is_not_decoded_again(shop: Shop) -> None:
    shop.write("clip.webm", film(4, 5, kind="webm"))
    shop.ingest()
    (shop.images / "clip.webm").rename(shop.images / "other.webm")
    run = shop.ingest()
    assert (run.counters.moved, run.counters.embedded) == (1, 0)
    assert {shop.snapshot().entries[place].path for place in range(2)} == {"other.webm"}


def test_embedding_a_video_anew_replaces_the_frames_it_had(shop: Shop) -> None:
    shop.write("clip.mp4", film(1, 2, 3))
    shop.ingest()
    assert len(shop.snapshot().entries) == 3
    shop.ingest(shop.settings(video_max_frames=1), force_full=True)
    assert len(shop.snapshot().entries) == 1
