"""Decoding processes: what one photo does to them costs that photo only."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest

from core.vision.classic import ClassicEmbedder
from core.vision.decode import DecodeLimits
from core.vision.models import ModelSource
from core.vision.video import VideoSampling
from ingest import decoders
from ingest.decoders import DecoderLimits, DecoderPool, in_order
from ingest.reading import Preparation, ReadFile, prepare_file
from tests.shop import picture_bytes

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path

    from tests.shop import Shop

_LIMITS = DecodeLimits(60_000_000, 10_000_000, "LOOKALIKE_MAX_FILE_MB")
_EMBEDDER = ClassicEmbedder(ModelSource("classic", None))
HOW = Preparation(_EMBEDDER.preprocessing, _LIMITS, VideoSampling("scenes", 1.0, 10))


def hostile_prepare(root: str, path: str, how: Preparation) -> ReadFile:
    """Do to the process what a hostile photo may do; runs in a decoding process."""
    if "crash" in path:
        os._exit(11)
    if "hang" in path:
        time.sleep(60)
    if "memory" in path:
        return ReadFile(None, pixels=np.zeros(10**12, np.uint8))
    if "odd" in path:
        raise RuntimeError("never heard of such a picture")
    return prepare_file(root, path, how)


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "prepare_file", hostile_prepare)


def _pool(root: Path, timeout_s: float = 20.0, memory_mb: int = 512) -> DecoderPool:
    bounds = DecoderLimits(2, timeout_s, memory_mb, video_timeout_s=60.0)
    return DecoderPool(str(root), HOW, bounds)


def _read(pool: DecoderPool, names: list[str], together: int = 1) -> dict[str, ReadFile]:
    chunks = [names[start : start + together] for start in range(0, len(names), together)]
    futures = [pool.submit(chunk) for chunk in chunks]
    reads = [pool.results(chunk, future) for chunk, future in zip(chunks, futures, strict=True)]
    return dict(zip(names, chain.from_iterable(reads), strict=True))


def _put(folder: Path, *names: str) -> list[str]:
    for number, name in enumerate(names):
        (folder / name).write_bytes(picture_bytes(number))
    return list(names)


def test_photos_come_back_prepared_with_their_hash(tmp_path: Path) -> None:
    names = _put(tmp_path, "a", "b", "c")
    with _pool(tmp_path) as pool:
        found = _read(pool, names)
    for number, name in enumerate(names):
        read = found[name]
        direct = prepare_file(str(tmp_path), name, HOW)
        assert read.pixels is not None
        assert direct.pixels is not None
        assert np.array_equal(read.pixels, direct.pixels)
        assert (read.md5, read.size) == (direct.md5, len(picture_bytes(number)))


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize("together", [1, 6])
@pytest.mark.parametrize(
    ("bad", "code", "said"),
    [
        ("crash", "decoder_crashed", "exit code"),
        ("hang", "decode_timeout", "LOOKALIKE_DECODE_TIMEOUT_S"),
        ("memory", "decoder_crashed", "Memory"),
        ("odd", "decoder_crashed", "never heard"),
    ],
)
def test_a_hostile_photo_costs_only_itself(
    tmp_path: Path, bad: str, code: str, said: str, together: int
) -> None:
    names = _put(tmp_path, "a", bad, "b", "c", f"{bad}2", "d")
    with _pool(tmp_path, timeout_s=1.5) as pool:
        found = _read(pool, names, together)
    for name in ("a", "b", "c", "d"):
        assert found[name].pixels is not None, found[name]
    for name in (bad, f"{bad}2"):
        read = found[name]
        assert read.failure is not None
        assert read.failure.code == code
        assert said in read.failure.reason
        assert read.md5 is not None
        assert read.stat is not None


def test_a_picture_that_needs_too_much_memory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(picture_bytes(1, (7000, 7000)))
    (tmp_path / "small.png").write_bytes(picture_bytes(2))
    with _pool(tmp_path, memory_mb=64) as pool:
        found = _read(pool, ["large.png", "small.png"])
    assert found["large.png"].failure is not None
    assert found["large.png"].failure.code in ("image_too_large", "decoder_crashed")
    assert "LOOKALIKE_DECODE_MEMORY_MB" in found["large.png"].failure.reason
    assert found["small.png"].pixels is not None


def test_a_process_can_decode_a_large_photo_within_the_least_memory_allowed(
    tmp_path: Path,
) -> None:
    (tmp_path / "large.jpg").write_bytes(picture_bytes(1, (5000, 5000), "JPEG"))
    with _pool(tmp_path, memory_mb=256) as pool:
        assert _read(pool, ["large.jpg"])["large.jpg"].failure is None


def test_a_light_model_runs_where_its_pictures_are_decoded(tmp_path: Path) -> None:
    (name,) = _put(tmp_path, "a")
    how = replace(HOW, light_model=ModelSource("classic", None))
    with DecoderPool(str(tmp_path), how, DecoderLimits(1, 20.0, 512, 60.0)) as pool:
        (read,) = pool.results([name], pool.submit([name]))
    direct = prepare_file(str(tmp_path), name, HOW)
    assert read.pixels is None
    assert read.vectors is not None
    assert direct.pixels is not None
    assert np.array_equal(read.vectors, _EMBEDDER.embed(direct.pixels))


def test_photos_are_handed_over_singly_at_first_and_videos_alone(tmp_path: Path) -> None:
    names = [f"{number}.jpg" for number in range(40)]
    names.insert(30, "film.mp4")
    with _pool(tmp_path) as pool:
        chunks = list(pool.chunks(names, str))
    assert [name for chunk in chunks for name in chunk] == names
    assert all(len(chunk) == 1 for chunk in chunks[:4])
    assert max(map(len, chunks)) > 2
    assert ["film.mp4"] in chunks


def test_the_processes_end_with_the_pool(tmp_path: Path) -> None:
    names = _put(tmp_path, "a", "b")
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with _pool(tmp_path) as pool:
        _read(pool, names)
        during = {child.pid for child in psutil.Process().children(recursive=True)}
    after = {child.pid for child in psutil.Process().children(recursive=True)}
    assert during - before
    helpers = {
        child.pid
        for child in psutil.Process().children()
        if "multiprocessing" in " ".join(child.cmdline())
    }
    assert after - before <= helpers


def test_tasks_come_back_in_order_and_a_bounded_number_is_under_way() -> None:
    submitted = list[int]()

    def submit(task: int) -> Future[ReadFile]:
        submitted.append(task)
        return None  # type: ignore[return-value]  # never waited for here

    seen = list[int]()
    for task, _ in in_order(iter(range(20)), submit, window=5):
        assert len(submitted) - len(seen) <= 5
        seen.append(task)
    assert seen == submitted == list(range(20))


@pytest.mark.usefixtures("hostile")
def test_a_run_goes_on_past_hostile_photos(shop: Shop) -> None:
    shop.photos(6)
    shop.photo("crash.png", seed=1)
    shop.photo("hang.png", seed=2)
    shop.photo("odd.png", seed=3)
    run = shop.ingest(shop.settings(decode_timeout_s=1.0))
    assert (run.counters.embedded, run.failed_items) == (6, 3)
    codes = {path: item.reason_code for path, item in shop.items().items() if item.reason_code}
    assert codes == {
        "crash.png": "decoder_crashed",
        "hang.png": "decode_timeout",
        "odd.png": "decoder_crashed",
    }
    shop.assert_in_step()
