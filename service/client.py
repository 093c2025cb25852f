"""A typed client of the service over HTTP."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self

import httpx

from core.errors import LookalikeError
from service.schemas.health import HealthAnswer, StatsAnswer
from service.schemas.items import ItemList
from service.schemas.runs import FolderStatusAnswer, PreprocessAnswer, RunAnswer, RunList
from service.schemas.search import FindSimilarAnswer

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import TypeVar

    from pydantic import BaseModel

    T = TypeVar("T", bound=BaseModel)

_POLL_S: Final = 0.2


class ServiceUnreachableError(LookalikeError):
    """No service answers at the address."""

    code = "service_unreachable"


class RefusedError(LookalikeError):
    """The service answered with a problem."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(problem.get("detail") or problem.get("title"))
        self.status = status
        self.problem_code: str = problem.get("code", "unknown")
        self.run_id: int | None = problem.get("run_id")


class LookalikeClient:
    """Asks one service; use it as a context manager or `close` it."""

    def __init__(self, url: str, timeout_s: float = 30.0) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def wait_until_ready(self, seconds: float) -> None:
        """Wait until the service takes requests, at most so long; whether it does shows then."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                self._send("GET", "/health/ready")
            except (ServiceUnreachableError, RefusedError):
                time.sleep(min(_POLL_S, max(0.0, deadline - time.monotonic())))
            else:
                return

    def find_similar(
        self, image: Path | bytes, top_k: int = 10, threshold: float | None = None
    ) -> FindSimilarAnswer:
        """Find the photos that look like a picture."""
        name, content = (
            ("upload", image) if isinstance(image, bytes) else (image.name, image.read_bytes())
        )
        asked: dict[str, Any] = {"top_k": top_k}
        if threshold is not None:
            asked["threshold"] = threshold
        return self._ask(
            FindSimilarAnswer,
            "POST",
            "/api/v1/find-similar",
            params=asked,
            files={"file": (name, content)},
        )

    def preprocess(
        self,
        *,
        force_full: bool = False,
        verify: bool = False,
        allow_mass_removal: bool = False,
        batch_size: int | None = None,
    ) -> PreprocessAnswer:
        """Bring the catalogue in step with the folder and wait for it, however long it takes."""
        return self._ask(
            PreprocessAnswer,
            "POST",
            "/api/v1/preprocess",
            params=_given(
                force_full=force_full,
                verify=verify,
                allow_mass_removal=allow_mass_removal,
                batch_size=batch_size,
            ),
            timeout=None,
        )

    def queue_run(
        self,
        *,
        force_full: bool = False,
        verify: bool = False,
        allow_mass_removal: bool = False,
        batch_size: int | None = None,
    ) -> RunAnswer:
        """Ask for a run and do not wait for it."""
        asked = _given(
            force_full=force_full,
            verify=verify,
            allow_mass_removal=allow_mass_removal,
            batch_size=batch_size,
        )
        return self._ask(RunAnswer, "POST", "/api/v1/preprocess", params={**asked, "wait": False})

    def folder_status(self) -> FolderStatusAnswer:
        """How the folder and the catalogue differ."""
        return self._ask(FolderStatusAnswer, "GET", "/api/v1/preprocess/status")

    def health(self) -> HealthAnswer:
        """Whether the service works."""
        return self._ask(HealthAnswer, "GET", "/health")

    def stats(self) -> StatsAnswer:
        """How much there is of everything."""
        return self._ask(StatsAnswer, "GET", "/stats")

    def run(self, run_id: int) -> RunAnswer:
        """One run."""
        return self._ask(RunAnswer, "GET", f"/api/v1/runs/{run_id}")

    def runs(self, limit: int = 100) -> RunList:
        """The newest runs."""
        return self._ask(RunList, "GET", "/api/v1/runs", params={"limit": limit})

    def cancel_run(self, run_id: int) -> RunAnswer:
        """Ask a run to stop."""
        return self._ask(RunAnswer, "POST", f"/api/v1/runs/{run_id}/cancel")

    def items(self, state: str | None = None, limit: int = 100, offset: int = 0) -> ItemList:
        """Photos in the order of their paths."""
        asked = _given(state=state, limit=limit, offset=offset)
        return self._ask(ItemList, "GET", "/api/v1/items", params=asked)

    def image(self, image_url: str, size: int | None = None) -> bytes:
        """The picture behind a match's `image_url`."""
        return self._send("GET", image_url, params=_given(size=size)).content

    def _ask(self, kind: type[T], method: str, path: str, **options: Any) -> T:  # noqa: ANN401
        return kind.model_validate_json(self._send(method, path, **options).content)

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401
        try:
            response = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise ServiceUnreachableError(
                f"No service answers at {self.url}: {error}. Start one with `lookalike serve`, or "
                "name another with --url."
            ) from error
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            raise RefusedError(response.status_code, _problem(response))
        return response


def _given(**values: object) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        body = None
    if isinstance(body, dict):
        return body
    return {"detail": f"{response.request.url} answered {response.status_code}."}
