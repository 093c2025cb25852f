"""Photos in a bucket, over real HTTP: what is fetched, what is removed, and what a fault costs."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from core.errors import MassRemovalError, SourceError
from core.records import ItemState
from tests.bucket import Bucket, Endpoint, serve_buckets
from tests.shop import picture_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("s3fs")
pytest.importorskip("moto")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    yield from serve_buckets()


@pytest.fixture
def bucket(endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket, three keys to a page of its listing."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "3")
    yield Bucket(endpoint, tmp_path / "store")
    endpoint.broken, endpoint.short = lambda _: None, lambda _: False
    endpoint.disguised = False
    endpoint.asked.clear()


def test_photos_of_a_bucket_are_found_and_a_rerun_fetches_nothing(bucket: Bucket) -> None:
    shop = bucket.shop()
    bucket.photos(7)
    bucket.put("ärger/日本 ñ+%41?#.png", picture_bytes(100))
    bucket.put("a b/c.PNG", picture_bytes(101))
    bucket.put("notes.txt", "no picture")
    bucket.put("bad.png", "no picture either")
    bucket.put("empty.png", b"")
    bucket.put(".hidden/x.png", picture_bytes(102))
    bucket.put("folder/", b"")
    bucket.fetches()
    run = shop.ingest()
    assert (run.counters.new, run.counters.failed) == (9, 2)
    assert max(bucket.fetches().values()) == 1
    assert shop.found(picture_bytes(100)) == {"ärger/日本 ñ+%41?#.png"}
    states = shop.states()
    assert len(states) == 11
    assert {path for path, state in states.items() if state == "failed"} == {"bad.png", "empty.png"}
    assert shop.items()["0003.png"].md5 == hashlib.md5(picture_bytes(3)).digest()

    again = shop.ingest()
    assert (again.counters.planned, again.counters.scanned) == (0, 12)
    assert not bucket.fetches()


def test_only_what_changed_is_fetched(bucket: Bucket) -> None:
    shop = bucket.shop()
    bucket.photos(5)
    shop.ingest()
    bucket.put("0002.png", picture_bytes(50))
    bucket.put("0003.png", picture_bytes(3))  # put anew with the content it had
    bucket.fetches()
    run = shop.ingest()
    assert run.counters.modified == run.counters.embedded == 1
    assert bucket.fetches() == {"0002.png": 1}
    assert shop.found(picture_bytes(50)) == {"0002.png"}
    assert shop.found(picture_bytes(2)) == set()


def test_a_moved_object_and_a_copy_are_neither_fetched_nor_embedded(bucket: Bucket) -> None:
    shop = bucket.shop()
    bucket.photos(4)
    shop.ingest()
    old = shop.items()["0001.png"].id
    bucket.put("moved/here.png", picture_bytes(1))
    bucket.remove("0001.png")
    bucket.put("copy.png", picture_bytes(2))
    bucket.fetches()
    run = shop.ingest()
    assert (run.counters.moved, run.counters.new, run.counters.embedded) == (1, 1, 0)
    assert not bucket.fetches()
    assert shop.items()["moved/here.png"].id == old


def test_copies_that_come_together_are_fetched_once(bucket: Bucket) -> None:
    for number in range(6):
        bucket.put(f"{number}.png", picture_bytes(1))
    bucket.fetches()
    run = bucket.shop().ingest()
    assert (run.counters.new, run.counters.embedded) == (6, 1)
    assert bucket.fetches().total() == 1


@pytest.mark.parametrize("kind", ["parts", "encrypted"])
def test_a_moved_object_whose_etag_is_no_md5_is_fetched_but_not_embedded(
    bucket: Bucket, kind: str
) -> None:
    bucket.endpoint.disguised = kind == "encrypted"
    put = bucket.put if kind == "encrypted" else bucket.put_in_parts
    shop = bucket.shop()
    for number in range(3):
        put(f"{number}.png", picture_bytes(number))
    shop.ingest()
    bucket.fetches()
    assert shop.ingest().counters.planned == 0
    assert not bucket.fetches()
    put("moved.png", picture_bytes(1))
    bucket.remove("1.png")
    run = shop.ingest()
    assert (run.counters.moved, run.counters.embedded) == (1, 0)
    assert bucket.fetches() == {"moved.png": 1}
    assert shop.items()["moved.png"].md5 == hashlib.md5(picture_bytes(1)).digest()


@pytest.mark.slow
def test_verifying_fetches_and_hashes_every_object(bucket: Bucket) -> None:
    shop = bucket.shop()
    bucket.photos(4)
    shop.ingest()
    bucket.fetches()
    run = shop.ingest(verify=True)
    assert (run.counters.hashed, run.counters.embedded) == (4, 0)
    assert sorted(bucket.fetches()) == [f"{number:04d}.png" for number in range(4)]


@pytest.mark.parametrize("page", ["first", "next"])
def test_a_listing_that_breaks_off_removes_nothing(bucket: Bucket, page: str) -> None:
    shop = bucket.shop()
    bucket.photos(8)
    shop.ingest()
    before = shop.states()
    bucket.remove("0001.png")
    bucket.endpoint.broken = lambda asked: 403 if asked == ("LIST", page) else None
    run = shop.run()
    assert shop.states() == before
    if page == "first":
        assert (run.state, run.error_code) == ("failed", SourceError.code)
        assert "LOOKALIKE_IMAGE_DIR" in (run.message or "")
    else:
        assert run.state == "succeeded"
        assert "nothing was removed" in run.warnings[0]
    bucket.endpoint.broken = lambda _: None
    assert shop.ingest().counters.removed == 1
    assert shop.states()["0001.png"] == "missing"


def test_a_page_that_fails_for_a_moment_is_asked_for_again(bucket: Bucket) -> None:
    shop = bucket.shop()
    bucket.photos(8)
    failed = list[object]()

    def broken(asked: object) -> int | None:
        if asked == ("LIST", "next") and not failed:
            failed.append(asked)
            return 503
        return None

    bucket.endpoint.broken = broken
    assert shop.ingest().counters.new == 8
    assert failed


def test_deletes_are_guarded_and_another_empty_bucket_is_no_reason_to_forget(
    bucket: Bucket, endpoint: Endpoint
) -> None:
    shop = bucket.shop()
    for number in range(60):
        bucket.put(f"{number}.png", picture_bytes(number % 3))
    shop.ingest()
    bucket.remove(*(f"{number}.png" for number in range(55)))
    run = shop.run()
    assert (run.state, run.error_code) == ("failed", MassRemovalError.code)
    assert set(shop.states().values()) == {"indexed"}
    empty = Bucket(endpoint, bucket.store)
    elsewhere = shop.run(shop.settings(image_dir=empty.url))
    assert (elsewhere.state, elsewhere.error_code) == ("failed", MassRemovalError.code)
    assert shop.ingest(allow_mass_removal=True).counters.removed == 55


def test_one_object_that_cannot_be_had_fails_alone(bucket: Bucket) -> None:
    shop = bucket.shop()
    bucket.photos(5)
    bucket.endpoint.broken = lambda asked: 403 if asked.key.endswith("0001.png") else None
    bucket.endpoint.short = lambda asked: asked.key.endswith("0002.png")
    run = shop.ingest()
    assert (run.counters.new, run.counters.failed) == (3, 2)
    failed = {path: item for path, item in shop.items().items() if item.state == ItemState.FAILED}
    assert {item.reason_code for item in failed.values()} == {"unreadable_file"}
    assert sorted(failed) == ["0001.png", "0002.png"]
    bucket.endpoint.broken, bucket.endpoint.short = lambda _: None, lambda _: False
    assert shop.ingest().counters.embedded == 2
    assert set(shop.states().values()) == {"indexed"}


def test_an_object_that_vanishes_between_listing_and_fetch_stops_nothing(bucket: Bucket) -> None:
    shop = bucket.shop()
    bucket.photos(4)
    bucket.endpoint.broken = lambda asked: (
        bucket.remove("0003.png")
        if asked.key.endswith("0003.png") and asked.what == "GET"
        else None
    )
    run = shop.ingest()
    assert (run.counters.new, run.counters.failed) == (3, 0)
    assert "0003.png" not in shop.states()


def test_a_source_that_is_down_ends_the_run_and_fails_no_photo(bucket: Bucket) -> None:
    shop = bucket.shop()
    bucket.photos(40)
    settings = shop.settings(fetch_workers=4)
    bucket.endpoint.broken = lambda asked: 400 if asked.what == "GET" else None
    run = shop.run(settings)
    assert (run.state, run.error_code) == ("failed", SourceError.code)
    assert "in a row" in (run.message or "")
    assert "failed" not in shop.states().values()
    bucket.endpoint.broken = lambda _: None
    assert shop.ingest().counters.new == 40


def test_objects_over_the_limit_are_not_fetched(bucket: Bucket) -> None:
    bucket.chosen["max_file_mb"] = 0.001
    shop = bucket.shop()
    bucket.put("small.png", picture_bytes(1))
    bucket.put("large.png", picture_bytes(2) + bytes(2000))
    run = shop.ingest()
    assert (run.counters.new, run.counters.failed) == (1, 1)
    large = shop.items()["large.png"]
    assert large.reason_code == "image_too_large"
    assert "LOOKALIKE_MAX_FILE_MB" in (large.reason or "")
    assert run.counters.bytes_read < 2000
    bucket.fetches()
    assert shop.ingest().counters.planned == 0
    assert not bucket.fetches()


@pytest.mark.slow
def test_little_room_on_disk_costs_fetches_but_no_photo(bucket: Bucket) -> None:
    bucket.chosen["fetch_disk_mb"] = 0.0004
    bucket.photos(12)
    assert bucket.shop().ingest().counters.new == 12


def test_product_data_of_the_bucket_is_taken_over_and_not_fetched_again(bucket: Bucket) -> None:
    shop = bucket.shop()
    bucket.photos(3)
    bucket.put("products.csv", "path,product_id,colour\n0001.png,runner,red\n")
    shop.ingest()
    assert shop.items()["0001.png"].attributes == {"colour": "red"}
    bucket.fetches()
    shop.ingest()
    assert not bucket.fetches()
    bucket.put("products.csv", "path,product_id,colour\n0001.png,runner,blue\n")
    assert shop.ingest().counters.embedded == 0
    assert bucket.fetches() == {"products.csv": 1}
    assert shop.items()["0001.png"].attributes == {"colour": "blue"}
    bucket.remove("products.csv")
    shop.ingest()
    assert shop.items()["0001.png"].attributes == {}


def test_product_data_behind_a_listing_that_broke_off_stays(bucket: Bucket) -> None:
    shop = bucket.shop()
    bucket.photos(6)
    bucket.put("products.csv", "path,product_id,colour\n0001.png,runner,red\n")
    shop.ingest()
    bucket.endpoint.broken = lambda asked: 403 if asked == ("LIST", "next") else None
    assert any("product data" in warning for warning in shop.ingest().warnings)
    assert shop.items()["0001.png"].attributes == {"colour": "red"}


def test_the_root_marker_is_asked_of_the_bucket(bucket: Bucket) -> None:
    bucket.chosen["require_root_marker"] = True
    shop = bucket.shop()
    bucket.photos(1)
    assert shop.run().error_code == SourceError.code
    bucket.put(".lookalike-root", b"")
    assert shop.ingest().counters.new == 1


@pytest.mark.slow
def test_commands_work_on_a_bucket(bucket: Bucket) -> None:
    shop = bucket.shop()
    bucket.photos(2)
    done = shop.cli("run")
    assert done.returncode == 0, done.stderr
    assert shop.cli("verify").returncode == 0
    wrong = shop.cli("run", image_dir="s4://nowhere/photos")
    assert wrong.returncode == 2
    assert "LOOKALIKE_IMAGE_DIR=s4://nowhere/photos" in wrong.stdout
