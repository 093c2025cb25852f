"""Photos in a folder of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.folder.walk import Walk

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class LocalFolder:
    """An image folder; see `ImageSource`."""

    root: Path

    @property
    def name(self) -> str:
        """The folder."""
        return str(self.root)

    def walk(self) -> Walk:
        """Begin a walk; opens no file."""
        return Walk(self.root)

    def identity(self) -> str:
        """What differs between a mount point and the disk mounted on it.

        Raises:
            OSError: the folder is not there.
        """
        found = self.root.stat()
        return f"{found.st_dev}:{found.st_ino}"

    def holds(self, name: str) -> bool:
        """Whether a file of this name lies at the root."""
        return (self.root / name).exists()
