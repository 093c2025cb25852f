"""One reading of a file gives its hash, its stat and its pixels, or says why not."""

from __future__ import annotations

import hashlib
import os
import socket
from typing import TYPE_CHECKING

import numpy as np
import pytest

from core.vision.classic import ClassicEmbedder
from core.vision.decode import DecodeLimits
from core.vision.models import ModelSource
from core.vision.video import VideoSampling
from ingest.reading import Preparation, hash_file, prepare_file, promises_picture
from tests.shop import picture_bytes, vector_of

if TYPE_CHECKING:
    from pathlib import Path

_EMBEDDER = ClassicEmbedder(ModelSource("classic", None))


def _how(max_bytes: int = 10**7) -> Preparation:
    limits = DecodeLimits(10**6, max_bytes, "LOOKALIKE_MAX_FILE_MB")
    return Preparation(_EMBEDDER.preprocessing, limits, VideoSampling("scenes", 1.0, 10))


def test_hash_stat_and_pixels_are_of_the_same_bytes(tmp_path: Path) -> None:
    data = picture_bytes(1)
    (tmp_path / "a.png").write_bytes(data)
    read = prepare_file(str(tmp_path), "a.png", _how())
    assert read.md5 == hashlib.md5(data).digest()
    assert read.size == len(data)
    assert read.stat is not None
    assert read.stat.size == len(data)
    assert read.pixels is not None
    assert np.allclose(_EMBEDDER.embed(read.pixels)[0], vector_of(data), atol=1e-6)
    hashed = hash_file(str(tmp_path), "a.png", is_item=False)
    assert (hashed.md5, hashed.stat, hashed.pixels) == (read.md5, read.stat, None)


def test_a_large_file_is_hashed_whole(tmp_path: Path) -> None:
    data = picture_bytes(1) + bytes(5_000_000) + b"end"
    (tmp_path / "a.png").write_bytes(data)
    assert hash_file(str(tmp_path), "a.png", is_item=False).md5 == hashlib.md5(data).digest()


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"", "empty_file"), (b"text", "not_an_image"), (picture_bytes(1)[:60], "damaged_image")],
)
def test_what_is_no_picture_fails_with_its_hash(tmp_path: Path, data: bytes, code: str) -> None:
    (tmp_path / "a.png").write_bytes(data)
    read = prepare_file(str(tmp_path), "a.png", _how())
    assert read.failure is not None
    assert read.failure.code == code
    assert (read.md5, read.pixels) == (hashlib.md5(data).digest(), None)


def test_a_file_over_the_limit_is_hashed_but_not_held(tmp_path: Path) -> None:
    data = picture_bytes(1)
    (tmp_path / "a.png").write_bytes(data)
    read = prepare_file(str(tmp_path), "a.png", _how(max_bytes=10))
    assert read.failure is not None
    assert read.failure.code == "image_too_large"
    assert "LOOKALIKE_MAX_FILE_MB" in read.failure.reason
    assert read.md5 == hashlib.md5(data).digest()


def test_what_is_gone_or_no_regular_file_counts_as_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.png")
    (tmp_path / "folder.png").mkdir()
    before = len(os.listdir("/proc/self/fd"))
    for name in ("none.png", "pipe.png", "folder.png"):
        assert hash_file(".", name, is_item=True).stat is None
        assert prepare_file(".", name, _how()).stat is None
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_cannot_be_opened_fails_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.png")
        for read in (
            hash_file(".", "socket.png", is_item=True),
            prepare_file(".", "socket.png", _how()),
        ):
            assert read.failure is not None
            assert read.failure.code == "unreadable_file"
            assert read.racy
    assert hash_file(".", "n" * 300, is_item=True).stat is None


def test_only_what_promises_or_holds_a_picture_is_read(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "plain").write_bytes(picture_bytes(1))
    assert hash_file(str(tmp_path), "notes.txt", is_item=False).passed_over
    assert hash_file(str(tmp_path), "notes.txt", is_item=True).md5 is not None
    assert hash_file(str(tmp_path), "plain", is_item=False).md5 is not None


def test_names_promise_pictures_by_their_suffix() -> None:
    for name in ("a.jpg", "A.JPEG", "b/c.WebP", "x.tiff"):
        assert promises_picture(name)
    for name in ("a.txt", "a", "._a.jpg", "b/.hidden.png", "jpg"):
        assert not promises_picture(name)
