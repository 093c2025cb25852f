"""Housekeeping: orphans, damage, merging and the saved index."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from core.store.index.record import index_path, latest_index
from core.store.segments import segment_path
from ingest import maintain
from ingest.verify import verify_store
from tests.shop import assert_same_entries, picture_bytes, vector_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.shop import Shop


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _delete(path: Path) -> None:
    path.unlink()


spoilt = pytest.mark.parametrize("spoil", [_flip, _cut, _empty, _delete])


def _index_file(shop: Shop) -> Path:
    (file,) = (shop.store / "index").iterdir()
    return file


@spoilt
def test_a_damaged_segment_is_named_and_the_next_run_mends_just_what_was_lost(
    shop: Shop, spoil: Callable[[Path], None]
) -> None:
    shop.photos(3)
    shop.ingest()
    shop.photos(4, "more/")
    shop.ingest()
    lost = segment_path(shop.store, 1)
    held = shop.snapshot()
    spoil(lost)
    found = verify_store(shop.store)
    assert not found.sound
    assert any(str(lost) in problem for problem in found.problems)
    during = shop.snapshot()
    assert any(str(lost) in problem for problem in during.problems)
    assert shop.found((shop.images / "more/0001.png").read_bytes()) == {"more/0001.png"}
    run = shop.ingest()
    assert run.counters.embedded == 3
    assert run.counters.new_images == 0
    assert any(str(lost) in warning for warning in run.warnings)
    assert not lost.exists()
    shop.assert_in_step()
    assert_same_entries(shop.snapshot(held), shop.snapshot())
    assert shop.ingest().counters.planned == 0


@spoilt
def test_a_damaged_index_is_named_answered_without_and_built_anew(
    shop: Shop, spoil: Callable[[Path], None]
) -> None:
    shop.photos(5)
    shop.ingest()
    file = _index_file(shop)
    spoil(file)
    found = verify_store(shop.store)
    assert any(str(file) in problem for problem in found.problems)
    during = shop.snapshot()
    assert any(str(file) in problem for problem in during.problems)
    for number in range(5):
        name = f"{number:04d}.png"
        assert shop.found((shop.images / name).read_bytes()) == {name}
    run = shop.ingest()
    assert run.counters.embedded == 0
    assert verify_store(shop.store).sound
    assert shop.snapshot(during).problems == ()
    shop.assert_in_step()


def test_a_segment_that_was_only_touched_is_checked_and_kept(shop: Shop) -> None:
    shop.photos(2)
    shop.ingest()
    os.utime(segment_path(shop.store, 1), (1, 1))
    run = shop.ingest()
    assert (run.counters.embedded, run.warnings) == (0, ())
    with shop.catalog() as catalog:
        assert maintain.looks_untouched(shop.store, catalog.segments()[0])


def test_a_deleted_photo_in_a_damaged_segment_costs_nothing_until_it_comes_back(
    shop: Shop,
) -> None:
    file = shop.photo("a.png", seed=1)
    shop.photo("b.png", seed=2)
    shop.ingest()
    file.unlink()
    shop.ingest()
    _flip(segment_path(shop.store, 1))
    assert shop.ingest().counters.embedded == 1
    shop.photo("a.png", seed=1)
    run = shop.ingest()
    assert (run.counters.revived, run.counters.embedded) == (1, 1)
    shop.assert_in_step()


def test_a_stale_photo_whose_earlier_vector_is_lost_is_found_no_more(shop: Shop) -> None:
    shop.photo("a.png", seed=1)
    shop.photo("b.png", seed=2)
    shop.ingest()
    shop.write("a.png", "broken")
    shop.ingest()
    held = shop.snapshot()
    _flip(segment_path(shop.store, 1))
    shop.ingest()
    assert not shop.items()["a.png"].stale
    assert_same_entries(shop.snapshot(held), shop.snapshot())
    assert shop.snapshot().entries.item_count == 1
    shop.assert_sound()


@pytest.mark.usefixtures("other_model")
def test_damage_in_a_retired_space_does_not_touch_the_live_one(shop: Shop) -> None:
    shop.photos(2)
    shop.ingest()
    shop.ingest(shop.settings(model="other"))
    _flip(segment_path(shop.store, 1))
    run = shop.ingest(shop.settings(model="other"))
    assert run.counters.embedded == 0
    assert shop.snapshot().entries.item_count == 2
    assert verify_store(shop.store).sound
    assert shop.ingest().counters.embedded == 2


def test_files_that_no_row_names_are_collected(shop: Shop) -> None:
    shop.photos(1)
    shop.ingest()
    orphans = [
        shop.store / "segments" / name for name in ("0000000099.h5", "0000000002.h5.tmp")
    ] + [shop.store / "index" / "0000000077.faiss", shop.store / "index" / "x.faiss.tmp"]
    for orphan in orphans:
        orphan.write_bytes(b"left behind")
    assert verify_store(shop.store).sound
    shop.ingest()
    assert not any(orphan.exists() for orphan in orphans)
    shop.assert_in_step()


def test_an_orphan_under_the_next_segments_name_is_no_harm(shop: Shop) -> None:
    shop.photos(1)
    shop.ingest()
    segment_path(shop.store, 2).write_bytes(b"left behind")
    shop.photos(2)
    shop.ingest()
    shop.assert_in_step()


def test_many_small_runs_leave_few_segments_and_every_vector(shop: Shop) -> None:
    held = shop.snapshot()
    for number in range(40):
        shop.photo(f"{number}.png")
        shop.ingest()
        if number % 7 == 0:
            held = shop.snapshot(held)
    with shop.catalog() as catalog:
        segments = catalog.segments()
    assert len(segments) <= 14
    assert sum(record.rows for record in segments) == 40
    assert len(os.listdir(shop.store / "segments")) == len(segments)
    assert_same_entries(shop.snapshot(held), shop.snapshot())
    shop.assert_in_step()


def test_merging_leaves_out_what_no_item_uses_and_keeps_what_may_come_back(shop: Shop) -> None:
    file = shop.photo("gone.png", seed=900)
    for number in range(6):
        shop.photo("edited.png", seed=number)
        shop.ingest()
    file.unlink()
    shop.ingest()
    for number in range(4):
        shop.photo(f"{number}.png")
        shop.ingest()
    with shop.catalog() as catalog:
        segments = catalog.segments()
    # Six contents of one photo shrink to one; the deleted photo keeps its vector.
    assert sum(record.rows for record in segments) < 1 + 6 + 4
    file.write_bytes(picture_bytes(900))
    run = shop.ingest()
    assert (run.counters.revived, run.counters.embedded) == (1, 0)
    shop.assert_in_step()


def test_a_snapshot_taken_before_a_merge_goes_on_answering(shop: Shop) -> None:
    for number in range(7):
        shop.photo(f"{number}.png")
        shop.ingest()
    held = shop.snapshot()
    shop.photo("7.png")
    shop.ingest()
    with shop.catalog() as catalog:
        assert len(catalog.segments()) == 1
    assert held.vectors is not None
    rows = held.vectors.read(held.entries.vector_ids)
    assert np.isfinite(rows).all()
    later = shop.snapshot(held)
    assert later.problems == ()
    assert_same_entries(later, shop.snapshot())


@pytest.mark.parametrize("seed", range(2))
def test_random_days_leave_a_store_that_equals_the_folder(shop: Shop, seed: int) -> None:
    dice = random.Random(seed)  # the same each time
    names = [f"{folder}p{number}.png" for folder in ("", "a/", "b/") for number in range(4)]
    held = shop.snapshot()
    for _ in range(14):
        for _ in range(dice.randrange(1, 6)):
            name, other = dice.choice(names), dice.choice(names)
            file, target = shop.images / name, shop.images / other
            action = dice.randrange(5)
            if action <= 1 or not file.exists():
                shop.photo(name, seed=dice.randrange(12))
            elif action == 2:
                file.unlink()
            elif action == 3:
                target.parent.mkdir(exist_ok=True)
                file.rename(target)
            else:
                shop.write(name, "broken" + str(dice.randrange(3)))
        run = shop.ingest(force_full=dice.random() < 0.1, verify=dice.random() < 0.2)
        assert run.counters.settled == run.counters.planned
        held = shop.snapshot(held)
        assert_same_entries(held, shop.snapshot())
        shop.assert_in_step()


def test_a_small_change_does_not_rewrite_the_index(shop: Shop) -> None:
    shop.photos(3)
    shop.ingest()
    file = _index_file(shop)
    shop.photos(5)
    shop.ingest()
    assert _index_file(shop) == file


def test_a_large_change_saves_a_new_index_in_place_of_the_old(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintain, "_REBUILD_LEAST", 2)
    shop.photos(3)
    shop.ingest()
    file = _index_file(shop)
    held = shop.snapshot()
    shop.photos(9)
    shop.ingest()
    assert _index_file(shop) != file
    with shop.catalog() as catalog, catalog.database.reading() as connection:
        space = catalog.live_space()
        assert space is not None
        record = latest_index(connection, space.id)
    assert record is not None
    assert record.vectors == 9
    assert index_path(shop.store, record.file) == _index_file(shop)
    assert_same_entries(shop.snapshot(held), shop.snapshot())
    for number in range(9):
        (shop.images / f"{number:04d}.png").unlink()
    shop.ingest()
    assert shop.snapshot().entries.item_count == 0
    assert verify_store(shop.store).sound


def test_a_large_catalogue_is_searched_through_a_graph(shop: Shop) -> None:
    shop.photos(30)
    shop.ingest(shop.settings(exact_index_items=5))
    snapshot = shop.snapshot()
    assert snapshot.index is not None
    assert snapshot.index.kind.startswith("HNSW")
    assert snapshot.index.recall == 1.0
    shop.photos(33)
    shop.ingest(shop.settings(exact_index_items=5))
    for number in range(33):
        name = f"{number:04d}.png"
        assert shop.found((shop.images / name).read_bytes()) == {name}
    shop.assert_in_step()


def test_an_empty_folder_makes_an_empty_store(shop: Shop) -> None:
    run = shop.ingest()
    assert run.counters.new_images == run.total_items == 0
    assert shop.snapshot().search(vector_of(picture_bytes(1)), 3) == []
    assert verify_store(shop.store).sound
