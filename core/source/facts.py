"""What an object storage's listing says of an object, in the catalog's terms.

The catalog tells a change by size and two times. An object has no ctime; the number derived from
its ETag takes that place, so an object whose ETag is as before is unchanged, and one that was
overwritten within the same second is not.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from core.records import FileStat, SeenFile

if TYPE_CHECKING:
    from collections.abc import Mapping

_TAGS: Final = ("ETag", "etag", "generation", "version_id", "checksum")
_TIMES: Final = ("LastModified", "last_modified", "updated", "mtime", "created")
_PLAIN: Final = re.compile(r'"?([0-9a-fA-F]{32})"?')
_NS: Final = 1_000_000_000


def seen_object(path: str, info: Mapping[str, Any]) -> SeenFile:
    """An object as the comparison with the catalog takes it; `info` is fsspec's, or a listing's."""
    tag = _first(info, _TAGS)
    stat = FileStat(
        size=int(info.get("size", info.get("Size", info.get("ContentLength"))) or 0),
        mtime_ns=_nanoseconds(_first(info, _TIMES)),
        ctime_ns=_number_of(str(tag)) if tag is not None else 0,
    )
    return SeenFile(path, stat, _claimed_md5(info))


def _claimed_md5(info: Mapping[str, Any]) -> bytes | None:
    """What may be the MD5 of the content: 16 bytes.

    S3's ETag is the MD5 of an object that was uploaded in one part and is not encrypted with a
    customer's key; a listing does not tell whether it is. So this is a claim: it counts where it
    names content that is known already (no other value does so by chance), and content that is
    not known is hashed when it is fetched.
    """
    given = info.get("md5Hash")  # Google Cloud Storage
    settings = info.get("content_settings")  # Azure
    if given is None and settings is not None:
        given = getattr(settings, "content_md5", None) or (
            settings.get("content_md5") if isinstance(settings, dict) else None
        )
    if isinstance(given, bytes | bytearray):
        return bytes(given) if len(given) == 16 else None
    if isinstance(given, str):
        return _from_base64(given)
    plain = _PLAIN.fullmatch(str(info.get("ETag") or ""))
    return bytes.fromhex(plain[1]) if plain else None


def _from_base64(text: str) -> bytes | None:
    try:
        found = base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
    return found if len(found) == 16 else None


def _first(info: Mapping[str, Any], keys: tuple[str, ...]) -> Any:  # noqa: ANN401  # as the storage has it
    return next((info[key] for key in keys if info.get(key) is not None), None)


def _number_of(tag: str) -> int:
    """A tag as a number that SQLite can hold."""
    digest = hashlib.blake2b(tag.strip('"').encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _nanoseconds(moment: object) -> int:
    """A time as nanoseconds since the epoch; 0: none is known."""
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return 0
    if isinstance(moment, datetime):
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return int(aware.timestamp()) * _NS + aware.microsecond * 1000
    if isinstance(moment, int | float):
        # A library may give a time as a date here and as a number there: no more than both hold.
        return round(moment * 1e6) * 1000
    return 0
