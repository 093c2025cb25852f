"""Every error as an RFC 9457 problem document, and the one table from error to status."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from core import errors as domain
from service import errors
from service.names import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI
    from starlette.requests import Request

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"

STATUSES: Final[Mapping[type[domain.LookalikeError], int]] = {
    domain.LookalikeError: 500,
    domain.SettingsError: 503,
    domain.ModelError: 503,
    domain.NoTextTowerError: 501,
    domain.ImageError: 415,
    domain.ImageTooLargeError: 413,
    domain.DecodeTimeoutError: 422,
    domain.DecoderCrashedError: 422,
    domain.UnusableVectorError: 422,
    domain.StoreError: 503,
    domain.SourceError: 503,
    domain.ClusterError: 503,
    domain.BusyError: 409,
    domain.MassRemovalError: 409,
    domain.RunCancelledError: 409,
    errors.NotReadyError: 503,
    errors.NeedsCoordinatorError: 421,
    errors.CoordinatorGoneError: 503,
    errors.NeedsLocalVectorsError: 501,
    errors.NoIngestDaemonError: 503,
    errors.UnknownRunError: 404,
    errors.RunOverError: 409,
    errors.NothingToRetryError: 404,
    errors.PictureNotFoundError: 404,
    errors.MalformedFilterError: 422,
    errors.UnknownFilterKeyError: 422,
    errors.EmptyQueryError: 422,
    errors.ClientGoneError: 499,
    errors.InvalidBase64Error: 422,
    errors.UnsupportedDataUriError: 422,
    errors.FetchError: 422,
}
"""Status of each class; a class without an entry has that of its nearest ancestor."""

_RUN_STATUSES: Final[Mapping[str, int]] = {
    "run_cancelled": 409,
    "run_interrupted": 503,
    "io_error": 503,  # the disk, most likely full
}


def status_of(kind: type[domain.LookalikeError]) -> int:
    """The status of an error class."""
    return next(STATUSES[ancestor] for ancestor in kind.__mro__ if ancestor in STATUSES)


def status_of_code(code: str) -> int:
    """The status of an error known by its code alone, as a run's row keeps it."""
    known = {kind.code: status_of(kind) for kind in _family(domain.LookalikeError)}
    return _RUN_STATUSES.get(code, known.get(code, 500))


def problem(
    status: int,
    code: str,
    title: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    **more: object,
) -> JSONResponse:
    """A problem document; `more` holds the fields that only this kind of problem has."""
    body = {
        "type": f"urn:lookalike:problem:{code}",
        "title": title,
        "status": status,
        "detail": shown(detail),
        "code": code,
        **more,
    }
    return JSONResponse(body, status, headers, MEDIA_TYPE)


def problem_of(error: domain.LookalikeError) -> JSONResponse:
    """The problem document of one of our own errors."""
    code, status = error.code, status_of(type(error))
    if isinstance(error, errors.RunUnsuccessfulError):
        code, status = error.run_code, status_of_code(error.run_code)
    more: dict[str, object] = {}
    headers: dict[str, str] = {}
    run_id = getattr(error, "run_id", None)  # errors that speak of a run name it
    if run_id is not None:
        more["run_id"] = run_id
        headers["Location"] = f"/api/v1/runs/{run_id}"
    if isinstance(error, errors.NotReadyError):
        more["problems"] = [shown(text) for text in error.problems]
    return problem(status, code, title_of(type(error)), str(error), headers, **more)


def title_of(kind: type[Exception]) -> str:
    """What a class of errors is about: the first line of its docstring."""
    return (kind.__doc__ or kind.__name__).splitlines()[0].rstrip(".")


def unexpected() -> JSONResponse:
    """The answer to an error of ours; what happened is in the log, not in the answer."""
    return problem(
        500, "internal_error", "Something went wrong inside the service", "The log says what."
    )


def install(app: FastAPI) -> None:
    """Have every error of `app` answered by a problem document."""
    app.add_exception_handler(domain.LookalikeError, _answer_own)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(ClientDisconnect, _answer_nobody)


async def _answer_own(request: Request, error: Exception) -> JSONResponse:
    answer = problem_of(cast("domain.LookalikeError", error))
    if answer.status_code >= 500:
        log.warning(
            "A request could not be answered: %s", error, extra={"path": shown(request.url.path)}
        )
    return answer


async def _answer_nobody(_request: Request, _error: Exception) -> JSONResponse:
    return problem_of(errors.ClientGoneError())


async def _answer_http(request: Request, error: Exception) -> JSONResponse:
    error = cast("HTTPException", error)
    status = HTTPStatus(error.status_code)
    detail = str(error.detail)
    if detail == status.phrase:
        detail = f"{request.method} {request.url.path}: {status.description or status.phrase}."
    return problem(status, status.name.lower(), status.phrase, detail, error.headers)


async def _answer_invalid(_request: Request, error: Exception) -> JSONResponse:
    found = [_described(entry) for entry in cast("RequestValidationError", error).errors()]
    detail = "; ".join(f"{entry['where']} {entry['field']}: {entry['message']}" for entry in found)
    return problem(
        422, "invalid_request", "The request does not fit the interface", detail, errors=found
    )


def _described(entry: Mapping[str, Any]) -> dict[str, str]:
    where, *field = (str(part) for part in entry["loc"])
    return {"where": where, "field": shown(".".join(field)), "message": shown(entry["msg"])}


def _family(kind: type[domain.LookalikeError]) -> list[type[domain.LookalikeError]]:
    return [kind] + [one for child in kind.__subclasses__() for one in _family(child)]
