"""The model at work beside decoding and storing."""

from __future__ import annotations

import threading
import time
from contextlib import closing, contextmanager, nullcontext
from typing import TYPE_CHECKING

import numpy as np
import pytest

from core.errors import DeviceMemoryError
from core.vision.classic import ClassicEmbedder
from core.vision.decode import DecodeLimits
from core.vision.models import ModelSource
from core.vision.video import VideoSampling
from ingest.decoders import DecoderLimits, DecoderPool
from ingest.embed import Embedded, Task, _Model, embed_files
from ingest.reading import Preparation, ReadFile
from tests.shop import picture_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_LIMITS = DecodeLimits(60_000_000, 10_000_000, "LOOKALIKE_MAX_FILE_MB")
_BOUNDS = DecoderLimits(2, 20.0, 512, video_timeout_s=60.0)


class _Ticker:
    """Remembers what is counted."""

    def __init__(self) -> None:
        self.counted = 0
        self.spent_s: dict[str, float] = {}

    def count(self, name: str, by: int = 1) -> None:
        self.counted += by if name == "embedded" else 0

    def stage(self, name: str) -> nullcontext[None]:
        del name
        return nullcontext()

    def spent(self, name: str, seconds: float) -> None:
        self.spent_s[name] = self.spent_s.get(name, 0.0) + seconds


class _Probe(ClassicEmbedder):
    """A model that notes its batches."""

    def __init__(self) -> None:
        super().__init__(ModelSource("classic", None))
        self.batches: list[int] = []

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.batches.append(len(pixels))
        return super().embed(pixels)


class _SmallDevice(_Probe):
    """A device that holds three pictures."""

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        vectors = super().embed(pixels)
        if len(pixels) > 3:
            raise DeviceMemoryError
        return vectors


class _Blind(_Probe):
    """Makes nothing of every second picture."""

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        vectors = super().embed(pixels)
        vectors[1::2] = np.nan
        return vectors


class _Together(_Probe):
    """A model whose first two passes end only when both are going on."""

    passes_at_once = 2

    def __init__(self) -> None:
        super().__init__()
        self.both = threading.Barrier(2)

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        vectors = super().embed(pixels)
        if len(self.batches) <= 2:
            self.both.wait(20)
        return vectors


@contextmanager
def embedding(
    folder: Path, embedder: ClassicEmbedder, photos: int = 10, ticker: _Ticker | None = None
) -> Iterator[Iterator[Embedded]]:
    """Photos on their way through the model, eight in a batch."""
    names = [f"{number:02d}" for number in range(photos)]
    for number, name in enumerate(names):
        (folder / name).write_bytes(picture_bytes(number))
    tasks = [Task(name, b"") for name in names]
    how = Preparation(embedder.preprocessing, _LIMITS, VideoSampling("scenes", 1.0, 10))
    with DecoderPool(str(folder), how, _BOUNDS) as pool:
        found = embed_files(tasks, pool, embedder, 8, ticker or _Ticker())
        with closing(found):  # type: ignore[type-var]  # it is a generator
            yield found


def test_a_batch_too_large_for_the_device_is_halved_until_it_fits(tmp_path: Path) -> None:
    embedder = _SmallDevice()
    with embedding(tmp_path, embedder) as found:
        assert all(embedded.vectors is not None for embedded in found)
    assert embedder.batches == [8, 4, 2, 2, 4, 2, 2, 2]


def test_a_device_too_small_for_one_picture_is_an_error(tmp_path: Path) -> None:
    class Tiny(_Probe):
        def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
            del pixels
            raise DeviceMemoryError

    with embedding(tmp_path, Tiny()) as found, pytest.raises(DeviceMemoryError):
        list(found)


def test_a_picture_the_model_makes_nothing_of_fails_alone(tmp_path: Path) -> None:
    with embedding(tmp_path, _Blind()) as found:
        failures = [embedded.read.failure for embedded in found if embedded.vectors is None]
    assert [failure and failure.code for failure in failures] == ["unusable_vector"] * 5


def test_the_next_pass_goes_on_while_a_batch_is_stored(tmp_path: Path) -> None:
    class Watched(_Probe):
        second = threading.Event()

        def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
            if self.batches:
                self.second.set()
            return super().embed(pixels)

    embedder = Watched()
    with embedding(tmp_path, embedder, photos=16) as found:
        next(found)
        assert embedder.second.wait(20)


def test_passes_side_by_side_give_each_photo_its_own_vector(tmp_path: Path) -> None:
    embedder, alone, ticker = _Together(), _Probe(), _Ticker()
    with embedding(tmp_path, embedder, photos=30, ticker=ticker) as found:
        together = list(found)
    with embedding(tmp_path, alone, photos=30) as found:
        in_turn = list(found)
    assert [one.task.path for one in together] == [f"{number:02d}" for number in range(30)]
    for one, other in zip(together, in_turn, strict=True):
        assert one.vectors is not None
        assert other.vectors is not None
        np.testing.assert_array_equal(one.vectors, other.vectors)
    assert sorted(embedder.batches) == [6, 8, 8, 8]
    assert ticker.counted == 30
    assert ticker.spent_s["embed"] > 0


def test_the_model_is_busy_no_longer_than_the_clock_runs(tmp_path: Path) -> None:
    class Uneven(_Together):
        def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
            vectors = super().embed(pixels)
            time.sleep(0.5 if len(pixels) == 8 else 0.05)  # the second ends first
            return vectors

    ticker = _Ticker()
    with embedding(tmp_path, Uneven(), photos=10, ticker=ticker) as found:
        began_s = time.monotonic()
        assert len(list(found)) == 10
        wall_s = time.monotonic() - began_s
    assert 0.5 <= ticker.spent_s["embed"] <= wall_s


def test_who_takes_no_more_leaves_no_pass_behind(tmp_path: Path) -> None:
    embedder = _Probe()
    with embedding(tmp_path, embedder, photos=40) as found:
        next(found)
    made = len(embedder.batches)
    assert made < 5
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("model_")]


def test_a_stop_ends_the_pass_of_a_long_video_between_its_parts() -> None:
    class Held(_Probe):
        started = threading.Event()
        until: threading.Event

        def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
            self.started.set()
            assert self.until.wait(20)
            return super().embed(pixels)

    embedder = Held()
    size = embedder.image_size
    frames = ReadFile(None, pixels=np.zeros((24, size, size, 3), np.uint8), at_ms=tuple(range(24)))
    with _Model(embedder, 8, _Ticker()) as model:
        embedder.until = model._closing
        assert not list(model.take([(Task("long.mp4", b""), frames)]))
        assert embedder.started.wait(20)
    assert embedder.batches == [8]
