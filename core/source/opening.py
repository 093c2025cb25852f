"""Opens the place that LOOKALIKE_IMAGE_DIR names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core.errors import SettingsError
from core.source.local import LocalFolder

if TYPE_CHECKING:
    from core.settings import Settings
    from core.source.objects import ObjectStore

_S3: Final = ("s3", "s3a")
_CONNECTIONS: Final = 64  # beyond what fetches and listings use at once


def open_source(settings: Settings) -> LocalFolder | ObjectStore:
    """The place that holds the photos; nothing is asked of it yet.

    Raises:
        SettingsError: no library at hand speaks the URL's protocol, or its options are wrong.
    """
    if isinstance(settings.image_dir, Path):
        return LocalFolder(settings.image_dir)
    return open_store(settings.image_dir, settings.storage, settings.fetch_timeout_s)


def open_store(url: str, options: dict[str, Any], timeout_s: float) -> ObjectStore:
    """Open object storage by its URL and fsspec's options for it.

    Raises:
        SettingsError: no library at hand speaks the URL's protocol, or its options are wrong.
    """
    from fsspec.core import url_to_fs  # noqa: PLC0415  # quick starts where there is a folder

    from core.source.objects import ObjectStore, error_text  # noqa: PLC0415
    from core.source.s3 import S3Store  # noqa: PLC0415

    protocol = url.partition("://")[0]
    if protocol in _S3:
        options = _s3_options(options, timeout_s)
    try:
        filesystem, root = url_to_fs(
            url, **{"use_listings_cache": False, "skip_instance_cache": True, **options}
        )
    except (ImportError, ValueError) as error:
        # fsspec raises ValueError for a protocol that it has never heard of.
        install = "-r requirements-s3.txt" if protocol in _S3 else "fsspec's library for it"
        raise SettingsError(
            f"LOOKALIKE_IMAGE_DIR={url}: photos cannot be read over {protocol}:// here "
            f"({error_text(error)}). Where the protocol is right: pip install {install}."
        ) from error
    except TypeError as error:
        raise SettingsError(
            f"LOOKALIKE_STORAGE_OPTIONS does not suit {url}: {error_text(error)}."
        ) from error
    if protocol in _S3:
        return S3Store(url, filesystem, root, timeout_s)
    return ObjectStore(url, filesystem, root)


def _s3_options(options: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    """Timeouts and bounds beneath what the operator set."""
    config = {
        "signature_version": "s3v4",  # what signed URLs need in every region
        "connect_timeout": min(5.0, timeout_s),
        "read_timeout": timeout_s,
        "max_pool_connections": _CONNECTIONS,
        "retries": {"mode": "standard", "total_max_attempts": 3},
        **options.get("config_kwargs", {}),
    }
    return {**options, "config_kwargs": config}
