"""A photo that cannot be used costs one item, with a typed reason, and the run goes on."""

from __future__ import annotations

import subprocess
import sys
import time
import zlib
from struct import pack
from typing import TYPE_CHECKING

from tests.shop import REPOSITORY, picture_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.shop import Shop


def _bomb(side: int) -> bytes:
    """A tiny PNG that says it is `side` pixels wide and high."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


_BAD = {
    "empty.jpg": (b"", "empty_file"),
    "text.jpg": (b"hello, I am no picture", "not_an_image"),
    "page.png": (b"<!doctype html><svg/>", "not_an_image"),
    "cut.png": (picture_bytes(3, (200, 200))[:150], "damaged_image"),
    "cut.jpg": (picture_bytes(4, (200, 200), "JPEG")[:900], "damaged_image"),
    "bomb.png": (_bomb(30_000), "image_too_large"),
    "magic-only.gif": (b"GIF89a", "damaged_image"),
}


def test_each_bad_file_is_a_failed_item_with_its_reason(shop: Shop) -> None:
    for name, (data, _) in _BAD.items():
        shop.write(name, data)
    shop.photos(3)
    run = shop.ingest()
    items = shop.items()
    assert {name: items[name].reason_code for name in _BAD} == {
        name: code for name, (_, code) in _BAD.items()
    }
    assert all(items[name].reason for name in _BAD)
    assert run.counters.failed == run.failed_items == len(_BAD)
    assert run.counters.new == run.counters.embedded == 3
    assert run.counters.new_images == 3
    assert run.total_items == 3 + len(_BAD)
    shop.assert_in_step()


def test_a_file_over_the_limit_is_named_with_its_setting(shop: Shop) -> None:
    shop.write("big.png", picture_bytes(1, (300, 300)) + bytes(50_000))
    shop.ingest(shop.settings(max_file_mb=0.01))
    item = shop.items()["big.png"]
    assert item.reason_code == "image_too_large"
    assert "LOOKALIKE_MAX_FILE_MB" in (item.reason or "")


def test_a_picture_of_too_many_pixels_is_named_with_its_setting(shop: Shop) -> None:
    shop.write("wide.png", picture_bytes(1, (400, 400)))
    shop.ingest(shop.settings(max_image_megapixels=0.1))
    item = shop.items()["wide.png"]
    assert item.reason_code == "image_too_large"
    assert "LOOKALIKE_MAX_IMAGE_MEGAPIXELS" in (item.reason or "")


def test_a_failed_file_is_not_tried_again_until_it_changes(shop: Shop) -> None:
    shop.write("bad.jpg", "no picture")
    time.sleep(0.03)
    shop.ingest()
    run = shop.ingest()
    assert run.counters.hashed == run.counters.failed == 0
    assert run.failed_items == 1
    shop.photo("bad.jpg", seed=1)
    run = shop.ingest()
    assert (run.counters.modified, run.failed_items) == (1, 0)
    shop.assert_in_step()


def test_a_retry_tries_once_more(shop: Shop) -> None:
    shop.write("big.png", picture_bytes(1, (300, 300)))
    shop.ingest(shop.settings(max_image_megapixels=0.01))
    assert shop.ingest().failed_items == 1
    with shop.catalog() as catalog:
        assert catalog.request_retry(["big.png"]) == 1
    run = shop.ingest()
    assert (run.counters.modified, run.failed_items) == (1, 0)


def test_a_retry_follows_a_file_to_its_new_name(shop: Shop) -> None:
    shop.write("big.png", picture_bytes(1, (300, 300)))
    shop.ingest(shop.settings(max_image_megapixels=0.01))
    with shop.catalog() as catalog:
        catalog.request_retry(None)
    (shop.images / "big.png").rename(shop.images / "renamed.png")
    run = shop.ingest()
    assert (run.counters.moved, run.counters.embedded, run.failed_items) == (1, 1, 0)
    shop.assert_in_step()


def test_a_failed_file_that_moves_stays_failed_and_is_not_tried_again(shop: Shop) -> None:
    shop.write("bad.jpg", "no picture")
    shop.ingest()
    (shop.images / "bad.jpg").rename(shop.images / "worse.jpg")
    run = shop.ingest()
    assert (run.counters.moved, run.counters.failed, run.failed_items) == (1, 0, 1)
    assert shop.items()["worse.jpg"].reason_code == "not_an_image"


def test_a_broken_edit_keeps_the_photo_findable_by_its_earlier_content(shop: Shop) -> None:
    shop.photo("a.png", seed=1)
    shop.ingest()
    shop.write("a.png", "broken")
    run = shop.ingest()
    assert (run.failed_items, run.counters.modified, run.counters.new_images) == (1, 0, 0)
    item = shop.items()["a.png"]
    assert (item.state.value, item.stale) == ("failed", True)
    assert shop.found(picture_bytes(1)) == {"a.png"}
    snapshot = shop.snapshot()
    assert snapshot.entries[0].stale
    shop.photo("a.png", seed=2)
    shop.ingest()
    assert not shop.items()["a.png"].stale
    assert shop.found(picture_bytes(1)) == set()
    shop.assert_in_step()


def test_a_stale_photo_that_is_deleted_is_found_no_more(shop: Shop) -> None:
    shop.photo("a.png", seed=1)
    shop.ingest()
    shop.write("a.png", "broken")
    shop.ingest()
    (shop.images / "a.png").unlink()
    assert shop.ingest().counters.removed == 1
    assert shop.found(picture_bytes(1)) == set()
    assert shop.snapshot().entries.item_count == 0


def test_ten_copies_of_a_bad_photo_fail_alike_and_are_decoded_once(shop: Shop) -> None:
    for number in range(10):
        shop.write(f"{number}.jpg", "no picture")
    run = shop.ingest()
    assert run.failed_items == 10
    assert {item.reason_code for item in shop.items().values()} == {"not_an_image"}


def test_a_photo_cut_at_any_length_never_stops_a_run(shop: Shop) -> None:
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"):
        data = picture_bytes(1, (48, 48), kind)
        for percent in range(0, 100, 5):
            shop.write(f"{kind}-{percent}.img", data[: len(data) * percent // 100])
    run = shop.ingest()
    assert run.counters.settled == run.counters.planned
    for item in shop.items().values():
        assert item.reason_code in (None, "damaged_image", "not_an_image"), item
    shop.assert_sound()


_RUN_AND_TELL = """
import sys, threading
root = sys.argv[1]
opened = []
def hook(event, arguments):
    if event == "open" and str(arguments[0]).startswith(root):
        opened.append(arguments[0])
