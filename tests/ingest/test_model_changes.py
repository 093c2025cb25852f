"""Changing the model: the old space answers until the new one is whole."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from core.records import SpaceState
from core.vision import models
from core.vision.models import ModelSource, load_embedder
from tests.other_model import OTHER_FAMILY
from tests.shop import picture_bytes

if TYPE_CHECKING:
    from core.settings import Settings
    from tests.shop import Shop

pytestmark = pytest.mark.usefixtures("other_model")


def _spec(shop: Shop) -> str:
    space = shop.snapshot().space
    assert space is not None
    return space.spec


def _other(shop: Shop) -> Settings:
    return shop.settings(model="other", commit_every_images=3)


class _StopSoon(threading.Event):
    """Tells a run to stop once it has asked a number of times."""

    def __init__(self, checks: int) -> None:
        super().__init__()
        self._left = checks

    def is_set(self) -> bool:
        self._left -= 1
        return self._left < 0


def _interrupt(shop: Shop, checks: int = 15) -> int:
    """Begin to build the other space and be stopped in the middle; gives how many it has."""
    settings = shop.settings(model="other", commit_every_images=1, batch_size=1)
    run = shop.run(settings, stop=_StopSoon(checks))
    assert run.state == "interrupted"
    with shop.catalog() as catalog:
        space = catalog.space_of(_fingerprint())
        assert space is not None
        assert space.state is SpaceState.BUILDING
        return sum(record.rows for record in catalog.segments(space.id))


def _fingerprint() -> str:
    return load_embedder(ModelSource("other", None)).fingerprint


def test_a_new_model_embeds_everything_and_goes_live_in_one_step(shop: Shop) -> None:
    shop.photos(8)
    shop.ingest()
    held = shop.snapshot()
    run = shop.ingest(_other(shop))
    assert run.counters.embedded == 8
    assert run.counters.new_images == run.counters.removed == 0
    assert _spec(shop) == "other"
    assert len(shop.snapshot(held).entries) == 8


def test_the_old_space_answers_while_the_new_one_is_built(shop: Shop) -> None:
    shop.photos(10)
    shop.ingest()
    built = _interrupt(shop)
    assert 0 < built < 10
    assert _spec(shop) == "classic"
    assert shop.found((shop.images / "0003.png").read_bytes()) == {"0003.png"}
    run = shop.ingest(_other(shop))
    assert run.counters.embedded == 10 - built
    assert _spec(shop) == "other"


def test_photos_that_change_while_a_space_is_built_show_once_it_is_live(shop: Shop) -> None:
    shop.photos(10)
    shop.ingest()
    _interrupt(shop)
    edited, deleted = shop.images / "0009.png", shop.images / "0000.png"
    before = edited.read_bytes()
    shop.photo("0009.png", seed=500)
    shop.photo("new.png", seed=501)
    shop.write("bad.png", "broken")
    deleted.unlink()
    _interrupt(shop, checks=12)
    assert shop.found(before) == {"0009.png"}
    assert shop.found(picture_bytes(501)) == set()
    shop.ingest(_other(shop))
    states = shop.states()
    assert states["bad.png"] == "failed"
    assert states["0000.png"] == "missing"
    snapshot = shop.snapshot()
    assert snapshot.entries.item_count == 10
    run = shop.ingest(_other(shop))
    assert run.counters.planned == 0


def test_giving_a_change_up_costs_only_what_changed_meanwhile(shop: Shop) -> None:
    shop.photos(10)
    shop.ingest()
    data = (shop.images / "0003.png").read_bytes()
    (shop.images / "copy.png").write_bytes(data)
    shop.photo("0009.png", seed=900)
    _interrupt(shop)
    run = shop.ingest()
    assert run.counters.embedded <= 1
    assert _spec(shop) == "classic"
    assert shop.found(data) == {"0003.png", "copy.png"}
    shop.assert_in_step()


def test_changing_back_costs_nothing(shop: Shop) -> None:
    shop.photos(5)
    shop.ingest()
    shop.ingest(_other(shop))
    run = shop.ingest()
    assert run.counters.embedded == run.counters.hashed == 0
    assert _spec(shop) == "classic"
    shop.assert_in_step()


def test_what_failed_with_one_model_stays_failed_with_the_next(shop: Shop) -> None:
    shop.photo("a.png", seed=1)
    shop.ingest()
    shop.write("a.png", "broken")
    shop.photo("b.png")
    shop.ingest()
    assert shop.found(picture_bytes(1)) == {"a.png"}
    run = shop.ingest(_other(shop))
    assert run.failed_items == 1
    assert not shop.items()["a.png"].stale
    assert shop.snapshot().entries.item_count == 1


def test_only_one_retired_space_is_kept(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.photos(2)
    shop.ingest()
    shop.ingest(_other(shop))
    third = replace(OTHER_FAMILY, name="third")
    monkeypatch.setattr(models, "FAMILIES", (*models.FAMILIES, third))
    shop.ingest(shop.settings(model="third"))
    with shop.catalog() as catalog:
        states = [(record.space_id, record.rows) for record in catalog.segments()]
    assert states == [(2, 2), (3, 2)]
    run = shop.ingest()
    assert run.counters.embedded == 2
    shop.assert_in_step()


def test_an_unknown_model_fails_and_leaves_the_store_alone(shop: Shop) -> None:
    shop.photos(2)
    shop.ingest()
    before = shop.snapshot()
    run = shop.run(shop.settings(model="no-such-model"))
    assert (run.state, run.error_code) == ("failed", "unknown_model")
    assert "LOOKALIKE_MODEL" in (run.message or "")
    assert shop.snapshot().generation == before.generation
    run = shop.run(shop.settings(model_weights=shop.images / "none.pt"))
    assert (run.state, run.error_code) == ("failed", "model_load_failed")
