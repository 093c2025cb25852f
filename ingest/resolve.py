"""Each file that may have changed is settled: known content, moved, failed, or to be embedded."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from core.records import ItemState
from core.store.commit import FailedFile, IndexedFile, MovedFile, PassedOverFile
from ingest.embed import Task
from ingest.reading import UNSEEN
from ingest.survey import may_be_moved

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.folder.changes import Suspect
    from core.records import KnownFile
    from core.store.catalog import Catalog
    from ingest.embed import Embedded
    from ingest.photos import Photos
    from ingest.progress import Progress
    from ingest.publish import Publisher
    from ingest.reading import ReadFile
    from ingest.survey import Survey


@dataclass(frozen=True)
class _Claim:
    """A file that waits for the vector of its content."""

    suspect: Suspect
    read: ReadFile


class Resolver:
    """Settles the suspects of a survey, sending as few as possible through the model."""

    def __init__(
        self,
        catalog: Catalog,
        publisher: Publisher,
        progress: Progress,
        *,
        photos: Photos,
        space_id: int,
        force: bool,
    ) -> None:
        self._catalog = catalog
        self._publisher = publisher
        self._progress = progress
        self._photos = photos
        self._space_id = space_id
        self._force = force
        self._gone: dict[bytes, list[KnownFile]] = {}
        self._moved: set[int] = set()  # item ids
        self._new_names: set[str] = set()  # of moved items
        self._waiting: dict[bytes, list[_Claim]] = {}  # by content that is being embedded
        self._fresh: set[bytes] = set()  # embedded by this run since the catalog was last asked
        self._again: deque[Task] = deque()

    def tasks(self, survey: Survey) -> Iterator[Task]:
        """Settle what needs no model and yield the rest, to be answered through `take`."""
        for known in survey.vanished if survey.complete else ():
            if known.md5 is not None:
                self._gone.setdefault(known.md5, []).append(known)
        chunks = self._photos.hashed(survey.suspects, self._known)
        while True:
            with self._progress.stage("hash"):
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield from self._settle(chunk)
            yield from self._requeued()

    def leftovers(self) -> Iterator[Task]:
        """Photos whose content changed between hashing and decoding, and left others waiting."""
        yield from self._requeued()

    def take(self, embedded: Embedded) -> None:
        """Settle every file that waited for this content."""
        claims = self._waiting.pop(embedded.task.md5, [])
        read, vectors = embedded.read, embedded.vectors
        if read.md5 is not None and read.md5 != embedded.task.md5:
            # Edited since it was hashed: this file has the new content, the others still wait.
            self._requeue(claims[1:])
            claims = claims[:1]
        elif read.md5 is None:
            self._requeue(claims[1:])
            claims = claims[:1]
        if vectors is not None and read.md5 is not None:
            self._publisher.add_vectors(read.md5, read.at_ms, vectors)
            self._fresh.add(read.md5)
        for place, claim in enumerate(claims):
            # The first claim's file is the one that was decoded.
            self._finish(claim.suspect, read if place == 0 else _as_read(claim, read))

    def removed(self, survey: Survey) -> list[KnownFile]:
        """The items whose file is gone for good."""
        if not survey.complete:
            return []
        return [known for known in survey.vanished if known.item_id not in self._moved]

    def _known(self, md5s: set[bytes]) -> set[bytes]:
        """Which contents can be settled by their MD5 alone."""
        return self._embedded(md5s) | (md5s & self._gone.keys())

    def _settle(self, chunk: list[tuple[Suspect, ReadFile]]) -> Iterator[Task]:
        have = self._embedded({read.md5 for _, read in chunk if read.md5 is not None})
        for suspect, read in chunk:
            self._progress.check()
            self._progress.count("bytes_read", read.size)
            self._progress.count("hashed", read.md5 is not None)
            if read.md5 is None:
                self._settle_unhashed(suspect, read)
            elif not self._settle_move(suspect, read, read.md5):
                if read.md5 in have or read.md5 in self._fresh:
                    self._index(suspect, read, read.md5)
                else:
                    yield from self._claim(suspect, read, read.md5)
            self._publisher.settle()

    def _embedded(self, md5s: set[bytes]) -> set[bytes]:
        """Which contents have a vector already; a forced run knows only its own."""
        if self._force:
            return set()
        self._fresh = self._publisher.unpublished()
        return self._catalog.embedded(self._space_id, md5s)

    def _settle_unhashed(self, suspect: Suspect, read: ReadFile) -> None:
        if read.stat is None:
            self._progress.count("settled")  # gone since the walk; the next run sees it missing
            return
        path = suspect.seen.path
        if read.failure is not None:
            self._fail(suspect, read)
        elif read.passed_over:
            passed = PassedOverFile(path, read.stat, read.racy)
            self._publisher.pending.passed_over.append(passed)
            self._progress.count("settled")

    def _settle_move(self, suspect: Suspect, read: ReadFile, md5: bytes) -> bool:
        """Whether the file is an item that vanished elsewhere, under its new name."""
        known = suspect.known
        if not may_be_moved(known):
            return False
        candidates = self._gone.get(md5)
        if not candidates or read.stat is None:
            return False
        source = candidates.pop()
        assert source.item_id is not None  # noqa: S101  # only items are in `vanished`
        self._moved.add(source.item_id)
        self._new_names.add(suspect.seen.path)
        self._progress.count("moved")
        self._publisher.moved(MovedFile(source.item_id, suspect.seen.path, read.stat, read.racy))
        if source.state is ItemState.FAILED:
            settled = not (self._force or source.suspect)
        else:
            settled = source.has_vector and not self._force
        self._progress.count("settled", settled)
        return settled

    def _claim(self, suspect: Suspect, read: ReadFile, md5: bytes) -> Iterator[Task]:
        claims = self._waiting.setdefault(md5, [])
        claims.append(_Claim(suspect, read))
        if len(claims) == 1:
            yield Task(suspect.seen.path, md5)

    def _requeue(self, claims: list[_Claim]) -> None:
        if claims and claims[0].read.md5 is not None:
            md5 = claims[0].read.md5
            self._waiting[md5] = claims
            self._again.append(Task(claims[0].suspect.seen.path, md5))

    def _requeued(self) -> Iterator[Task]:
        while self._again:
            yield self._again.popleft()

    def _finish(self, suspect: Suspect, read: ReadFile) -> None:
        if read.stat is None:
            self._progress.count("settled")
            return
        if read.stat == UNSEEN:
            read = replace(read, stat=suspect.seen.stat)
        if read.failure is None and read.md5 is not None:
            self._index(suspect, read, read.md5)
        else:
            self._fail(suspect, read)

    def _index(self, suspect: Suspect, read: ReadFile, md5: bytes) -> None:
        assert read.stat is not None  # noqa: S101  # a file with a hash was there
        self._progress.count("settled")
        kind = _kind_of_change(suspect.known, md5)
        if kind is not None and suspect.seen.path not in self._new_names:
            self._progress.count(kind)
        self._publisher.indexed(IndexedFile(suspect.seen.path, read.stat, md5, read.racy))

    def _fail(self, suspect: Suspect, read: ReadFile) -> None:
        assert read.stat is not None  # noqa: S101  # a file that fails was there
        assert read.failure is not None  # noqa: S101  # or it would not fail
        self._progress.count("settled")
        self._progress.count("failed")
        self._publisher.failed(
            FailedFile(
                suspect.seen.path,
                read.stat,
                read.md5,
                read.failure.code,
                read.failure.reason,
                read.racy,
            )
        )


def _kind_of_change(known: KnownFile | None, md5: bytes) -> str | None:
    """The counter a freshly indexed file belongs to; None: only its stat or its space changed."""
    if known is None or known.item_id is None:
        return "new"
    if known.state is ItemState.MISSING:
        return "revived" if known.md5 == md5 else "modified"
    if known.md5 != md5:
        return "modified"
    if known.state is ItemState.FAILED and not known.has_vector:
        return "modified"  # tried again, with success
    return None


def _as_read(claim: _Claim, read: ReadFile) -> ReadFile:
    """What the claim's own file is, with the failure that its content shares."""
    own = claim.read
    return type(own)(own.stat, own.racy, own.md5, own.size, failure=read.failure)
