"""Looking before touching: what a run would do, and whether it may."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from core.errors import MassRemovalError, SourceError
from core.folder.changes import Suspect, Vanished, compare
from core.folder.stretches import Untouched, compare_stretches
from core.records import ItemState
from core.store.catalog import Catalog
from ingest.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from core.folder.changes import Change
    from core.folder.stretches import Stretch
    from core.records import KnownFile, KnownRow
    from core.source.contract import ImageSource, Listing
    from ingest.photos import Photos
    from ingest.progress import Progress


@dataclass
class Survey:
    """What one walk found."""

    suspects: Spool[Suspect] = field(default_factory=Spool)
    vanished: list[KnownFile] = field(default_factory=list)  # items whose file is gone
    forgotten: list[str] = field(default_factory=list)  # passed-over files that are gone
    unlisted: list[str] = field(default_factory=list)  # what could not be listed, a sentence each
    active: int = 0  # items that had a file before
    empty: bool = True  # there is no file at all

    @property
    def complete(self) -> bool:
        """Whether the whole folder was listed; only then may absent files count as removed."""
        return not self.unlisted


_CHECK_EVERY: Final = 256  # changes between two looks at the clock
_EARLY: Final = 32  # stretches of files that wait for the catalog
ROOT_MARKER: Final = ".lookalike-root"


def check_marker(source: ImageSource) -> None:
    """Refuse a folder without the marker that its owner put there.

    Raises:
        SourceError: it is missing, as in a mount point with nothing mounted on it.
    """
    if not source.holds(ROOT_MARKER):
        raise SourceError(
            f"{source.name} holds no {ROOT_MARKER}, which LOOKALIKE_REQUIRE_ROOT_MARKER asks for. "
            "Is it mounted? Nothing was changed."
        )


@dataclass(frozen=True)
class RemovalGuard:
    """How much of a catalogue one run may remove."""

    share: float  # of the items
    at_least: int  # removals below this number are always allowed
    last_root: str  # `ImageSource.identity` of the last run that succeeded; empty: there was none

    def refuses(self, removals: int, active: int) -> bool:
        """Whether this many of `active` items are too many."""
        return removals >= self.at_least and removals > self.share * active


def survey_photos(
    listing: Listing, store_dir: Path, space_id: int, progress: Progress, *, verify: bool
) -> Survey:
    """List the photos beside the catalog; opens none.

    Raises:
        SourceError: the folder cannot be listed at all.
    """
    found = Survey()
    # A connection of its own: the comparison reads one state while progress is written.
    reader = Catalog(store_dir)
    try:
        counts = reader.count_items()
        found.active = sum(counts[state] for state in _ACTIVE)
        with closing(_changes(reader, listing, space_id, verify=verify)) as changes:
            for place, change in enumerate(changes):
                if place % _CHECK_EVERY == 0 or isinstance(change, Untouched):
                    progress.check()
                _note(found, change, progress)
    finally:
        reader.close()
    found.unlisted = listing.unlisted
    progress.count("planned", len(found.suspects))
    return found


def _changes(
    reader: Catalog, listing: Listing, space_id: int, *, verify: bool
) -> Generator[Untouched | Change, None, None]:
    if verify:
        with closing(reader.known_files(space_id)) as files:
            yield from compare(files, listing, verify=True)
        return
    stretches = listing.stretches()
    with reader.known_rows(space_id) as rows:
        early = list(_until(rows, stretches))
        lookup = partial(reader.known_files, space_id)
        yield from compare_stretches(rows.result(), chain(early, stretches), lookup)


def _until(rows: Future[Iterator[KnownRow]], stretches: Iterator[Stretch]) -> Iterator[Stretch]:
    """What the listing gives until the catalog has its first row, up to what may be held."""
    for stretch in islice(stretches, _EARLY):
        yield stretch
        if rows.done():
            return


_ACTIVE = (ItemState.INDEXED, ItemState.FAILED)


def _note(found: Survey, change: Untouched | Change, progress: Progress) -> None:
    if isinstance(change, Vanished):
        _note_vanished(found, change.known)
        return
    found.empty = False
    progress.count("scanned", change.files if isinstance(change, Untouched) else 1)
    if isinstance(change, Suspect):
        found.suspects.append(change)


def _note_vanished(found: Survey, known: KnownFile) -> None:
    if known.item_id is None:
        found.forgotten.append(known.path)
    else:
        found.vanished.append(known)


_ALLOWED: Final = (
    "lookalike-ingest run --allow-mass-removal, or POST /api/v1/preprocess?allow_mass_removal=true."
)


def check_guard(survey: Survey, guard: RemovalGuard, source: ImageSource, photos: Photos) -> None:
    """Stop a run that would remove too much.

    Raises:
        MassRemovalError: naming the numbers and the flag that allows it.
    """
    if not survey.complete:
        return  # such a run removes nothing
    removals = len(survey.vanished)
    if removals and survey.empty and guard.last_root not in ("", source.identity()):
        raise MassRemovalError(
            f"{source.name} is empty and not the folder of the last run: is it mounted? If its "
            f"{removals} items are meant to go: {_ALLOWED} Nothing was removed."
        )
    if guard.refuses(removals, survey.active):
        # Renaming a folder makes every path vanish, but its photos come up under other names.
        removals -= _count_moves(survey, photos)
    if guard.refuses(removals, survey.active):
        raise MassRemovalError(
            f"The run would remove {removals} of {survey.active} items, more than "
            f"{guard.share:.0%} (LOOKALIKE_REMOVAL_GUARD_SHARE). Is {source.name} mounted and "
            f"complete? If they are meant to go: {_ALLOWED} Nothing was removed."
        )


def may_be_moved(known: KnownFile | None) -> bool:
    """Whether a file may be an item's new name: no item has it as its own."""
    return known is None or known.state not in _ACTIVE


def _count_moves(survey: Survey, photos: Photos) -> int:
    gone = Counter(known.md5 for known in survey.vanished if known.md5)
    sizes = {known.stat.size for known in survey.vanished}
    moves = 0
    candidates = (
        suspect
        for suspect in survey.suspects
        if may_be_moved(suspect.known) and suspect.seen.stat.size in sizes
    )
    for chunk in photos.hashed(candidates, lambda md5s: md5s & gone.keys()):
        for _, read in chunk:
            if read.md5 is not None and gone[read.md5] > 0:
                gone[read.md5] -= 1
                moves += 1
    return moves
