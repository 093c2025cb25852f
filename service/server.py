"""Runs the service: bind, load, serve, and leave in order when told to."""

from __future__ import annotations

import signal
import socket
import sys
from typing import TYPE_CHECKING, Final

import uvicorn

from core.errors import SettingsError
from service.app import create_app
from service.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.settings import Settings

_GRACE_S: Final = 4  # for requests under way; with the daemon's own end it stays below 15 s
_BACKLOG: Final = 1024


def serve(settings: Settings, announce: Callable[[str], None], *, ingest: bool) -> None:
    """Serve until told to stop; `announce` is given the URL once requests are answered.

    Raises:
        SettingsError: the address cannot be had, or the image folder is missing.
        ModelError: the model cannot be loaded.
        StoreError: the store cannot be used.
    """
    signal.signal(signal.SIGTERM, _leave)
    if ingest and not settings.image_dir.is_dir():
        raise SettingsError(
            f"LOOKALIKE_IMAGE_DIR={settings.image_dir} is not a folder. Create it, name another, "
            "or serve without ingesting (--no-ingest)."
        )
    listener = bind(settings.host, settings.port)
    try:
        supervisor = Supervisor() if ingest else None
        app = create_app(settings, supervisor)
        # Loading before the server starts turns what fails into a sentence, not a server's trace.
        app.state.collaborators.load()
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=_GRACE_S,
            server_header=False,
        )
        url = url_of(listener)
        _Server(config, lambda: announce(url), supervisor).run([listener])
    finally:
        listener.close()


def bind(host: str, port: int) -> socket.socket:
    """Take the address; connections are accepted once the server listens.

    Raises:
        SettingsError: it cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
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
        self, config: uvicorn.Config, started: Callable[[], None], supervisor: Supervisor | None
    ) -> None:
        super().__init__(config)
        self._started = started
        self._supervisor = supervisor

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._supervisor is not None:
            self._supervisor.ask_to_stop()
        await super().shutdown(sockets)


def _leave(_signal: int, _frame: object) -> None:
    """Leave quietly; while uvicorn serves it handles the signals itself and ends here."""
    sys.exit(0)
