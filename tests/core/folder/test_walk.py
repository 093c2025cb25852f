"""What a walk of the image folder yields, and what it admits not to have seen."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from core.errors import SourceError
from core.folder.walk import Walk
from tests.shop import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path


def walked(root: Path) -> list[str]:
    walk = Walk(root)
    paths = [seen.path for seen in walk]
    assert walk.complete, walk.unlisted
    return paths


def put(root: Path, *names: str) -> None:
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode(errors="surrogateescape"))


def test_the_order_is_that_of_the_paths_bytes(tmp_path: Path) -> None:
    names = ["a", "a.b", "a-b/x", "a/x", "a0", "A", "b/a/c", "b/a.c", "b/a-c", "b.c/d", "z", "é/a"]
    names.remove("a")
    put(tmp_path, *names)
    assert walked(tmp_path) == sorted(names, key=os.fsencode)


def test_the_order_holds_for_any_tree(tmp_path: Path) -> None:
    dice = random.Random(7)  # the same tree each time
    letters = ["a", "b", "-", ".x", "/", "0", "~", "\n", "é", os.fsdecode(b"\xff")]
    names = set()
    while len(names) < 300:
        name = "".join(dice.choices(letters, k=dice.randrange(1, 9))).strip("/")
        parts = [part for part in name.split("/") if part]
        if (
            not parts
            or any(part.startswith(".") for part in parts[:-1])
            or parts[-1] in {".", ".."}
        ):
            continue
        path = "/".join(parts)
        if any(o == path or o.startswith(f"{path}/") or path.startswith(f"{o}/") for o in names):
            continue
        names.add(path)
        put(tmp_path, path)
    assert walked(tmp_path) == sorted(names, key=os.fsencode)


def test_sizes_and_dates_are_those_of_the_file(tmp_path: Path) -> None:
    put(tmp_path, "a")
    found = (tmp_path / "a").stat()
    (seen,) = Walk(tmp_path)
    assert (seen.stat.size, seen.stat.mtime_ns, seen.stat.ctime_ns) == (
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
    )


def test_product_data_at_the_root_is_no_photo(tmp_path: Path) -> None:
    put(tmp_path, "products.csv", "products.json", "sub/products.csv")
    assert walked(tmp_path) == ["sub/products.csv"]


def test_hidden_folders_are_passed_over(tmp_path: Path) -> None:
    put(tmp_path, ".trash/a", "sub/.thumbs/a", ".hidden.png", "b")
    assert walked(tmp_path) == [".hidden.png", "b"]


def test_links_inside_count_as_files_and_links_out_do_not(tmp_path: Path) -> None:
    root = tmp_path / "root"
    put(root, "a", "sub/b")
    put(tmp_path, "secret", "root-but-not-root/c")
    (root / "in").symlink_to(root / "sub" / "b")
    (root / "relative").symlink_to("sub/b")
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "beside").symlink_to(tmp_path / "root-but-not-root" / "c")
    (root / "up").symlink_to("../secret")
    (root / "nothing").symlink_to("no-such-file")
    (root / "through").symlink_to("a/b")
    (root / "folder").symlink_to(root / "sub")
    (root / "outer-folder").symlink_to(tmp_path)
    assert walked(root) == ["a", "in", "relative", "sub/b"]


def test_a_link_to_the_root_works(tmp_path: Path) -> None:
    put(tmp_path / "real", "a", "b/c")
    (tmp_path / "real" / "l").symlink_to("a")
    (tmp_path / "link").symlink_to("real")
    assert walked(tmp_path / "link") == ["a", "b/c", "l"]


def test_loops_of_links_end_and_hide_nothing(tmp_path: Path) -> None:
    put(tmp_path, "a")
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "parent").symlink_to("..")
    assert walked(tmp_path) == ["a"]


def test_pipes_sockets_and_devices_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path, "a")
    os.mkfifo("pipe.png")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.png")
        (tmp_path / "zero.png").symlink_to("/dev/zero")
        (tmp_path / "folder.png").mkdir()
        assert walked(tmp_path) == ["a"]


def test_folders_may_be_nested_deeper_than_pythons_stack(tmp_path: Path) -> None:
    # Made step by step: such a path is too long to be given whole, and so is listing it.
    here = os.open(tmp_path, os.O_RDONLY)
    opened = [here]
    for _ in range(1200):
        os.mkdir("d", dir_fd=opened[-1])
        opened.append(os.open("d", os.O_RDONLY, dir_fd=opened[-1]))
        if len(opened) > 2:
            os.close(opened.pop(0))
    descriptor = os.open("deep", os.O_CREAT | os.O_WRONLY, dir_fd=opened[-1])
    for each in (descriptor, *opened):
        os.close(each)
    assert walked(tmp_path) == ["d/" * 1200 + "deep"]
    _delete(tmp_path / "d")


def _delete(folder: Path) -> None:
    """Delete what is too deep for Python's own means, which would fail once the tests are over."""
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def test_a_folder_too_deep_to_be_named_makes_the_walk_incomplete(tmp_path: Path) -> None:
    put(tmp_path, "a")
    opened = os.open(tmp_path, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=opened)
        inner = os.open("d" * 200, os.O_RDONLY, dir_fd=opened)
        os.close(opened)
        opened = inner
    os.close(opened)
    walk = Walk(tmp_path)
    assert [seen.path for seen in walk] == ["a"]
    assert not walk.complete
    assert "too long" in walk.unlisted[0]
    _delete(tmp_path / ("d" * 200))


