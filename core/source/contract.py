"""What a run and the service ask of the place that holds the photos.

Two places answer: `LocalFolder` and `ObjectStore`. How bytes are read differs too much to be one
method (a folder's files are opened where they are, objects are fetched first), so the ingester and
the service ask which of the two they have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.folder.stretches import Stretch
    from core.records import SeenFile


class Listing(Protocol):
    """One pass over everything that is there; iterate it once, then ask what is missing."""

    unlisted: list[str]  # a sentence for each part that could not be listed

    def __iter__(self) -> Iterator[SeenFile]:
        """Yield every file in the order of the paths' bytes.

        Raises:
            SourceError: nothing at all can be listed.
        """
        ...

    def stretches(self) -> Iterator[Stretch]:
        """Yield the same files, neighbours together; in place of iterating.

        Raises:
            SourceError: nothing at all can be listed.
        """
        ...

    @property
    def complete(self) -> bool:
        """Whether everything was listed; only then may absent files count as removed."""
        ...


class ImageSource(Protocol):
    """A place that holds photos."""

    @property
    def name(self) -> str:
        """The folder or URL, as LOOKALIKE_IMAGE_DIR says it; holds no secret."""
        ...

    def walk(self) -> Listing:
        """Begin a listing; opens and fetches no photo."""
        ...

    def identity(self) -> str:
        """What tells this place from another that took its name, such as an empty mount point.

        Raises:
            OSError: the place is not there.
        """
        ...

    def holds(self, name: str) -> bool:
        """Whether a file of this name lies at the root.

        Raises:
            SourceError: the place does not answer.
        """
        ...
