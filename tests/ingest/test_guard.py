"""The delete guard: an unmounted or half-listed folder never reads as "all was deleted"."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from core.errors import MassRemovalError
from core.folder.walk import Walk
from core.source import local
from ingest.survey import RemovalGuard

if TYPE_CHECKING:
    from tests.shop import Shop

_GUARD = RemovalGuard(share=0.2, at_least=50, last_root="")


@pytest.mark.parametrize(
    ("removals", "active", "refused"),
    [
        (0, 0, False),
        (49, 49, False),
        (50, 50, True),
        (50, 249, True),
        (50, 250, False),
        (51, 250, True),
        (200, 1000, False),
        (201, 1000, True),
    ],
)
def test_the_limit_is_a_share_but_never_less_than_a_number(
    removals: int, active: int, *, refused: bool
) -> None:
    assert _GUARD.refuses(removals, active) is refused


@pytest.fixture
def large(shop: Shop) -> Shop:
    """Seventy items, cheaply: few contents, many copies of them."""
    for number in range(70):
        shop.photo(f"bags/{number:02d}.png", seed=number % 3)
    shop.ingest()
    return shop


def test_a_mass_removal_is_refused_before_anything_is_removed(large: Shop) -> None:
    before = large.states()
    for number in range(60):
        (large.images / f"bags/{number:02d}.png").unlink()
    large.photo("new.png", seed=9)
    run = large.run()
    assert (run.state, run.error_code) == ("failed", MassRemovalError.code)
    assert "60 of 70" in (run.message or "")
    assert "--allow-mass-removal" in (run.message or "")
    assert "allow_mass_removal=true" in (run.message or "")
    assert large.states() == before


def test_the_flag_lifts_the_guard(large: Shop) -> None:
    for number in range(60):
        (large.images / f"bags/{number:02d}.png").unlink()
    run = large.ingest(allow_mass_removal=True)
    assert run.counters.removed == 60
    large.assert_in_step()


def test_an_emptied_folder_is_refused(large: Shop) -> None:
    shutil.rmtree(large.images)
    large.images.mkdir()
    assert large.run().error_code == MassRemovalError.code
    assert set(large.states().values()) == {"indexed"}


def test_a_folder_that_is_gone_fails_and_removes_nothing(large: Shop) -> None:
    shutil.rmtree(large.images)
    run = large.run(allow_mass_removal=True)
    assert (run.state, run.error_code) == ("failed", "image_folder_unreadable")
    assert "LOOKALIKE_IMAGE_DIR" in (run.message or "")
    assert set(large.states().values()) == {"indexed"}


def test_renaming_a_folder_is_no_removal(large: Shop) -> None:
    (large.images / "bags").rename(large.images / "handbags")
    run = large.ingest()
    assert (run.counters.moved, run.counters.removed, run.counters.embedded) == (70, 0, 0)
    large.assert_in_step()


def test_renaming_a_folder_over_the_names_of_tombstones_is_no_removal(large: Shop) -> None:
    for number in range(70):
        large.photo(f"old/{number:02d}.png", seed=number % 3)
    large.ingest()
    shutil.rmtree(large.images / "old")
    large.ingest(allow_mass_removal=True)
    (large.images / "bags").rename(large.images / "old")
    run = large.ingest()
    assert (run.counters.moved, run.counters.removed) == (70, 0)
    large.assert_in_step()


def test_renaming_a_folder_does_not_hide_a_mass_removal(large: Shop) -> None:
    (large.images / "bags").rename(large.images / "handbags")
    for number in range(55):
        (large.images / f"handbags/{number:02d}.png").unlink()
    run = large.run()
    assert run.error_code == MassRemovalError.code
    assert "55 of 70" in (run.message or "")


def test_a_small_catalogue_may_be_emptied(shop: Shop) -> None:
    shop.photos(10)
    shop.ingest()
    for photo in shop.images.iterdir():
        photo.unlink()
    assert shop.ingest().counters.removed == 10


def test_the_guard_can_be_set(shop: Shop) -> None:
    shop.photos(10)
    shop.ingest()
    for number in range(3):
        (shop.images / f"{number:04d}.png").unlink()
    strict = shop.settings(removal_guard_items=2, removal_guard_share=0.1)
    assert shop.run(strict).error_code == MassRemovalError.code


class _HalfListed(Walk):
    """A walk that cannot list one folder, as happens to a share that drops out."""

    def _list_folder(self, path: bytes):  # noqa: ANN202  # as the one it stands for
        if path.endswith(b"locked"):
            self.unlisted.append(f"{path.decode()}: Input/output error")
            return [], []
        return super()._list_folder(path)


def test_what_could_not_be_listed_is_not_removed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.photo("locked/a.png", seed=1)
    shop.photo("open/b.png", seed=2)
    shop.photo("open/c.png", seed=3)
    shop.write("locked/notes.txt", "no picture")
    shop.ingest()
    monkeypatch.setattr(local, "Walk", _HalfListed)
    (shop.images / "open/b.png").unlink()
    (shop.images / "open/c.png").rename(shop.images / "open/d.png")
    shop.photo("open/e.png", seed=5)
    run = shop.ingest()
    assert run.counters.removed == run.counters.moved == 0
    assert run.counters.new == 2
    assert any("Input/output error" in warning for warning in run.warnings)
    assert shop.states()["locked/a.png"] == shop.states()["open/b.png"] == "indexed"
    monkeypatch.undo()
    run = shop.ingest()
    assert run.counters.removed == 2
    assert shop.ingest().counters.planned == 0
    (shop.images / "locked/notes.txt").unlink()
    shop.assert_in_step()


@pytest.mark.usefixtures("other_model")
def test_a_model_change_waits_for_the_whole_folder(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.photo("locked/a.png", seed=1)
    shop.photo("open/b.png", seed=2)
    shop.ingest()
    old = shop.snapshot().space
    monkeypatch.setattr(local, "Walk", _HalfListed)
    run = shop.ingest(shop.settings(model="other"))
    assert any("whole folder" in warning for warning in run.warnings)
    assert shop.snapshot().space == old
    assert shop.found((shop.images / "locked/a.png").read_bytes()) == {"locked/a.png"}
    monkeypatch.setattr(local, "Walk", Walk)
    run = shop.ingest(shop.settings(model="other"))
    assert run.counters.embedded == 1
    space = shop.snapshot().space
    assert space is not None
    assert space.spec == "other"


def test_an_empty_mount_point_is_not_an_empty_catalogue(shop: Shop) -> None:
    shop.photos(3)
    shop.ingest()
    disk = shop.images.with_name("disk")
    shop.images.rename(disk)
    shop.images.mkdir()  # the folder the disk was mounted on
    run = shop.run()
    assert (run.state, run.error_code) == ("failed", "mass_removal_refused")
    assert "mounted" in (run.message or "")
    assert set(shop.states().values()) == {"indexed"}
    shop.images.rmdir()
    disk.rename(shop.images)
    assert shop.ingest().counters.planned == 0
    for photo in shop.images.iterdir():
        photo.unlink()
    assert shop.ingest().counters.removed == 3, "the same folder, emptied, is meant"


def test_a_missing_marker_refuses_the_run_where_one_is_asked_for(shop: Shop) -> None:
    shop.photos(3)
    marked = shop.settings(require_root_marker=True)
    run = shop.run(marked)
    assert (run.state, run.error_code) == ("failed", "image_folder_unreadable")
    assert "LOOKALIKE_REQUIRE_ROOT_MARKER" in (run.message or "")
    assert shop.states() == {}
    shop.write(".lookalike-root", "")
    assert shop.ingest(marked).counters.new == 3
    assert set(shop.states()) == {"0000.png", "0001.png", "0002.png"}
