"""Which web pages may make a browser send what.

A browser sends requests for any page it shows, cookies included, and reaches services that listen
on this machine alone. So a request that changes something must not come from a stranger's page,
and where no key is asked for, a stranger's name must not lead here (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.datastructures import Headers

SAFE_METHODS: Final = frozenset(("GET", "HEAD", "OPTIONS"))
_OWN_FETCHES: Final = ("same-origin", "none")
_LONGEST_HOST: Final = 260


def origins_pattern(origins: Sequence[str]) -> str:
    """A regular expression of the origins; `*` is any origin, inside one any name or port."""
    if "*" in origins:
        return r".*"
    if not origins:
        return r"(?!)"  # matches nothing
    return "|".join(re.escape(origin).replace(r"\*", r"[^/?#@]*") for origin in origins)


def from_own_page(headers: Headers) -> bool:
    """Whether a browser says that a page of this very service asks."""
    origin = headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc == headers.get("host") != ""
    return headers.get("sec-fetch-site") in _OWN_FETCHES


def from_a_strangers_page(headers: Headers, allowed: re.Pattern[str]) -> bool:
    """Whether a page asks that is neither of this service nor of an allowed origin.

    Programs other than browsers send none of these headers, and no page can hold them back.
    """
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "none") not in _OWN_FETCHES
    return not (allowed.fullmatch(origin) or from_own_page(headers))


class HostCheck:
    """Tells a Host header that may lead here from one that a stranger may own.

    An address, a name without a dot and a name of this machine belong to no stranger; other names
    must be told.
    """

    def __init__(self, known: Sequence[str]) -> None:
        self._known = tuple(host.lower() for host in known)

    def trusts(self, header: str) -> bool:
        """Whether a request for this host is meant for us."""
        if not header or len(header) > _LONGEST_HOST:
            return not header  # HTTP/1.0 clients send none, browsers always do
        host = _without_port(header.lower())
        if any(fnmatchcase(host, pattern) for pattern in self._known):
            return True
        try:
            ipaddress.ip_address(host)
        except ValueError:
            name = host.rstrip(".")
            return "." not in name or name.endswith(".localhost")
        return True


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host
