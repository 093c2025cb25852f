"""Searches while the store moves on: each answer is of exactly one published state."""

from __future__ import annotations

import shutil
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from core.store.commit import Commit, IndexedFile, Label
from service.snapshots import SnapshotKeeper
from tests.shop import picture_bytes, vector_of

if TYPE_CHECKING:
    from tests.shop import Shop

ROUNDS = 100


def test_a_hundred_publishes_under_constant_search_never_mix(shop: Shop) -> None:
    paths = [path.name for path in shop.photos(6)]
    shop.ingest()
    keeper = SnapshotKeeper(shop.settings(), poll_s=0.001)
    keeper.start()
    query = vector_of(picture_bytes(1))
    stop = threading.Event()
    mixed: list[set[str]] = []
    seen: set[str] = set()

    def search() -> None:
        while not stop.is_set():
            view = keeper.view
            assert view is not None
            found = view.snapshot.search(query, 10)
            rounds = {match.entry.attributes.get("round", "0") for match in found}
            seen.update(rounds)
            if len(rounds) != 1 or len(found) != len(paths):
                mixed.append(rounds)

    searchers = [threading.Thread(target=search) for _ in range(3)]
    for searcher in searchers:
        searcher.start()
    with shop.catalog() as catalog:
        space = catalog.live_space()
        assert space is not None
        items = {item.path: item for item in catalog.items(None, 100)[0]}
        with closing(catalog.known_files(space.id)) as known:
            stats = {file.path: file.stat for file in known}
        for number in range(1, ROUNDS + 1):
            # The contents change places and every label names the round, in one commit.
            md5s = np.roll([items[path].md5 for path in paths], number).tolist()
            indexed = [
                IndexedFile(path, stats[path], md5, racy=False)
                for path, md5 in zip(paths, md5s, strict=True)
            ]
            labels = [Label(path, "p", f'{{"round": "{number}"}}') for path in paths]
            catalog.publish(space, Commit(indexed=indexed, labels=labels))
    keeper.refresh()
    assert keeper.view is not None
    last = keeper.view.snapshot.search(query, 10)
    stop.set()
    for searcher in searchers:
        searcher.join()
    keeper.stop()
    assert not mixed
    assert {match.entry.attributes["round"] for match in last} == {str(ROUNDS)}
    assert len(seen) > 5, "the searches saw the store move"


def test_a_store_taken_away_under_a_reader_is_said_and_a_new_one_taken_up(shop: Shop) -> None:
    shop.photos(3)
    shop.ingest()
    keeper = SnapshotKeeper(shop.settings())
    keeper.load()
    shutil.rmtree(shop.store)
    keeper.refresh()
    assert any("gone" in problem for problem in keeper.problems)
    assert keeper.view is not None
    assert len(keeper.view.snapshot.search(vector_of(picture_bytes(1)), 10)) == 3
    vectors = keeper.view.snapshot.vectors
    assert vectors is not None
    assert np.isfinite(vectors.read(vectors.ids)).all(), "open segments outlive their names"

    shop.photo("another.png")
    shop.ingest()
    keeper.refresh()
    assert keeper.problems == ()
    assert len(keeper.view.snapshot.search(vector_of(picture_bytes(1)), 10)) == 4
    keeper.stop()


def test_a_store_replaced_by_one_of_the_same_age_is_noticed(shop: Shop) -> None:
    shop.photos(2)
    shop.ingest()
    keeper = SnapshotKeeper(shop.settings())
    first = keeper.load().snapshot
    shutil.rmtree(shop.store)
    for photo in shop.images.iterdir():
        photo.unlink()
    shop.photos(2, first=10)
    shop.ingest()
    keeper.refresh()
    assert keeper.view is not None
    second = keeper.view.snapshot
    assert second.generation == first.generation
    assert {second.entries[place].path for place in range(2)} == {"0010.png", "0011.png"}
    keeper.stop()
