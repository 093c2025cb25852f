"""A picture named by text inside a JSON body: base64, a data URI or a URL."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from typing import TYPE_CHECKING, Final

from core.errors import ImageTooLargeError
from service.errors import InvalidBase64Error, UnsupportedDataUriError
from service.fetch import MOST_CONNECTIONS

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from core.settings import Settings
    from service.fetch import Fetcher

_SCHEME: Final = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*):")
_DATA_URI: Final = re.compile(r"\s*data:([^,;]*)((?:;[^,;]*)*),", re.IGNORECASE)
_LONGEST_HEAD: Final = 256
"""Characters in which the part of a data URI before its comma must end."""

_ANY_TYPE: Final = frozenset(("", "application/octet-stream"))
_STANDARD_ALPHABET: Final = bytes.maketrans(b"-_", b"+/")
_WHITESPACE: Final = b" \t\r\n"


class References:
    """Turns references into the bytes they stand for."""

    def __init__(self, settings: Settings, fetcher: Fetcher, workers: Executor) -> None:
        self._max_bytes = settings.max_upload_bytes
        self._fetcher = fetcher
        self._workers = workers
        # A fetch that had to wait for a connection would lose that time from its own limit.
        self._connections = asyncio.Semaphore(MOST_CONNECTIONS)

    async def read(self, reference: str) -> bytes:
        """Give the bytes that a reference stands for.

        Raises:
            InvalidBase64Error: it is neither a URL nor base64.
            UnsupportedDataUriError: a data URI of another type or encoding.
            ImageTooLargeError: it holds more than LOOKALIKE_MAX_UPLOAD_MB.
            FetchError: the URL gave no picture.
        """
        scheme = _SCHEME.match(reference, 0, _LONGEST_HEAD)
        if scheme is not None and scheme[1].lower() != "data":
            async with self._connections:
                return await self._fetcher.fetch(reference)
        start = 0 if scheme is None else data_start(reference)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, self._decode, reference, start)

    def _decode(self, text: str, start: int) -> bytes:
        try:
            coded = text[start:].encode("ascii")
            coded = coded.translate(_STANDARD_ALPHABET, _WHITESPACE)
            size = len(coded) * 3 // 4
            if size > self._max_bytes + 2:  # padding
                raise ImageTooLargeError(
                    f"The picture has about {size:,} bytes; the limit is {self._max_bytes:,} "
                    "(LOOKALIKE_MAX_UPLOAD_MB)."
                )
            return base64.b64decode(coded, validate=True)
        except UnicodeEncodeError as error:
            raise InvalidBase64Error from error
        except binascii.Error as error:
            raise InvalidBase64Error(f"{InvalidBase64Error.__doc__} ({error})") from error


def data_start(uri: str) -> int:
    """Where the base64 of a data URI begins.

    Raises:
        UnsupportedDataUriError: it is of another type than a picture's, or not base64.
    """
    head = _DATA_URI.match(uri, 0, _LONGEST_HEAD)
    if head is None:
        raise UnsupportedDataUriError(
            f"The data URI has no comma within {_LONGEST_HEAD} characters; it must read "
            "data:image/png;base64,..."
        )
    media_type, parameters = head[1].strip().lower(), head[2].lower().split(";")
    if not (media_type in _ANY_TYPE or media_type.startswith("image/")):
        raise UnsupportedDataUriError(
            f"The data URI is of type {media_type}; it must be of a type image/..."
        )
    if parameters[-1].strip() != "base64":
        raise UnsupportedDataUriError("The data URI must be base64: data:image/png;base64,...")
    return head.end()
