"""A streaming walk of the image folder, in the order of the paths' bytes.

The order lets the walk be compared with the catalog like two sorted lists, so memory is bounded by
the largest single folder. Links are never followed out of the image root: a link to a file inside
it counts as that file, links to folders are passed over (which also ends every loop). Sockets,
pipes and devices are passed over; hidden folders too.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.errors import SourceError
from core.records import FileStat, SeenFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

METADATA_FILES = frozenset(("products.csv", "products.json"))
"""Names at the image root that hold product data."""


@dataclass
class Walk:
    """One pass over the folder; iterate it once, then ask what could not be listed."""

    root: Path
    unlisted: list[str] = field(default_factory=list)  # a sentence for each folder or file

    def __iter__(self) -> Iterator[SeenFile]:
        """Yield every regular file.

        Raises:
            SourceError: the root itself cannot be listed.
        """
        try:
            entries = _listed(self.root)
        except OSError as error:
            raise SourceError(
                f"The image folder {self.root} cannot be listed: {error.strerror or error}. "
                "It is set by LOOKALIKE_IMAGE_DIR."
            ) from error
        real_root = os.path.realpath(self.root)
        yield from self._files(entries, "", real_root)

    @property
    def complete(self) -> bool:
        """Whether everything was listed; only then may absent files count as removed."""
        return not self.unlisted

    def _files(
        self, entries: list[os.DirEntry[str]], prefix: str, real_root: str
    ) -> Iterator[SeenFile]:
        # An explicit stack: folders may be nested deeper than Python's own stack allows.
        stack = [(iter(entries), prefix)]
        while stack:
            remaining, folder = stack[-1]
            entry = next(remaining, None)
            if entry is None:
                stack.pop()
            elif entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith("."):
                    inside = self._list_folder(entry.path)
                    stack.append((iter(inside), f"{folder}{entry.name}/"))
            elif folder or entry.name not in METADATA_FILES:
                seen = self._look_at(entry, folder + entry.name, real_root)
                if seen is not None:
                    yield seen

    def _list_folder(self, path: str) -> list[os.DirEntry[str]]:
        try:
            return _listed(path)
        except OSError as error:
            self.unlisted.append(f"{path}: {error.strerror or error}")
            return []

    def _look_at(self, entry: os.DirEntry[str], path: str, real_root: str) -> SeenFile | None:
        try:
            if entry.is_symlink() and not _inside(entry.path, real_root):
                return None
            found = entry.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None  # deleted since it was listed, or a link to nothing
        except OSError as error:
            if error.errno == errno.ELOOP:
                return None  # links that lead to each other lead to nothing
            self.unlisted.append(f"{entry.path}: {error.strerror or error}")
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        return SeenFile(path, FileStat(found.st_size, found.st_mtime_ns, found.st_ctime_ns))


def file_stat(found: os.stat_result) -> FileStat:
    """The part of a stat that tells a change."""
    return FileStat(found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _inside(path: str, real_root: str) -> bool:
    return os.path.realpath(path).startswith(real_root + os.sep)


def _listed(path: str | Path) -> list[os.DirEntry[str]]:
    with os.scandir(path) as found:
        entries = list(found)
    entries.sort(key=_byte_order)
    return entries


def _byte_order(entry: os.DirEntry[str]) -> bytes:
    # As git sorts trees: "a/" among its siblings is where the paths below it belong.
    name = os.fsencode(entry.name)
    return name + b"/" if entry.is_dir(follow_symlinks=False) else name
