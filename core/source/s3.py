"""S3 and what speaks like it: flat listings page by page, one request for each object.

fsspec's own listing would ask once for every folder or hold the whole bucket in memory; S3 lists
keys in the order of their bytes, just as the comparison wants them.
"""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from core.errors import ImageTooLargeError
from core.source.facts import seen_object
from core.source.objects import (
    CHUNK_BYTES,
    Fetched,
    FetchLimits,
    ObjectStore,
    as_os_error,
    check_size,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from core.records import SeenFile

_ATTEMPTS: Final = 3  # at an object whose body breaks off; requests are retried by the library
_LEAST_BYTES_PER_S: Final = 50_000  # a slower body counts as broken


class S3Store(ObjectStore):
    """A prefix of a bucket."""

    def __init__(self, url: str, filesystem: Any, root: str, timeout_s: float) -> None:  # noqa: ANN401  # fsspec is untyped
        super().__init__(url, filesystem, root)
        self._bucket, _, prefix = self._root.partition("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._timeout_s = timeout_s

    def holds(self, name: str) -> bool:
        """See `ObjectStore`."""
        page = self._page(Prefix=self._prefix + name, MaxKeys=1)
        return any(found["Key"] == self._prefix + name for found in page.get("Contents", ()))

    def entries(self) -> Iterator[SeenFile]:
        """Every object, the next page asked for while one is worked on; see `ObjectStore`."""
        with ThreadPoolExecutor(1, thread_name_prefix="listing") as ahead:
            page = ahead.submit(self._page, Prefix=self._prefix)
            while True:
                found = page.result()
                more = bool(found.get("IsTruncated"))
                if more:
                    token = found["NextContinuationToken"]
                    page = ahead.submit(self._page, Prefix=self._prefix, ContinuationToken=token)
                for info in found.get("Contents", ()):
                    path = info["Key"][len(self._prefix) :]
                    if path:  # the prefix may have a marker of its own
                        yield seen_object(path, info)
                if not more:
                    return

    def fetch(self, path: str, into: BinaryIO, limits: FetchLimits) -> Fetched:
        """See `ObjectStore`."""
        fetched: Fetched = self._patiently(lambda: self._get(path, into, limits))
        return fetched

    def head(self, path: str, size: int) -> bytes:
        """See `ObjectStore`."""
        head: bytes = self._patiently(lambda: self._get_head(path, size))
        return head

    def signed_url(self, path: str, lasts_s: int) -> str | None:
        """See `ObjectStore`."""
        with as_os_error():
            return str(self._run(self._sign, path, lasts_s))

    def _page(self, **wanted: str | int) -> dict[str, Any]:
        with as_os_error():
            found: dict[str, Any] = self._filesystem.call_s3(
                "list_objects_v2", Bucket=self._bucket, **wanted
            )
        return found

    def _patiently(self, ask: Callable[[], Any]) -> Any:  # noqa: ANN401  # what was asked for
        """Ask again when an answer breaks off; what is not there or not allowed stays so."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with as_os_error():
                    return self._run(ask)
            except (FileNotFoundError, PermissionError, ImageTooLargeError):
                raise
            except OSError:
                if attempt == _ATTEMPTS:
                    raise
        raise AssertionError

    def _run(self, work: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401
        from fsspec.asyn import sync  # noqa: PLC0415  # only where there is a bucket

        return sync(self._filesystem.loop, work, *arguments)

    async def _get(self, path: str, into: BinaryIO, limits: FetchLimits) -> Fetched:
        into.seek(0)
        into.truncate()
        answer = await self._asked(path)
        body, length = answer["Body"], int(answer["ContentLength"])
        digest, size = hashlib.md5(usedforsecurity=False), 0
        try:
            check_size(length, limits)
            async with asyncio.timeout(self._timeout_s + length / _LEAST_BYTES_PER_S):
                while chunk := await body.read(CHUNK_BYTES):
                    size += len(chunk)
                    digest.update(chunk)
                    into.write(chunk)
        finally:
            body.close()
        if size != length:
            raise OSError(f"{size:,} of {length:,} bytes came")
        return Fetched(seen_object(path, answer).stat, digest.digest(), size)

    async def _get_head(self, path: str, size: int) -> bytes:
        answer = await self._asked(path, Range=f"bytes=0-{size - 1}")
        try:
            async with asyncio.timeout(self._timeout_s):
                return bytes(await answer["Body"].read(size))
        finally:
            answer["Body"].close()

    async def _asked(self, path: str, **wanted: str) -> dict[str, Any]:
        answer: dict[str, Any] = await self._filesystem._call_s3(  # noqa: SLF001  # the awaitable form of call_s3
            "get_object", Bucket=self._bucket, Key=self._prefix + path, **wanted
        )
        return answer

    async def _sign(self, path: str, lasts_s: int) -> str:
        client = await self._filesystem.set_session()
        url: str = await client.generate_presigned_url(
            ClientMethod="get_object",
            Params={"Bucket": self._bucket, "Key": self._prefix + path},
            ExpiresIn=lasts_s,
        )
        return url
