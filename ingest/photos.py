"""How a run gets at the bytes of its photos: from a folder, or fetched from object storage.

The two differ in what costs time. A folder's files are hashed where they are, a few at once, and
read again when they are decoded. Objects are fetched once, many at once, and only those whose
content the source does not name already.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from ingest.decoders import DecoderPool
from ingest.reading import hash_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from core.folder.changes import Suspect
    from core.source.local import LocalFolder
    from ingest.decoders import DecoderLimits
    from ingest.reading import Preparation, ReadFile

Known: TypeAlias = "Callable[[set[bytes]], set[bytes]]"
Hashed: TypeAlias = "list[tuple[Suspect, ReadFile]]"

CHUNK: Final = 256  # photos hashed together, so that the catalog is asked once for all
_HASH_THREADS: Final = 4


class Photos(Protocol):
    """What a run asks for; close it in the end."""

    def hashed(self, suspects: Iterable[Suspect], known: Known) -> Iterator[Hashed]:
        """Hash photos, some together, in the order they came; one that fails says so.

        `known` tells which MD5s name content that needs no bytes any more.

        Raises:
            SourceError: the source has stopped to answer.
        """
        ...

    def decoders(self, how: Preparation, bounds: DecoderLimits) -> DecoderPool:
        """Start processes that read and prepare photos by their paths."""
        ...

    def close(self) -> None:
        """Give threads and disk space back."""
        ...


class FolderPhotos:
    """Photos in a folder of this machine; see `Photos`."""

    def __init__(self, folder: LocalFolder) -> None:
        self._root = str(folder.root)

    def hashed(self, suspects: Iterable[Suspect], known: Known) -> Iterator[Hashed]:  # noqa: ARG002  # files tell no MD5
        """Read each file and hash it."""
        waiting = iter(suspects)
        with ThreadPoolExecutor(_HASH_THREADS) as threads:
            while chunk := list(islice(waiting, CHUNK)):
                yield list(zip(chunk, threads.map(self._hash, chunk), strict=True))

    def decoders(self, how: Preparation, bounds: DecoderLimits) -> DecoderPool:
        """Processes that open the files themselves."""
        return DecoderPool(self._root, how, bounds)

    def close(self) -> None:
        """Nothing is held."""

    def _hash(self, suspect: Suspect) -> ReadFile:
        known = suspect.known
        is_item = known is not None and known.item_id is not None
        return hash_file(self._root, suspect.seen.path, is_item=is_item)
