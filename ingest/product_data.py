"""Takes the shop's product data over: from a file, or from beside the photos in object storage."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Final

from core.errors import ImageError, MetadataError
from core.folder.metadata import Metadata, find_metadata, parse_metadata, read_metadata
from core.source.local import LocalFolder
from core.source.objects import FetchLimits, ObjectStore, error_text
from core.store.commit import Commit

if TYPE_CHECKING:
    from core.records import SeenFile, Space
    from core.settings import Settings
    from core.source.contract import ImageSource, Listing
    from core.store.catalog import Catalog

_VERSION_NOTE: Final = "metadata_version"
_SEEN_NOTE: Final = "metadata_seen"  # what the listing said of the object that was taken over
_UNREADABLE: Final = "unreadable"


@dataclass
class ProductData:
    """The product data of one run."""

    settings: Settings
    catalog: Catalog
    warnings: list[str]  # of the run; what is wrong is added
    _mark: str = ""

    def read(self, source: ImageSource, listing: Listing, *, needed: bool) -> Metadata | None:
        """The shop's product data; None: what was known before stays.

        That is so where it is unreadable, and where it lies in object storage, is as it was, and
        no photo is there to be described (not `needed`): then it is not fetched.
        """
        try:
            if isinstance(source, ObjectStore) and self.settings.metadata is None:
                metadata = self._fetched(source, listing, needed=needed)
            else:
                folder = source.root if isinstance(source, LocalFolder) else None
                metadata = read_metadata(find_metadata(folder, self.settings.metadata))
        except MetadataError as error:
            self.warnings.append(f"{error} What was known before stays.")
            # Photos that come meanwhile are labelled once the file can be read again.
            self.catalog.set_note(_VERSION_NOTE, _UNREADABLE)
            return None
        if metadata is not None:
            self.warnings += metadata.warnings
        return metadata

    def take_over(self, space: Space, metadata: Metadata) -> None:
        """Label every item anew if the data has changed, without embedding anything."""
        if (self.catalog.get_note(_VERSION_NOTE) or "") != metadata.version:
            self._label(space, metadata)
        if (self.catalog.get_note(_SEEN_NOTE) or "") != self._mark:
            self.catalog.set_note(_SEEN_NOTE, self._mark)

    def _label(self, space: Space, metadata: Metadata) -> None:
        paths = self.catalog.item_paths()
        known = set(paths)
        self.catalog.publish(space, Commit(labels=[metadata.label(path) for path in paths]))
        unknown = [path for path in metadata.labels if path not in known]
        if unknown:
            shown = ", ".join(unknown[:3])
            self.warnings.append(
                f"The product data describes {len(unknown)} photos that are not there: {shown}."
            )
        self.catalog.set_note(_VERSION_NOTE, metadata.version)

    def _fetched(self, store: ObjectStore, listing: Listing, *, needed: bool) -> Metadata | None:
        found: dict[str, SeenFile] = getattr(listing, "metadata", {})
        seen = next((found[name] for name in sorted(found)), None)
        if seen is None:
            if not listing.complete:
                raise MetadataError(
                    f"{store.name} could not be listed whole, so product data may be missing."
                )
            return Metadata("", {})
        self._mark = f"{store.name}/{seen.path} {tuple(seen.stat)}"
        as_before = self.catalog.get_note(_SEEN_NOTE) == self._mark
        if as_before and not needed and self.catalog.get_note(_VERSION_NOTE) != _UNREADABLE:
            return None
        return self._parsed(store, seen)

    def _parsed(self, store: ObjectStore, seen: SeenFile) -> Metadata:
        data = BytesIO()
        most = int(self.settings.max_file_mb * 1_000_000)
        try:
            store.fetch(seen.path, data, FetchLimits(most, "LOOKALIKE_MAX_FILE_MB"))
        except (OSError, ImageError) as error:
            raise MetadataError(
                f"{store.name}/{seen.path} cannot be read: {error_text(error)}."
            ) from error
        return parse_metadata(f"{store.name}/{seen.path}", data.getvalue())
