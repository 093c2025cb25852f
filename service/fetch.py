"""Pictures from URLs, fetched so that a stranger's URL cannot reach into the private network.

The address is checked after the name was resolved, and the connection goes to just the address
that was checked: neither a redirect nor a name that changes its answer gets around it. Proxy
variables are ignored, for a proxy would resolve the name again.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

import httpcore
import httpx

from service.addresses import is_public
from service.errors import FetchError, FetchRefusedError, FetchTooLargeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from core.settings import Settings

MOST_URL_CHARACTERS: Final = 4096
MOST_CONNECTIONS: Final = 32
_MOST_REDIRECTS: Final = 3
_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
_HEADERS: Final = (
    ("Accept", "image/*"),
    ("Accept-Encoding", "identity"),  # what is counted is what is held: nothing can be inflated
    ("User-Agent", "lookalike"),
)


@dataclass(frozen=True)
class FetchLimits:
    """Where the fetcher may go and how much it may bring back."""

    max_bytes: int
    timeout_s: float  # for one picture, redirects included
    allow_private: bool
    allowed_hosts: tuple[str, ...]  # names or patterns such as *.example.com; empty: any

    @classmethod
    def from_settings(cls, settings: Settings) -> FetchLimits:
        """The limits an operator set."""
        return cls(
            max_bytes=settings.max_upload_bytes,
            timeout_s=settings.url_fetch_timeout_s,
            allow_private=settings.url_allow_private,
            allowed_hosts=settings.url_allowed_hosts,
        )


Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Gives every address of a host; raises OSError where it has none."""


async def resolve_host(host: str, port: int) -> list[str]:
    """Ask the system's resolver for every address of a host."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


class Fetcher:
    """Fetches pictures; one for an application, closed with it."""

    def __init__(self, limits: FetchLimits, resolve: Resolve = resolve_host) -> None:
        self._limits = limits
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=MOST_CONNECTIONS,
            network_backend=_CheckingBackend(resolve, allow_private=limits.allow_private),
        )

    async def fetch(self, url: str) -> bytes:
        """Fetch the bytes behind an http or https URL.

        Raises:
            FetchRefusedError: the URL, or what it leads to, is not allowed.
            FetchTooLargeError: there are more bytes than LOOKALIKE_MAX_UPLOAD_MB allows.
            FetchError: it cannot be reached, answers with an error, or takes too long.
        """
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                return await self._follow(url)
        except TimeoutError as error:
            raise FetchError(
                f"The URL took longer than {self._limits.timeout_s:g} s "
                "(LOOKALIKE_URL_FETCH_TIMEOUT_S)."
            ) from error
        except (httpcore.NetworkError, httpcore.TimeoutException, OSError) as error:
            reason = str(error) or type(error).__name__
            raise FetchError(f"The URL cannot be reached: {reason}.") from error
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
            raise FetchError(f"The URL's server does not speak HTTP: {error}.") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.aclose()

    async def _follow(self, url: str) -> bytes:
        for _ in range(_MOST_REDIRECTS + 1):
            checked = self._check(url)
            request = httpcore.Request("GET", str(checked), headers=_headers(checked))
            response = await self._pool.handle_async_request(request)
            try:
                location = _header(response, b"location")
                if response.status in _REDIRECTS and location is not None:
                    url = urljoin(str(checked), location)
                    continue
                if response.status != httpx.codes.OK:
                    raise FetchError(f"The URL answers with status {response.status}.")
                return await self._read(response)
            finally:
                await response.aclose()
        raise FetchError(f"The URL redirects more than {_MOST_REDIRECTS} times.")

    def _check(self, url: str) -> httpx.URL:
        if len(url) > MOST_URL_CHARACTERS:
            raise FetchRefusedError(f"The URL is longer than {MOST_URL_CHARACTERS} characters.")
        try:
            parsed = httpx.URL(url.strip())
        except (httpx.InvalidURL, UnicodeError) as error:
            raise FetchRefusedError(f"The URL is malformed: {error}.") from error
        if parsed.scheme not in ("http", "https"):
            raise FetchRefusedError("The URL's scheme must be http or https.")
        if not parsed.host:
            raise FetchRefusedError("The URL names no host.")
        if parsed.userinfo:
            raise FetchRefusedError("The URL must carry no user name or password.")
        hosts = self._limits.allowed_hosts
        if hosts and not any(fnmatchcase(parsed.host.lower(), host.lower()) for host in hosts):
            raise FetchRefusedError("The URL's host is not in LOOKALIKE_URL_ALLOWED_HOSTS.")
        return parsed

    async def _read(self, response: httpcore.Response) -> bytes:
        if _header(response, b"content-encoding") not in (None, "identity"):
            raise FetchError("The URL's server compresses its answer though it was told not to.")
        parts = list[bytes]()
        size = 0
        async for part in _stream(response):
            size += len(part)
            if size > self._limits.max_bytes:
                raise FetchTooLargeError(
                    f"The URL holds more than {self._limits.max_bytes:,} bytes "
                    "(LOOKALIKE_MAX_UPLOAD_MB)."
                )
            parts.append(part)
        return b"".join(parts)


class _CheckingBackend(httpcore.AsyncNetworkBackend):
    """Resolves a name, refuses private addresses, connects to just what was checked."""

    def __init__(self, resolve: Resolve, *, allow_private: bool) -> None:
        self._resolve = resolve
        self._allow_private = allow_private
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the signature of the base class
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """See `httpcore.AsyncNetworkBackend`."""
        failure: httpcore.NetworkError | httpcore.TimeoutException | None = None
        for address in await self._checked(host, port):
            try:
                return await self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError("the host has no address")

    async def _checked(self, host: str, port: int) -> list[str]:
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("the host has no address") from error
        # One private answer among public ones is reason enough: who controls the name chose it.
        if not self._allow_private and not all(map(_allowed, addresses)):
            raise FetchRefusedError(
                "The URL leads to an address that is not public; LOOKALIKE_URL_ALLOW_PRIVATE "
                "would allow it."
            )
        return addresses


def _allowed(address: str) -> bool:
    try:
        return is_public(ipaddress.ip_address(address))
    except ValueError:
        return False


def _headers(url: httpx.URL) -> list[tuple[bytes | str, bytes | str]]:
    return [("Host", url.netloc), *_HEADERS]


def _header(response: httpcore.Response, name: bytes) -> str | None:
    for key, value in response.headers:
        if key.lower() == name:
            return value.decode("latin-1")
    return None


async def _stream(response: httpcore.Response) -> AsyncIterator[bytes]:
    async for part in response.aiter_stream():
        yield part
