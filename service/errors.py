"""What can go wrong in answering a request, beside the errors of the domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import LookalikeError, ModelError
from core.records import RunState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.records import Run


class NotReadyError(LookalikeError):
    """The service cannot answer yet, or its store is damaged."""

    code = "not_ready"

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


class NeedsCoordinatorError(LookalikeError):
    """This node has no store, and the coordinator, which has it, is not known here."""

    code = "needs_coordinator"

    def __init__(self) -> None:
        super().__init__(
            "This is a query node: it answers searches from Milvus and has no store. Ask the "
            "coordinator, or set LOOKALIKE_COORDINATOR_URL here to have it asked."
        )


class CoordinatorGoneError(LookalikeError):
    """The coordinator does not answer."""

    code = "coordinator_unavailable"


class NeedsLocalVectorsError(LookalikeError):
    """This takes the store's vectors in memory, which a service over Milvus does not hold."""

    code = "needs_local_vectors"

    def __init__(self) -> None:
        super().__init__(
            "Near-duplicates are found in memory. Set LOOKALIKE_MILVUS_FALLBACK=faiss on the "
            "coordinator, which then holds the vectors too, or ask a service with "
            "LOOKALIKE_INDEX=faiss over the same store."
        )


class NoIngestDaemonError(LookalikeError):
    """Nothing is there to do the run."""

    code = "no_ingest_daemon"


class UnknownRunError(LookalikeError):
    """There is no such run."""

    code = "unknown_run"

    def __init__(self, run_id: int) -> None:
        super().__init__(f"There is no run {run_id}; /api/v1/runs lists them.")


class RunOverError(LookalikeError):
    """The run has ended, so it cannot be stopped."""

    code = "run_over"

    def __init__(self, run: Run) -> None:
        super().__init__(f"Run {run.id} has ended already: {run.state}.")
        self.run_id = run.id


class RunUnsuccessfulError(LookalikeError):
    """The run that was waited for did not succeed."""

    code = "run_failed"

    def __init__(self, run: Run) -> None:
        super().__init__(run.message or f"Run {run.id} ended {run.state}.")
        self.run_id = run.id
        own = run.error_code if run.state is RunState.FAILED else None
        self.run_code = own or f"run_{run.state}"


class NothingToRetryError(LookalikeError):
    """None of the items asked for is in state failed."""

    code = "nothing_to_retry"


class PictureNotFoundError(LookalikeError):
    """The catalogue has no such picture."""

    code = "image_not_found"


class MalformedFilterError(LookalikeError):
    """A filter has no colon between key and value."""

    code = "malformed_filter"

    def __init__(self, text: str) -> None:
        super().__init__(
            f"filter: {text!r} has no colon; it must read key:value, for instance category:shoes."
        )


class UnknownFilterKeyError(LookalikeError):
    """No product has an attribute of this name."""

    code = "unknown_filter_key"

    def __init__(self, key: str, known: Sequence[str]) -> None:
        has = f"the catalogue has {', '.join(known)}" if known else "the catalogue has none"
        super().__init__(f"filter: no product has an attribute {key!r}; {has}.")


class EmptyQueryError(LookalikeError):
    """The query names nothing to look for, or its parts cancel out."""

    code = "empty_query"


class ClientGoneError(LookalikeError):
    """The client left before the answer."""

    code = "client_gone"


class InvalidBase64Error(LookalikeError):
    """The text is neither base64, nor a data URI, nor an http or https URL."""

    code = "invalid_base64"


class UnsupportedDataUriError(LookalikeError):
    """The data URI holds no picture in base64."""

    code = "unsupported_data_uri"


class FetchError(LookalikeError):
    """The URL gave no picture."""

    code = "fetch_failed"


class FetchRefusedError(FetchError):
    """The URL, or what it leads to, is not allowed."""

    code = "fetch_refused"


class FetchTooLargeError(FetchError):
    """The URL holds more bytes than are allowed."""

    code = "fetch_too_large"


def as_ours(error: Exception) -> LookalikeError:
    """What a model raised, as an error that a client may be told."""
    if isinstance(error, LookalikeError):
        return error
    return ModelError(f"The model failed on this picture: {type(error).__name__}.")
