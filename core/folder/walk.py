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
from bisect import bisect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from core.errors import SourceError
from core.folder.stretches import Stretch
from core.records import FileStat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.records import SeenFile, SeenRow

METADATA_FILES = frozenset(("products.csv", "products.json"))
"""Names at the image root that hold product data."""

_STRETCH: Final = 1000  # files that are looked at in one go


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
        for stretch in self.stretches():
            yield from stretch.files()

    def stretches(self) -> Iterator[Stretch]:
        """Yield every regular file, a folder's neighbours together.

        Raises:
            SourceError: the root itself cannot be listed.
        """
        top = os.path.join(os.fsencode(self.root), b"")
        try:
            files, folders = _listed(top)
        except OSError as error:
            raise SourceError(
                f"The image folder {self.root} cannot be listed: {error.strerror or error}. "
                "It is set by LOOKALIKE_IMAGE_DIR."
            ) from error
        product_data = set(map(os.fsencode, METADATA_FILES))
        files = [name for name in files if name not in product_data]
        real_root = os.path.realpath(top)
        # An explicit stack: folders may be nested deeper than Python's own stack allows.
        stack = [(_parts(files, folders), b"")]
        while stack:
            parts, folder = stack[-1]
            part = next(parts, None)
            if part is None:
                stack.pop()
            elif isinstance(part, bytes):
                inner = self._list_folder(top + folder + part.removesuffix(b"/"))
                stack.append((_parts(*inner), folder + part))
            elif rows := self._look_at(part, folder, top, real_root):
                yield Stretch(rows)

    @property
    def complete(self) -> bool:
        """Whether everything was listed; only then may absent files count as removed."""
        return not self.unlisted

    def _list_folder(self, path: bytes) -> tuple[list[bytes], list[bytes]]:
        try:
            return _listed(path)
        except OSError as error:
            self._note(path, error)
            return [], []

    def _look_at(
        self, names: list[bytes], folder: bytes, top: bytes, real_root: bytes
    ) -> list[SeenRow]:
        rows: list[SeenRow] = []
        inside = top + folder
        found: os.stat_result | None
        for name in names:
            try:
                found = os.lstat(inside + name)
                if not stat.S_ISREG(found.st_mode):
                    found = _file_behind(inside + name, found, real_root)
            except (FileNotFoundError, NotADirectoryError):
                continue  # deleted since it was listed, or a link to nothing
            except OSError as error:
                if error.errno != errno.ELOOP:  # links that lead to each other lead to nothing
                    self._note(inside + name, error)
                continue
            if found is not None:
                rows.append((folder + name, found.st_size, found.st_mtime_ns, found.st_ctime_ns))
        return rows

    def _note(self, path: bytes, error: OSError) -> None:
        self.unlisted.append(f"{os.fsdecode(path)}: {error.strerror or error}")


def file_stat(found: os.stat_result) -> FileStat:
    """The part of a stat that tells a change."""
    return FileStat(found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _file_behind(path: bytes, found: os.stat_result, real_root: bytes) -> os.stat_result | None:
    """The file inside the image root that a link leads to, if `path` is such a link."""
    if not stat.S_ISLNK(found.st_mode) or not _inside(path, real_root):
        return None
    behind = os.stat(path)  # noqa: PTH116  # bytes
    return behind if stat.S_ISREG(behind.st_mode) else None


def _inside(path: bytes, real_root: bytes) -> bool:
    return os.path.realpath(path).startswith(real_root + os.fsencode(os.sep))


def _listed(path: bytes) -> tuple[list[bytes], list[bytes]]:
    """The names of a folder's files, and those of its folders that are not hidden, with a slash."""
    files, folders = list[bytes](), list[bytes]()
    with os.scandir(path) as found:
        for entry in found:
            if not entry.is_dir(follow_symlinks=False):
                files.append(entry.name)
            elif not entry.name.startswith(b"."):
                folders.append(entry.name + b"/")
    files.sort()
    folders.sort()
    return files, folders


def _parts(files: list[bytes], folders: list[bytes]) -> Iterator[list[bytes] | bytes]:
    """Lists of files and, between them, each folder, where the paths below it belong.

    As git sorts trees: by its name with the slash.
    """
    start = 0
    for folder in [*folders, None]:
        end = len(files) if folder is None else bisect(files, folder, start)
        for first in range(start, end, _STRETCH):
            yield files[first : min(first + _STRETCH, end)]
        if folder is not None:
            yield folder
        start = end
