"""Files that change while a run looks at them."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from core.errors import RunCancelledError
from core.records import RunState
from core.vision.classic import ClassicEmbedder
from ingest import photos, reading
from tests.shop import picture_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from ingest.reading import ReadFile
    from tests.shop import Shop


@pytest.fixture
def after_hashing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have something happen once, just after a file was hashed and before it is decoded."""

    def arrange(path: str, happen: Callable[[], object]) -> None:
        done = threading.Event()

        def hash_file(root: str, name: str, *, is_item: bool) -> ReadFile:
            found = reading.hash_file(root, name, is_item=is_item)
            if name == path and not done.is_set():
                done.set()
                happen()
            return found

        monkeypatch.setattr(photos, "hash_file", hash_file)

    return arrange


def test_a_photo_edited_between_hashing_and_decoding_has_its_newest_content(
    shop: Shop, after_hashing: Callable[..., None]
) -> None:
    shop.photo("a.png", seed=1)
    shop.photo("b.png", seed=3)
    after_hashing("a.png", lambda: shop.photo("a.png", seed=2))
    run = shop.ingest()
    assert (run.counters.new, run.counters.embedded) == (2, 2)
    assert shop.found(picture_bytes(2)) == {"a.png"}
    assert shop.found(picture_bytes(1)) == set()
    shop.assert_in_step()


def test_copies_of_a_photo_edited_meanwhile_keep_the_old_content(
    shop: Shop, after_hashing: Callable[..., None]
) -> None:
    for name in ("a.png", "b.png", "c.png"):
        shop.photo(name, seed=1)
    after_hashing("a.png", lambda: shop.photo("a.png", seed=2))
    run = shop.ingest()
    assert (run.counters.new, run.counters.embedded) == (3, 2)
    assert shop.found(picture_bytes(1)) == {"b.png", "c.png"}
    assert shop.found(picture_bytes(2)) == {"a.png"}
    shop.assert_in_step()


def test_copies_of_a_photo_deleted_meanwhile_are_embedded_without_it(
    shop: Shop, after_hashing: Callable[..., None]
) -> None:
    for name in ("a.png", "b.png"):
        shop.photo(name, seed=1)
    after_hashing("a.png", (shop.images / "a.png").unlink)
    run = shop.ingest()
    assert (run.counters.new, run.counters.embedded) == (1, 1)
    assert run.counters.settled == run.counters.planned == 2
    shop.assert_in_step()


def test_copies_of_a_photo_broken_meanwhile_are_embedded_without_it(
    shop: Shop, after_hashing: Callable[..., None]
) -> None:
    for name in ("a.png", "b.png"):
        shop.photo(name, seed=1)
    after_hashing("a.png", lambda: shop.write("a.png", "broken"))
    run = shop.ingest()
    assert (run.counters.new, run.failed_items) == (1, 1)
    assert shop.found(picture_bytes(1)) == {"b.png"}
    shop.assert_in_step()


def test_product_data_edited_during_a_run_is_taken_over_by_the_next(
    shop: Shop, after_hashing: Callable[..., None]
) -> None:
    shop.photos(3)
    shop.write("products.csv", "path,colour\n0000.png,red\n0001.png,red\n0002.png,red\n")
    edited = "path,colour\n0000.png,blue\n0001.png,blue\n"
    after_hashing("0001.png", lambda: shop.write("products.csv", edited))

    def colours() -> list[str | None]:
        return [item.attributes.get("colour") for _, item in sorted(shop.items().items())]

    shop.ingest()
    assert colours() == ["red"] * 3  # one reading labels a whole run
    run = shop.ingest()
    assert colours() == ["blue", "blue", None]
    assert run.counters.embedded == 0


def test_an_item_deleted_after_the_listing_is_missing_at_the_next_run(
    shop: Shop, after_hashing: Callable[..., None]
) -> None:
    shop.photo("a.png", seed=1)
    shop.ingest()
    shop.photo("a.png", seed=2)
    after_hashing("a.png", (shop.images / "a.png").unlink)
    assert shop.ingest().counters.modified == 0
    assert shop.ingest().counters.removed == 1
    shop.assert_in_step()


