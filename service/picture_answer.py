"""The answer that sends a file's parts, whole or a range of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from fastapi.responses import StreamingResponse

from service.stripped.parts import read_parts, total

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.types import Receive, Scope, Send

    from service.stripped.parts import Part

_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True)
class Opened:
    """An open file and what is sent of it."""

    file: BinaryIO
    parts: Sequence[Part]
    media_type: str


class PartsResponse(StreamingResponse):
    """Sends bytes of an open file, and closes it, sent or not."""

    def __init__(
        self, opened: Opened, first: int, last: int, status: int, headers: Mapping[str, str]
    ) -> None:
        content = read_parts(opened.file, opened.parts, first, last)
        super().__init__(content, status, headers, opened.media_type)
        self._file = opened.file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See `StreamingResponse`."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()


def send_parts(opened: Opened, asked: str | None, headers: Mapping[str, str]) -> PartsResponse:
    """Send the parts of a file; `asked` is the Range header, if there is one."""
    length = total(opened.parts)
    headers = {**headers, "Accept-Ranges": "bytes"}
    first, last, status = 0, length - 1, 200
    wanted = range_of(asked, length) if asked else None
    if wanted is not None:
        first, last = wanted
        if first > last:
            headers["Content-Range"] = f"bytes */{length}"
            headers["Content-Length"] = "0"
            return PartsResponse(opened, first, last, 416, headers)
        status = 206
        headers["Content-Range"] = f"bytes {first}-{last}/{length}"
    headers["Content-Length"] = str(last - first + 1)
    return PartsResponse(opened, first, last, status, headers)


def range_of(asked: str, length: int) -> tuple[int, int] | None:
    """The first and last place of a range, first > last: none; None where all is to be sent."""
    found = _RANGE.fullmatch(asked.strip())
    if found is None or found.groups() == ("", ""):
        return None
    begin, end = found.groups()
    if not begin:
        return (max(0, length - int(end)), length - 1) if int(end) else (1, 0)
    first, last = int(begin), min(int(end), length - 1) if end else length - 1
    if end and int(end) < first:
        return None
    return (first, last) if first < length else (1, 0)
