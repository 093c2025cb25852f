"""Joining a Ray cluster, with its token, and leaving it."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
import threading
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from core.errors import ClusterError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.settings import Settings

_KNOCK_S: Final = 10.0
LOCAL: Final = "local"
_TOKENS: Final = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


@contextmanager
def joined(settings: Settings) -> Iterator[Any]:
    """Be part of the cluster that LOOKALIKE_RAY_ADDRESS names, with Ray's module in hand.

    Tokens are asked for unless RAY_AUTH_MODE says otherwise: whoever reaches a cluster without
    them may run anything on it.

    Raises:
        SettingsError: Ray is not installed.
        ClusterError: the cluster cannot be joined.
    """
    address = settings.ray_address
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    if address == LOCAL and not any(name in os.environ for name in _TOKENS):
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)  # nobody else is to come in
    try:
        ray = import_module("ray")  # only where runs are fanned out
    except ImportError as error:
        raise SettingsError(
            f"LOOKALIKE_RAY_ADDRESS={address} wants Ray: pip install -r requirements-ray.txt."
        ) from error
    if ray.is_initialized():  # whoever did that leaves it, too
        yield ray
        return
    _knock(address)
    with _own_signals():
        try:
            ray.init(
                address=address,
                namespace="lookalike",
                logging_level="ERROR",
                log_to_driver=False,
                **({"include_dashboard": False} if address == LOCAL else {}),
            )
        except (ray.exceptions.RayError, OSError, RuntimeError, ValueError) as error:
            raise ClusterError(
                f"The Ray cluster {address} (LOOKALIKE_RAY_ADDRESS) cannot be joined: "
                f"{_first_line(error)} It wants a token that RAY_AUTH_TOKEN or "
                "RAY_AUTH_TOKEN_PATH gives, the same on every node."
            ) from error
    # Ray tells of lost machines on stdout, at the latest as it ends; scripts read the run there.
    with redirect_stdout(sys.stderr):
        try:
            yield ray
        finally:
            ray.shutdown()


def _knock(address: str) -> None:
    """See whether anybody is there at all: Ray would wait for minutes.

    Raises:
        ClusterError: nobody listens.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=_KNOCK_S).close()
    except OSError as error:
        raise ClusterError(
            f"Nobody answers at LOOKALIKE_RAY_ADDRESS={address}: {error.strerror or error}."
        ) from error


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep what SIGTERM means here: Ray would have it end the process in the middle of a run."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, kept)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{lines[0].rstrip('.')}." if lines else f"{type(error).__name__}."
