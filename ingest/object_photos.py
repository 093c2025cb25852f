"""Photos in object storage: fetched once, many at once, while others are embedded."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from core.vision.decode import DecodeLimits
from ingest.decoders import DecoderPool
from ingest.fetched import FetchedFiles
from ingest.photos import CHUNK
from ingest.reading import ReadFile, promises_picture

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from core.folder.changes import Suspect
    from core.settings import Settings
    from core.source.objects import ObjectStore
    from ingest.decoders import DecoderLimits
    from ingest.fetched import FetchedFile
    from ingest.photos import Hashed, Known
    from ingest.reading import Preparation

_STOP_CHECK_S: Final = 0.25


class Trust(Enum):
    """What the source's word on an MD5 is good for."""

    NEVER = auto()  # every object is to be hashed
    KNOWN = auto()  # it may name content that is known, which nothing does by chance
    ALWAYS = auto()  # whoever embeds the object hashes it, and elsewhere


class ObjectPhotos:
    """See `Photos`."""

    def __init__(self, source: ObjectStore, settings: Settings, trust: Trust) -> None:
        disk_bytes = int(settings.fetch_disk_mb * 1_000_000)
        self._files = FetchedFiles(source, DecodeLimits.for_catalogue(settings), disk_bytes)
        self._chunk_bytes = disk_bytes // 4  # two chunks at once leave room for what is decoded
        self._trust = trust
        self._proven: set[bytes] = set()  # MD5s that the source claims, and a fetch confirmed
        self._threads = ThreadPoolExecutor(settings.fetch_workers, thread_name_prefix="fetch")

    def hashed(self, suspects: Iterable[Suspect], known: Known) -> Iterator[Hashed]:
        """Take the source's word for content that is known, and fetch and hash the rest.

        The next photos are fetched while those before are decoded.
        """
        before: list[tuple[Suspect, Future[ReadFile]]] = []
        for chunk in self._chunks(suspects):
            started = self._start(chunk, known)
            if before:
                yield [(suspect, future.result()) for suspect, future in before]
            before = started
        if before:
            yield [(suspect, future.result()) for suspect, future in before]

    def decoders(self, how: Preparation, bounds: DecoderLimits) -> DecoderPool:
        """Processes that open the fetched files."""
        return _FetchingPool(self._files, how, bounds, self._threads)

    def close(self) -> None:
        """Delete what was fetched."""
        self._threads.shutdown(cancel_futures=True)
        self._files.close()

    def _chunks(self, suspects: Iterable[Suspect]) -> Iterator[list[Suspect]]:
        chunk: list[Suspect] = []
        size = 0
        for suspect in suspects:
            chunk.append(suspect)
            size += suspect.seen.stat.size
            if len(chunk) == CHUNK or size >= self._chunk_bytes:
                yield chunk
                chunk, size = [], 0
        if chunk:
            yield chunk

    def _start(self, chunk: list[Suspect], known: Known) -> list[tuple[Suspect, Future[ReadFile]]]:
        claims = [None if self._trust is Trust.NEVER else _claim_of(each) for each in chunk]
        claimed = {claim for claim in claims if claim is not None}
        if self._trust is Trust.ALWAYS:
            settled = claimed
        else:
            settled = known(claimed) | (claimed & self._proven)
        first: dict[bytes, Future[ReadFile]] = {}  # of each content that is claimed
        started: list[tuple[Suspect, Future[ReadFile]]] = []
        for suspect, claim in zip(chunk, claims, strict=True):
            if claim in settled:
                future = _taken(suspect)
            elif claim in first:
                # Copies of a photo that is being fetched: they need not be, if the claim is true.
                future = self._threads.submit(self._after, first[claim], suspect)
            else:
                future = self._threads.submit(self._fetch, suspect)
                if claim is not None:
                    first[claim] = future
            started.append((suspect, future))
        return started

    def _after(self, first: Future[ReadFile], suspect: Suspect) -> ReadFile:
        # Threads take their work in the order it came, so the first one is at work or done.
        wait([first])
        if suspect.seen.claimed_md5 in self._proven:
            return _taken(suspect).result()
        return self._fetch(suspect)

    def _fetch(self, suspect: Suspect) -> ReadFile:
        path, known = suspect.seen.path, suspect.known
        is_item = known is not None and known.item_id is not None
        file = self._files.hold(path, suspect.seen, is_item=is_item)
        self._files.release(path, file, done=False)
        if file.read.md5 is not None and file.read.md5 == suspect.seen.claimed_md5:
            self._proven.add(file.read.md5)
        return file.read


def _claim_of(suspect: Suspect) -> bytes | None:
    """What the source says of an object that is, or by its name will be, an item."""
    known = suspect.known
    if promises_picture(suspect.seen.path) or (known is not None and known.item_id is not None):
        return suspect.seen.claimed_md5
    return None


def _taken(suspect: Suspect) -> Future[ReadFile]:
    """What the source says of a photo, as if it had been read."""
    future = Future[ReadFile]()
    future.set_result(ReadFile(suspect.seen.stat, md5=suspect.seen.claimed_md5))
    return future


class _FetchingPool(DecoderPool):
    """Decodes fetched files, and fetches those that are gone from the disk meanwhile."""

    def __init__(
        self,
        files: FetchedFiles,
        how: Preparation,
        bounds: DecoderLimits,
        fetchers: ThreadPoolExecutor,
    ) -> None:
        super().__init__(files.folder, how, bounds)
        self._files = files
        self._fetchers = fetchers
        self._ended = False
        self._waiters = ThreadPoolExecutor(2 * bounds.workers + 2, thread_name_prefix="decode")

    def __exit__(self, *error: object) -> None:
        self._ended = True
        self._waiters.shutdown(cancel_futures=True)
        super().__exit__(*error)

    def submit(self, paths: Sequence[str]) -> Future[list[ReadFile]]:
        """Start fetching and preparing photos, the latter all in one process."""
        return self._waiters.submit(self._prepare, paths)

    def _prepare(self, paths: Sequence[str]) -> list[ReadFile]:
        files = list(self._fetchers.map(self._files.hold, paths))
        held = list(zip(paths, files, strict=True))
        try:
            return list(self._results(held))
        finally:
            for path, file in held:
                self._files.release(path, file, done=True)

    def _results(self, held: list[tuple[str, FetchedFile]]) -> Iterator[ReadFile]:
        names = [file.name for _, file in held if file.name]
        prepared = iter(self._wait(super().submit(names)) if names else ())
        for _, file in held:
            if not file.name:
                yield file.read
                continue
            read = next(prepared, None)
            if read is None:
                return  # the rest is asked for again
            yield replace(read, stat=file.read.stat, racy=file.read.racy)

    def _wait(self, future: Future[list[ReadFile]]) -> list[ReadFile]:
        while not wait([future], timeout=_STOP_CHECK_S).done:
            if self._ended:
                future.cancel()
                return []
        return future.result()

    def _found(self, path: str) -> ReadFile:
        file = self._files.hold(path)
        self._files.release(path, file, done=True)
        return file.read
