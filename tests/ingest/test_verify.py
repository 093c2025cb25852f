"""Checking a store says what is wrong with it, and where."""

from __future__ import annotations

import pytest

from core.errors import StoreError
from core.store.database import CATALOG_FILE
from ingest.verify import verify_store
from tests.shop import Shop  # noqa: TC001  # shown in signatures


def test_a_store_never_filled_is_sound_and_stays_unmade(shop: Shop) -> None:
    found = verify_store(shop.store)
    assert found.sound
    assert (found.segments, found.vectors, found.items) == (0, 0, 0)
    assert not shop.store.exists()


def test_a_sound_store_is_counted(shop: Shop) -> None:
    shop.photos(3)
    shop.photo("copy.png", seed=1)
    shop.write("bad.jpg", "x")
    shop.ingest()
    found = verify_store(shop.store)
    assert found.sound
    assert (found.segments, found.vectors, found.items) == (1, 4, 5)


def _execute(shop: Shop, statement: str) -> None:
    with shop.catalog() as catalog, catalog.database.writing() as connection:
        connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE vectors SET row = 3 - row", "another photo's vector"),
        ("UPDATE vectors SET row = row + 100", "another photo's vector"),
        ("UPDATE vectors SET md5 = randomblob(16)", "another photo's vector"),
        ("DELETE FROM vectors WHERE id = 2", "1 indexed items have no vector"),
        ("UPDATE segments SET sha256 = randomblob(32)", "0000000001.h5"),
        ("UPDATE indexes SET vectors = 9", "4 vectors instead of 9"),
        ("UPDATE indexes SET sha256 = randomblob(32)", "not what was written"),
    ],
)
def test_a_catalog_that_contradicts_its_files_is_found(
    shop: Shop, statement: str, said: str
) -> None:
    shop.photos(4)
    shop.ingest()
    _execute(shop, statement)
    found = verify_store(shop.store)
    assert not found.sound
    assert any(said in problem for problem in found.problems), found.problems


def test_a_damaged_catalog_is_named(shop: Shop) -> None:
    shop.photos(4)
    shop.ingest()
    path = shop.store / CATALOG_FILE
    data = path.read_bytes()
    for start in range(4096, len(data) - 64, 4096):
        path.write_bytes(data[:start] + b"\xa5" * 64 + data[start + 64 :])
        try:
            found = verify_store(shop.store)
        except StoreError as error:
            assert CATALOG_FILE in str(error)  # noqa: PT017  # either way of saying so will do
        else:
            assert not found.sound
            assert any(CATALOG_FILE in problem for problem in found.problems)


def test_a_catalog_cut_short_is_named(shop: Shop) -> None:
    shop.photos(4)
    shop.ingest()
    path = shop.store / CATALOG_FILE
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(StoreError, match=r"catalog\.db"):
        verify_store(shop.store)
