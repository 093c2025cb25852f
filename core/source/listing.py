"""One pass over an object storage, in the order of the paths' bytes.

Keys are paths below the URL's prefix; folders are what lies between slashes. As in a folder of
this machine, hidden folders and the product data at the root are passed over.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

from core.errors import SourceError
from core.folder.stretches import stretch_of
from core.folder.walk import METADATA_FILES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.folder.stretches import Stretch
    from core.records import SeenFile
    from core.source.objects import ObjectStore

_STRETCH: Final = 1000  # objects, a page of most storages


class ListingBrokeError(OSError):
    """Part of a listing is missing; `sentences` names each part."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__("; ".join(sentences))
        self.sentences = sentences


@dataclass
class ObjectListing:
    """See `Listing`."""

    store: ObjectStore
    unlisted: list[str] = field(default_factory=list)  # a sentence for each part
    metadata: dict[str, SeenFile] = field(default_factory=dict)  # product data at the root, by name

    def __iter__(self) -> Iterator[SeenFile]:
        """Yield every object that may be a photo.

        Raises:
            SourceError: nothing can be listed, or not in an order that can be compared.
        """
        last = b""
        try:
            for seen in self.store.entries():
                key = os.fsencode(seen.path)
                if key <= last:
                    raise SourceError(
                        f"{self.store.name} lists {seen.path!r} out of order, so it cannot be "
                        "compared with the catalogue. Nothing was changed."
                    )
                last = key
                if seen.path in METADATA_FILES:
                    self.metadata[seen.path] = seen
                elif not _is_passed_over(seen.path):
                    yield seen
        except ListingBrokeError as error:
            self.unlisted += error.sentences
        except OSError as error:
            if not last:
                raise SourceError(self.store.not_answering(error)) from error
            place = os.fsdecode(last)
            self.unlisted.append(f"{self.store.name}, all after {place}: {error}")

    def stretches(self) -> Iterator[Stretch]:
        """Yield the same objects, neighbours together.

        Raises:
            SourceError: nothing can be listed, or not in an order that can be compared.
        """
        files = iter(self)
        while some := list(islice(files, _STRETCH)):
            yield stretch_of(some)

    @property
    def complete(self) -> bool:
        """Whether everything was listed; only then may absent objects count as removed."""
        return not self.unlisted


def is_hidden_folder(folder: str) -> bool:
    """Whether a folder, or one above it, is hidden."""
    return any(part.startswith(".") for part in folder.split("/"))


def _is_passed_over(path: str) -> bool:
    """Whether a key is no file: a folder's marker, or something hidden."""
    folder, _, name = path.rpartition("/")
    return name in {"", ".", ".."} or is_hidden_folder(folder)