sys.addaudithook(hook)
from core.records import RunOptions
from core.settings import Settings
from ingest.runner import run_now
if __name__ == "__main__":
    run = run_now(Settings.load(), RunOptions(), "test", threading.Event())
    print(run.state.value, sorted(opened))
"""


def test_an_unchanged_folder_is_listed_but_no_file_in_it_is_opened(shop: Shop) -> None:
    shop.photos(2)
    shop.write("notes.txt", "no picture")
    shop.write("bad.jpg", "no picture")
    shop.write("products.csv", "path,colour\n0000.png,red\n")
    time.sleep(0.03)
    shop.ingest()
    done = subprocess.run(
        [sys.executable, "-c", _RUN_AND_TELL, str(shop.images)],
        cwd=REPOSITORY,
        env=shop.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    # The product data is no photo: it is small, and read each time.
    assert done.stdout == f"succeeded ['{shop.images / 'products.csv'}']\n"


def test_a_file_that_is_passed_over_is_only_looked_at_once_it_changes(shop: Shop) -> None:
    file = shop.write("notes.txt", "no picture")
    time.sleep(0.03)
    assert shop.ingest().counters.planned == 1
    assert shop.ingest().counters.planned == 0
    file.write_text("still no picture")
    time.sleep(0.03)
    assert shop.ingest().counters.planned == 1
    assert shop.ingest().counters.planned == 0


def test_a_file_that_may_not_be_read_is_hashed_again_at_every_run(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture_bytes(1))
    (tmp_path / "a.png").chmod(0)
    tmp_path.chmod(0o755)
    # A process of nobody's, because no right stops the superuser.
    script = (
        "import os, sys; from ingest.reading import hash_file\n"
        "os.chdir(sys.argv[1]); os.getuid() or os.setuid(65534)\n"
        "read = hash_file('.', 'a.png', is_item=False)\n"
        "print(read.failure.code, read.failure.reason, read.racy, read.md5)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    reason = "The file cannot be read: Permission denied."
    assert done.stdout == f"unreadable_file {reason} True None\n"
