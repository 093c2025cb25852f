"""What LOOKALIKE_MILVUS_URI may be; apart from the adapter, so that settings need no package."""

from __future__ import annotations

from typing import Final

_FILE_SUFFIX: Final = ".db"  # by which pymilvus tells a file from an address
_SCHEMES: Final = ("http://", "https://", "tcp://", "unix:")


def is_file(uri: str) -> bool:
    """Whether a URI names a file and no server."""
    return not uri.startswith(_SCHEMES)


def check_address(uri: str) -> str | None:
    """What is wrong with LOOKALIKE_MILVUS_URI; None: nothing."""
    if not uri:
        return "LOOKALIKE_INDEX=milvus takes LOOKALIKE_MILVUS_URI: a file, or http://host:19530."
    if is_file(uri) and not uri.endswith(_FILE_SUFFIX):
        return (
            f"LOOKALIKE_MILVUS_URI={uri} is neither an address (http://host:19530, https://…) nor "
            f"a file of Milvus Lite, whose name ends with {_FILE_SUFFIX}."
        )
    return None
