"""Runs the service: bind, load, serve, and leave in order when told to."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
import sys
from typing import TYPE_CHECKING, Final

import uvicorn

from core.errors import SettingsError
from core.source.local import LocalFolder
from core.source.opening import open_source
from service.app import create_app
from service.guard.key_ring import KeyRing
from service.guard.protocol import ConnectionLimits, protocol_of
from service.memory import freed_memory_kept
from service.query_node import check_can_supervise
from service.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from core.settings import Settings
    from service.guard.guard import Doors

_GRACE_S: Final = 4  # for requests under way; with the daemon's own end it stays below 15 s
_BACKLOG: Final = 1024
_UNGUARDED: Final = (
    "LOOKALIKE_HOST={host} lets other machines in, and there are no keys. Set LOOKALIKE_API_KEYS "
    "or LOOKALIKE_KEYS_FILE, or LOOKALIKE_ALLOW_ANONYMOUS=true to answer anybody."
)


def serve(settings: Settings, announce: Callable[[str], None], *, ingest: bool) -> None:
    """Serve until told to stop; `announce` is given the URL once requests are answered.

    Raises:
        SettingsError: the address cannot be had, the image folder is missing, or no library at
            hand speaks the protocol of LOOKALIKE_IMAGE_DIR.
        ModelError: the model cannot be loaded.
        StoreError: the store cannot be used.
    """
    signal.signal(signal.SIGTERM, _leave)
    source = open_source(settings)
    if ingest and isinstance(source, LocalFolder) and not source.root.is_dir():
        raise SettingsError(
            f"LOOKALIKE_IMAGE_DIR={settings.image_dir} is not a folder. Create it, name another, "
            "or serve without ingesting (--no-ingest)."
        )
    if ingest:
        check_can_supervise(settings)
    open_to_all = settings.allow_anonymous or KeyRing(settings).required
    listener = bind(settings.host, settings.port, only_loopback=not open_to_all)
    try:
        supervisor = Supervisor() if ingest else None
        app = create_app(settings, supervisor)
        # Loading before the server starts turns what fails into a sentence, not a server's trace.
        app.state.collaborators.load()
        url = url_of(listener)
        server = _Server(
            _config(app, settings),
            lambda: announce(url),
            supervisor,
            app.state.guard.doors,
            settings.shutdown_delay_s,
        )
        with freed_memory_kept():
            server.run([listener])
    finally:
        listener.close()


def _config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=protocol_of(ConnectionLimits.from_settings(settings)),
        ws="none",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_GRACE_S,
        server_header=False,
        forwarded_allow_ips=list(settings.trusted_proxies),
    )


def bind(host: str, port: int, *, only_loopback: bool = False) -> socket.socket:
    """Take the address; connections are accepted once the server listens.

    Raises:
        SettingsError: it cannot be had, or other machines could reach it and must not.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        if only_loopback and not ipaddress.ip_address(str(address[0])).is_loopback:
            raise SettingsError(_UNGUARDED.format(host=host))
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            # Two programs may share an address that nobody listens on yet; this claims it.
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise SettingsError(
            f"The service cannot listen on {host}:{port}: {error.strerror or error}. Choose "
            "another LOOKALIKE_HOST or LOOKALIKE_PORT (0: any free port)."
        ) from error
    return listener


def url_of(listener: socket.socket) -> str:
    """Where a person on this machine reaches the service."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # compared only
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """uvicorn, which says where it is and lets the ingest daemon go at once on its way down."""

    def __init__(
        self,
        config: uvicorn.Config,
        started: Callable[[], None],
        supervisor: Supervisor | None,
        doors: Doors,
        delay_s: float,
    ) -> None:
        super().__init__(config)
        self._started = started
        self._supervisor = supervisor
        self._doors = doors
        self._delay_s = delay_s

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._doors.closing = True
        if self._supervisor is not None:
            self._supervisor.ask_to_stop()
        # Balancers notice that the service is not ready some time after it has said so.
        await asyncio.sleep(self._delay_s)
        await super().shutdown(sockets)


def _leave(_signal: int, _frame: object) -> None:
    """Leave quietly; while uvicorn serves it handles the signals itself and ends here."""
    sys.exit(0)
