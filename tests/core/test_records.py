"""Names that clients rely on."""

from __future__ import annotations

import os

import pytest

from core.records import RunCounters, RunState, default_product, image_id, printable, stem_of


@pytest.mark.parametrize(
    ("path", "stem"),
    [
        ("p1.jpg", "p1"),
        ("shoes/p1.jpg", "shoes/p1"),
        ("shoes.v2/p1", "shoes.v2/p1"),
        ("a.tar.gz", "a.tar"),
        (".hidden", ".hidden"),
        ("a.", "a."),
        ("-rf.png", "-rf"),
        ("new\nline.png", "new\nline"),
    ],
)
def test_the_stem_is_the_path_without_its_suffix(path: str, stem: str) -> None:
    assert stem_of(path) == stem


def test_an_image_id_keeps_the_suffix_only_where_it_must() -> None:
    assert image_id("shoes/p1.jpg", ambiguous=False) == "shoes/p1"
    assert image_id("shoes/p1.jpg", ambiguous=True) == "shoes/p1.jpg"


def test_the_product_of_a_photo_is_the_stem_of_its_name() -> None:
    assert default_product("shoes/p1.jpg") == "p1"


def test_any_name_becomes_text_that_can_be_encoded() -> None:
    name = os.fsdecode(b"\xffa\n\xc3\xa9")
    assert printable(name) == "\\xffa\né"
    printable(name).encode()


def test_only_queued_and_running_runs_go_on() -> None:
    going = {state for state in RunState if not state.finished}
    assert going == {RunState.QUEUED, RunState.RUNNING}


def test_new_images_are_the_added_edited_and_revived() -> None:
    counters = RunCounters(new=1, modified=2, revived=4, moved=8, removed=16, failed=32)
    assert counters.new_images == 7
