"""What changed: the walk and the catalog, compared like two sorted lists.

Pure: needs no disk, so that it can be tested by the thousand. Deciding is here, doing is in the
ingester.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from core.records import ItemState, KnownFile, SeenFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True)
class Unchanged:
    """The file is as the catalog knows it, and needs nothing."""

    known: KnownFile


@dataclass(frozen=True)
class Suspect:
    """The file is new or may have changed: it has to be read."""

    seen: SeenFile
    known: KnownFile | None  # None: never seen before


@dataclass(frozen=True)
class Vanished:
    """The catalog knows the file, the folder does not hold it."""

    known: KnownFile


File = TypeVar("File", KnownFile, SeenFile)

Change = Unchanged | Suspect | Vanished


def compare(
    known: Iterable[KnownFile], seen: Iterable[SeenFile], *, verify: bool = False
) -> Iterator[Change]:
    """Compare the catalog with the folder, both in the order of their paths' bytes.

    Tombstones whose file is still absent give nothing. With `verify` every file is suspect.
    """
    known_files, seen_files = map(_keyed, known), map(_keyed, seen)
    old_key, old = next(known_files, _NO_MORE)
    new_key, new = next(seen_files, _NO_MORE)
    while old is not None or new is not None:
        if new is None or (old is not None and old_key < new_key):
            assert old is not None  # noqa: S101  # or the loop had ended
            if old.state is not ItemState.MISSING:
                yield Vanished(old)
            old_key, old = next(known_files, _NO_MORE)
        elif old is None or new_key < old_key:
            yield Suspect(new, None)
            new_key, new = next(seen_files, _NO_MORE)
        else:
            yield _judge(old, new, verify=verify)
            old_key, old = next(known_files, _NO_MORE)
            new_key, new = next(seen_files, _NO_MORE)


_NO_MORE: Final = (b"", None)


def _judge(old: KnownFile, new: SeenFile, *, verify: bool) -> Change:
    settled = old.has_vector or old.state in (None, ItemState.FAILED)
    if (
        verify
        or old.suspect
        or old.stat != new.stat
        or old.state is ItemState.MISSING
        or not settled
    ):
        return Suspect(new, old)
    return Unchanged(old)


def _keyed(file: File) -> tuple[bytes, File]:
    return os.fsencode(file.path), file