def test_a_folder_deleted_meanwhile_makes_the_walk_incomplete(tmp_path: Path) -> None:
    put(tmp_path, "a", "b/c", "d")
    walk = Walk(tmp_path)
    files = iter(walk)
    assert next(files).path == "a"
    (tmp_path / "b" / "c").unlink()
    (tmp_path / "b").rmdir()
    assert [seen.path for seen in files] == ["d"]
    assert not walk.complete
    assert str(tmp_path / "b") in walk.unlisted[0]


def test_a_file_deleted_meanwhile_is_simply_absent(tmp_path: Path) -> None:
    names = [f"{number:04d}" for number in range(1001)]  # more than are looked at in one go
    put(tmp_path, *names)
    walk = Walk(tmp_path)
    files = iter(walk)
    next(files)
    (tmp_path / names[-1]).unlink()
    assert [seen.path for seen in files] == names[1:-1]
    assert walk.complete


def test_a_large_folder_comes_in_stretches_with_its_folders_between(tmp_path: Path) -> None:
    names = [f"{number:04d}" for number in range(2100)] + ["0500/a", "0500.d/b", "0900-d/c", "z/d"]
    names.remove("0500")
    put(tmp_path, *names)
    walk = Walk(tmp_path)
    stretches = [[seen.path for seen in stretch.files()] for stretch in walk.stretches()]
    assert [path for stretch in stretches for path in stretch] == sorted(names)
    assert all(0 < len(stretch) <= 1000 for stretch in stretches)
    assert walk.complete


def test_an_unreadable_folder_makes_the_walk_incomplete(tmp_path: Path) -> None:
    put(tmp_path, "a", "locked/b")
    (tmp_path / "locked").chmod(0)
    tmp_path.chmod(0o755)
    # A process of nobody's, because no right stops the superuser.
    script = (
        "import os, sys; from pathlib import Path; from core.folder.walk import Walk\n"
        "os.chdir(sys.argv[1]); os.getuid() or os.setuid(65534)\n"
        "walk = Walk(Path()); print([seen.path for seen in walk], walk.unlisted)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("['a'] [")
    assert "locked: Permission denied" in done.stdout


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_a_root_that_cannot_be_listed_names_its_setting(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "photos"
    if kind == "file":
        root.write_text("x")
    with pytest.raises(SourceError, match="LOOKALIKE_IMAGE_DIR") as caught:
        list(Walk(root))
    assert str(root) in str(caught.value)


def test_an_empty_root_is_complete(tmp_path: Path) -> None:
    assert walked(tmp_path) == []
