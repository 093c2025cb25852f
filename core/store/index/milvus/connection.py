"""The connection to Milvus: a deadline for every call, and one error for whatever goes wrong.

pymilvus retries what may be retried (a lost connection, a limit on rates) until the deadline of
the call, and connects again by itself once the server is back.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from core.errors import IndexUnavailableError, SettingsError
from core.store.index.address import is_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymilvus import MilvusClient

    from core.settings import Settings

_NOT_LOADED: Final = 101  # code of a collection that was released, as all are after a restart
_NOT_FOUND: Final = (4, 100)  # codes of a collection or an alias that does not exist

STRONG: Final = "Strong"  # sees every write that was acknowledged: for comparing
BOUNDED: Final = "Bounded"  # may be a few seconds behind, and waits for nothing: for searching


@dataclass(frozen=True)
class MilvusAddress:
    """Where Milvus is and how to speak to it."""

    uri: str
    token: str = ""
    certificate: str = ""  # of the server or its authority, PEM; empty: those the system trusts
    timeout_s: float = 5.0

    @classmethod
    def from_settings(cls, settings: Settings) -> MilvusAddress:
        """What the settings say."""
        token = settings.milvus_token.get_secret_value() if settings.milvus_token else ""
        certificate = str(settings.milvus_certificate or "")
        return cls(settings.milvus_uri, token, certificate, settings.milvus_timeout_s)

    @property
    def is_file(self) -> bool:
        """Whether it is an embedded file, which one process at a time can open."""
        return is_file(self.uri)


class MilvusConnection:
    """Calls of one Milvus, safe to share between threads."""

    def __init__(self, address: MilvusAddress) -> None:
        self.address = address
        self._client: MilvusClient | None = None
        self._parameters = False
        self._lock = threading.Lock()

    @property
    def takes_parameters(self) -> bool:
        """Whether expressions may have parameters; Milvus Lite parses none.

        Raises:
            IndexUnavailableError: it cannot be asked.
        """
        self._open()
        return self._parameters

    def call(
        self, method: str, *arguments: Any, timeout_s: float | None = None, **more: Any
    ) -> Any:
        """Call a method of `MilvusClient` by its name, within the deadline.

        Raises:
            IndexUnavailableError: Milvus is gone, too slow, or refuses.
            SettingsError: pymilvus is not installed.
        """
        more["timeout"] = timeout_s or self.address.timeout_s
        client = self._open()
        return self._guarded(method, lambda: getattr(client, method)(*arguments, **more))

    def call_loaded(self, method: str, collection: str, **more: Any) -> Any:
        """Call a method that reads a collection, and load it first where a restart released it."""
        try:
            return self.call(method, collection, **more)
        except IndexUnavailableError as error:
            if error.engine_code != _NOT_LOADED:
                raise
        self.call("load_collection", collection)
        return self.call(method, collection, **more)

    def read_next(self, iterator: Any) -> list[dict[str, Any]]:
        """The next rows of an iterator, which is closed; the deadline is that of its making."""

        def read() -> list[dict[str, Any]]:
            try:
                return [dict(row) for row in iterator.next()]
            finally:
                iterator.close()

        found: list[dict[str, Any]] = self._guarded("query_iterator", read)
        return found

    def describe(self, collection: str) -> dict[str, Any] | None:
        """What there is under a collection's name or an alias; None: nothing."""
        try:
            found: dict[str, Any] = self.call("describe_collection", collection)
        except IndexUnavailableError as error:
            if error.engine_code in _NOT_FOUND:
                return None
            raise
        return found

    def close(self) -> None:
        """Let go of the connection, and of the file if it is one."""
        with self._lock:
            client, self._client = self._client, None
            if client is not None:
                client.close()
            if client is not None and self.address.is_file:
                from milvus_lite.server_manager import server_manager_instance  # noqa: PLC0415

                server_manager_instance.release_server(self.address.uri)

    def _open(self) -> MilvusClient:
        with self._lock:
            if self._client is None:
                kind = _client_class()
                client = self._guarded("connect", lambda: kind(**self._arguments()))
                version = self._guarded(
                    "get_server_version",
                    lambda: client.get_server_version(timeout=self.address.timeout_s),
                )
                self._parameters = not str(version).startswith("milvus_lite")
                self._client = client
            return self._client

    def _arguments(self) -> dict[str, Any]:
        address = self.address
        found: dict[str, Any] = {"uri": address.uri, "timeout": address.timeout_s}
        if address.is_file:
            Path(address.uri).parent.mkdir(parents=True, exist_ok=True)
        if address.token:
            found["token"] = address.token
        if address.certificate:
            found |= {"server_pem_path": address.certificate, "secure": True}
        return found

    def _guarded(self, what: str, work: Callable[[], Any]) -> Any:
        import grpc  # noqa: PLC0415  # comes with pymilvus
        from pymilvus.exceptions import MilvusException  # noqa: PLC0415

        try:
            return work()
        except MilvusException as error:
            code = error.code if isinstance(error.code, int) else 0
            raise self._unavailable(what, str(error.message), code) from error
        except grpc.RpcError as error:
            raise self._unavailable(what, f"{error.code().name}: {error.details()}") from error
        except (grpc.FutureTimeoutError, OSError, ValueError) as error:
            # ValueError: a call on a channel that another thread is opening anew.
            raise self._unavailable(what, str(error) or type(error).__name__) from error

    def _unavailable(self, what: str, why: str, code: int = 0) -> IndexUnavailableError:
        hint = (
            " A file can be opened by one process at a time; for several, run `milvus-lite server` "
            "and name its address."
            if self.address.is_file
            else ""
        )
        found = IndexUnavailableError(
            f"Milvus at LOOKALIKE_MILVUS_URI={self.address.uri} did not answer {what} within "
            f"{self.address.timeout_s:g} s (LOOKALIKE_MILVUS_TIMEOUT_S): {_first_line(why)}.{hint}"
        )
        found.engine_code = code
        return found


def _client_class() -> type[MilvusClient]:
    try:
        from pymilvus import MilvusClient  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(
            f"LOOKALIKE_INDEX=milvus takes the packages of requirements-milvus.txt: {error}."
        ) from error
    # Every failed call would be logged with its trace; what is raised says the same in a sentence.
    # The package sets its own level when it is imported.
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    return cast("type[MilvusClient]", MilvusClient)


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0].rstrip(".") if lines else "no reason given"
