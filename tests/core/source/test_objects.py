"""Listings and fetches of object storage that lives in memory, and what listings say of objects."""

from __future__ import annotations

import hashlib
import io
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ImageTooLargeError, SettingsError, SourceError
from core.folder.walk import Walk
from core.settings import Settings
from core.source.facts import seen_object
from core.source.local import LocalFolder
from core.source.objects import FetchLimits, ObjectStore
from core.source.opening import open_source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.records import SeenFile
    from core.source.listing import ObjectListing

LIMITS = FetchLimits(100, "LOOKALIKE_MAX_FILE_MB")


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    filesystem = fsspec.filesystem("memory")
    yield filesystem
    filesystem.store.clear()
    filesystem.pseudo_dirs[:] = [""]


def store() -> ObjectStore:
    found = open_source(Settings.load(image_dir="memory://shop/photos"))
    assert isinstance(found, ObjectStore)
    return found


def paths(listing: ObjectListing) -> list[str]:
    return [seen.path for seen in listing]


def test_a_storage_is_listed_as_a_folder_of_the_same_names_is(
    memory: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    for name in (
        "b.png",
        "a/x.png",
        "a.png",
        "a-b.png",
        "a/b/c.png",
        "ü/ß.png",
        ".no/x.png",
        ".dot",
        "products.csv",
        "a/products.csv",
    ):
        memory.pipe(f"/shop/photos/{name}", b"x")
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    memory.pipe("/shop/photos-of-others/x.png", b"x")
    listing = store().walk()
    assert paths(listing) == [seen.path for seen in Walk(tmp_path)]
    assert listing.complete
    assert sorted(listing.metadata) == ["products.csv"]


@pytest.mark.usefixtures("memory")
def test_nothing_under_the_url_names_the_setting() -> None:
    with pytest.raises(SourceError, match="LOOKALIKE_IMAGE_DIR"):
        paths(store().walk())


def test_a_folder_that_cannot_be_listed_makes_the_listing_incomplete(
    memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/1.png", "b/2.png", "c/3.png"):
        memory.pipe(f"/shop/photos/{name}", b"x")
    listed = type(memory).ls

    def ls(self: object, path: str, **how: object) -> object:
        if path.endswith("/b"):
            raise ConnectionResetError("gone away")
        return listed(self, path, **how)

    monkeypatch.setattr(type(memory), "ls", ls)
    listing = store().walk()
    assert paths(listing) == ["a/1.png", "c/3.png"]
    assert not listing.complete
    assert "b: gone away" in listing.unlisted[0]


def test_a_listing_out_of_order_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = store()
    monkeypatch.setattr(
        found, "entries", lambda: (seen_object(name, {"size": 1}) for name in ("b", "a"))
    )
    with pytest.raises(SourceError, match="out of order"):
        paths(found.walk())


def test_a_fetch_gives_bytes_hash_and_stat_and_keeps_to_its_limit(
    memory: fsspec.AbstractFileSystem,
) -> None:
    memory.pipe("/shop/photos/a.png", b"0123456789")
    into = io.BytesIO()
    fetched = store().fetch("a.png", into, LIMITS)
    assert into.getvalue() == b"0123456789"
    assert (fetched.md5, fetched.size) == (hashlib.md5(b"0123456789").digest(), 10)
    assert [fetched.stat] == [seen.stat for seen in store().walk()]
    assert store().head("a.png", 4) == b"0123"
    with pytest.raises(FileNotFoundError):
        store().fetch("b.png", into, LIMITS)
    with pytest.raises(ImageTooLargeError, match="LOOKALIKE_MAX_FILE_MB"):
        store().fetch("a.png", into, FetchLimits(9, "LOOKALIKE_MAX_FILE_MB"))
    assert store().holds("a.png")
    assert not store().holds("b.png")


MD5 = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("info", "claimed"),
    [
        ({"ETag": f'"{MD5}"'}, bytes.fromhex(MD5)),
        ({"ETag": MD5.upper()}, bytes.fromhex(MD5)),
        ({"ETag": f'"{MD5}-2"'}, None),  # uploaded in parts
        ({"etag": "CJ+0hQ==", "md5Hash": "ASNFZ4mrze8BI0VniavN7w=="}, bytes.fromhex(MD5)),
        ({"md5Hash": "not base64"}, None),
        ({"content_settings": {"content_md5": bytearray.fromhex(MD5)}}, bytes.fromhex(MD5)),
        ({"content_settings": {"content_md5": None}, "etag": "0x8D"}, None),
        ({}, None),
    ],
)
def test_an_md5_is_claimed_where_the_storage_says_one(
    info: dict[str, object], claimed: bytes | None
) -> None:
    assert seen_object("a", {"size": 1, **info}).claimed_md5 == claimed


def test_another_etag_is_another_stat() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    one = seen_object("a", {"Size": 3, "ETag": '"x"', "LastModified": moment})
    same = seen_object("a", {"ContentLength": 3, "ETag": '"x"', "LastModified": moment})
    other = seen_object("a", {"Size": 3, "ETag": '"y"', "LastModified": moment})
    assert one.stat == same.stat != other.stat
    assert one.stat.mtime_ns == int(moment.timestamp()) * 10**9
    assert max(one.stat) < 2**63


@pytest.mark.parametrize(
    "moment",
    [1767323045.0, "2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5)],  # noqa: DTZ001
)
def test_times_of_any_kind_are_understood(moment: object) -> None:
    assert seen_object("a", {"size": 1, "mtime": moment}).stat.mtime_ns == 1767323045 * 10**9


@given(st.lists(st.text("ab-./", min_size=1, max_size=6), unique=True))
def test_whatever_keys_there_are_each_is_listed_once_in_order(keys: list[str]) -> None:
    class Flat(ObjectStore):
        def entries(self) -> Iterator[SeenFile]:
            return (seen_object(key, {"size": 1}) for key in sorted(keys, key=os.fsencode))

    listed = paths(Flat("memory://x", None, "x").walk())
    assert listed == sorted(set(listed), key=os.fsencode)
    assert set(listed) <= set(keys)


def test_urls_and_folders_are_told_apart() -> None:
    assert Settings.load(image_dir="s3://shop/photos/").image_dir == "s3://shop/photos"
    folder = open_source(Settings.load(image_dir="file:///srv/photos"))
    assert folder == LocalFolder(Path("/srv/photos"))
    for url in ("s4://shop", "gs://shop"):
        with pytest.raises(SettingsError, match=f"LOOKALIKE_IMAGE_DIR={url}.*pip install"):
            open_source(Settings.load(image_dir=url))


def test_options_of_the_storage_are_checked_and_never_shown() -> None:
    for wrong in ("[1]", "{", "secret"):
        with pytest.raises(SettingsError, match="LOOKALIKE_STORAGE_OPTIONS") as raised:
            Settings.load(image_dir="s3://shop", storage_options=wrong)
        assert "secret" not in str(raised.value)
    with pytest.raises(SettingsError, match="LOOKALIKE_IMAGE_REDIRECT"):
        Settings.load(image_redirect="signed")
    with pytest.raises(SettingsError, match="LOOKALIKE_IMAGE_REDIRECT"):
        Settings.load(image_redirect="ftp://x")