def test_a_photo_that_becomes_a_folder_or_a_pipe_is_left_for_the_next_run(
    shop: Shop, after_hashing: Callable[..., None]
) -> None:
    file = shop.photo("a.png", seed=1)
    shop.photo("b.png", seed=2)

    def replace() -> None:
        file.unlink()
        os.mkfifo(file)

    after_hashing("a.png", replace)
    assert shop.ingest().counters.new == 1
    file.unlink()
    shop.assert_in_step()


def test_a_file_that_grows_while_it_is_read_is_read_again(shop: Shop) -> None:
    file = shop.write("a.png", picture_bytes(1))
    time.sleep(0.03)
    with reading._Opened(str(shop.images), "a.png") as opened:
        with file.open("ab") as more:
            more.write(b"tail")
        opened.read_all(reading.DecodeLimits(10**9, 10**9, "x"))
        assert opened.racy


def test_a_young_file_is_hashed_once_more(shop: Shop) -> None:
    shop.photo("a.png", seed=1)
    read = reading.hash_file(str(shop.images), "a.png", is_item=False)
    assert read.racy
    assert read.md5 == hashlib.md5(picture_bytes(1)).digest()
    time.sleep(0.03)
    assert not reading.hash_file(str(shop.images), "a.png", is_item=False).racy


def test_a_run_cancelled_by_another_thread_keeps_what_it_embedded(shop: Shop) -> None:
    shop.photos(400)

    def cancel() -> None:
        with shop.catalog() as catalog:
            for _ in range(2000):
                run = catalog.runs.active()
                if run is not None and run.counters.embedded:
                    catalog.runs.request_cancel(run.id)
                    return
                time.sleep(0.005)

    with shop.catalog():
        pass
    thread = threading.Thread(target=cancel)
    thread.start()
    run = shop.run(shop.settings(batch_size=4, commit_every_images=16))
    thread.join()
    assert (run.state, run.error_code) == (RunState.CANCELLED, RunCancelledError.code)
    kept = len([state for state in shop.states().values() if state == "indexed"])
    assert 0 < kept < 400
    assert kept == run.counters.new
    rest = shop.ingest()
    assert rest.counters.embedded == 400 - kept
    shop.assert_in_step()


def test_a_run_told_to_stop_is_interrupted_and_keeps_what_it_embedded(shop: Shop) -> None:
    shop.photos(60)
    stop = threading.Event()
    timer = threading.Timer(0.5, stop.set)
    timer.start()
    run = shop.run(shop.settings(batch_size=2), stop=stop)
    timer.join()
    if run.state == "interrupted":
        assert len(shop.states()) == run.counters.new
    rest = shop.ingest()
    assert rest.counters.embedded == 60 - run.counters.new
    shop.assert_in_step()


def test_a_stop_stores_what_is_done_before_it_waits_for_a_pass(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OncePassTwoGoesOn(threading.Event):
        passes = 0

        def is_set(self) -> bool:
            return self.passes > 0 and self.wait(20)

    stop, stored = OncePassTwoGoesOn(), list[int]()

    class Watching(ClassicEmbedder):
        light = False  # so that it runs in the ingester

        def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
            stop.passes += 1
            if stop.passes == 2:
                stop.set()
                until = time.monotonic() + 20
                while not shop.states() and time.monotonic() < until:
                    time.sleep(0.01)
                stored.append(len(shop.states()))
            return super().embed(pixels)

    monkeypatch.setattr("ingest.model.load_embedder", Watching)
    shop.photos(6)
    run = shop.run(shop.settings(batch_size=2), stop=stop)
    assert run.state == "interrupted"
    assert stored == [1]


def test_what_is_shown_of_a_run_only_grows(shop: Shop) -> None:
    shop.photos(200)
    shown = list[tuple[int, int, int]]()
    run = shop.run(
        shop.settings(batch_size=4),
        show=lambda counters: shown.append((counters.scanned, counters.settled, counters.embedded)),
    )
    assert run.state == "succeeded"
    assert shown == sorted(shown)
    assert shown[-1][:2] == (200, 200)
    assert run.counters.bytes_read > 0
    assert {"walk", "hash", "embed", "commit", "housekeeping"} <= set(run.counters.stage_s)
