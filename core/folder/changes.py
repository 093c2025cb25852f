"""What changed: the walk and the catalog, compared like two sorted lists.

Pure: needs no disk, so that it can be tested by the thousand. Deciding is here, doing is in the
ingester.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.records import ItemState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from core.records import KnownFile, SeenFile


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


Change = Unchanged | Suspect | Vanished


def compare(
    known: Iterable[KnownFile], seen: Iterable[SeenFile], *, verify: bool = False
) -> Iterator[Change]:
    """Compare the catalog with the folder, both in the order of their paths' bytes.

    Tombstones whose file is still absent give nothing. With `verify` every file is suspect.
    """
    known_files, seen_files = iter(known), iter(seen)
    old, new = next(known_files, None), next(seen_files, None)
    while old is not None or new is not None:
        if new is None or (old is not None and _key(old) < _key(new)):
            assert old is not None  # noqa: S101  # or the loop had ended
            if old.state is not ItemState.MISSING:
                yield Vanished(old)
            old = next(known_files, None)
        elif old is None or _key(new) < _key(old):
            yield Suspect(new, None)
            new = next(seen_files, None)
        else:
            yield _judge(old, new, verify=verify)
            old, new = next(known_files, None), next(seen_files, None)


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


def _key(file: KnownFile | SeenFile) -> bytes:
    return os.fsencode(file.path)
