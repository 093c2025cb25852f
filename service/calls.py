"""Every route as a call: what to send, and what the answer is read as.

The synchronous and the asynchronous client send the same calls.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypedDict, TypeVar

import httpx

from core.records import printable
from service.schemas.compare import CompareAnswer, PingAnswer
from service.schemas.describe import DescribeAnswer
from service.schemas.embeddings import EmbeddingsAnswer
from service.schemas.health import HealthAnswer, LiveAnswer, ReadyAnswer, StatsAnswer
from service.schemas.items import ItemList
from service.schemas.pairs import PairsAnswer
from service.schemas.runs import FolderStatusAnswer, PreprocessAnswer, RunAnswer, RunList
from service.schemas.search import BatchAnswer, FindSimilarAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Unpack

    from pydantic import BaseModel

T = TypeVar("T")
M = TypeVar("M", bound="BaseModel")

Picture: TypeAlias = "Path | str | bytes"
"""A file's path, or the bytes of an encoded picture."""

Filter: TypeAlias = "Mapping[str, str | Sequence[str]]"
"""Attribute key -> value or values: any of a key's values, and so for every key."""

_V1: Final = "/api/v1"
_PATIENT: Final = {"timeout": None}


class Wanted(TypedDict, total=False):
    """What else may be asked of a search."""

    filters: Filter | None
    group_by: str | None  # product: one match for each, its best photo
    facets: bool  # count the attribute values of all matches


class WantedOfPicture(Wanted, total=False):
    """What else may be asked of a search by a picture."""

    crop: Sequence[float] | None  # x0, y0, x1, y1 as shares of width and height
    describe: bool  # also say what the picture shows


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request and how its answer is read."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    options: Mapping[str, Any] = field(default_factory=dict)  # as httpx takes them


def find_similar(
    image: Picture,
    top_k: int = 10,
    threshold: float | None = None,
    **wanted: Unpack[WantedOfPicture],
) -> Call[FindSimilarAnswer]:
    """Find the photos that look like a picture."""
    params = _asked_of_picture(top_k, threshold, wanted)
    return _post(FindSimilarAnswer, "/find-similar", params=params, files={"file": _file(image)})


def find_similar_batch(
    images: Sequence[Picture],
    top_k: int = 10,
    threshold: float | None = None,
    **wanted: Unpack[WantedOfPicture],
) -> Call[BatchAnswer]:
    """Find what looks like each of several pictures; one that cannot be used fails alone."""
    params = _asked_of_picture(top_k, threshold, wanted)
    return _post(BatchAnswer, "/find-similar/batch", params=params, files=_files(images))


def search_text(
    text: str,
    top_k: int = 10,
    threshold: float | None = None,
    **wanted: Unpack[Wanted],
) -> Call[FindSimilarAnswer]:
    """Find the photos that show what a text says."""
    params = {"text": text, **_asked(top_k, threshold, wanted)}
    return _get(FindSimilarAnswer, f"{_V1}/search", params=params)


def search(
    text: str | None = None,
    images: Sequence[str | Mapping[str, Any]] = (),
    negatives: Sequence[str | Mapping[str, Any]] = (),
    top_k: int = 10,
    threshold: float | None = None,
    text_weight: float = 1.0,
    *,
    exclude: bool = False,
    **wanted: Unpack[Wanted],
) -> Call[FindSimilarAnswer]:
    """Find what looks like a text, pictures and items together, and unlike the negatives.

    A picture is a mapping of `image` (base64, data URI or URL), `path` (an item's) or `text`, with
    `weight` and `crop` where wanted; a plain string stands for `image`.
    """
    asked = _asked(top_k, threshold, wanted)
    body = {"images": list(images), "negatives": list(negatives), "text_weight": text_weight}
    body |= {**asked, **_given(text=text, exclude=exclude)}
    return _post(FindSimilarAnswer, "/search", json=body)


def embeddings(images: Sequence[Picture], top: int = 5) -> Call[EmbeddingsAnswer]:
    """Give vector and likeliest classes of several pictures."""
    return _post(EmbeddingsAnswer, "/embeddings", params={"top": top}, files=_files(images))


def describe(image: Picture, crop: Sequence[float] | None = None) -> Call[DescribeAnswer]:
    """Say what a picture shows."""
    params = _given(crop=_crop(crop))
    return _post(DescribeAnswer, "/describe", params=params, files={"file": _file(image)})


def compare(first: Picture, second: Picture) -> Call[CompareAnswer]:
    """Score how alike two pictures are, and draw where they differ."""
    files = {"file1": _file(first), "file2": _file(second)}
    return Call("POST", "/compute", _reader(CompareAnswer), {"files": files})


def score_pairs(pairs: Sequence[Mapping[str, str]]) -> Call[PairsAnswer]:
    """Score pairs, each of `reference_image`, `generated_image` and perhaps `pair_id`."""
    body = {"pairs": [dict(pair) for pair in pairs]}
    return Call("POST", "/similarity", _reader(PairsAnswer), {"json": body, **_PATIENT})


def preprocess(
    *,
    force_full: bool = False,
    verify: bool = False,
    allow_mass_removal: bool = False,
    batch_size: int | None = None,
) -> Call[PreprocessAnswer]:
    """Bring the catalogue in step with the folder and wait for it, however long it takes."""
    params = _run_params(force_full, verify, allow_mass_removal, batch_size)
    return _post(PreprocessAnswer, "/preprocess", params=params, **_PATIENT)


def queue_run(
    *,
    force_full: bool = False,
    verify: bool = False,
    allow_mass_removal: bool = False,
    batch_size: int | None = None,
) -> Call[RunAnswer]:
    """Ask for a run and do not wait for it."""
    params = _run_params(force_full, verify, allow_mass_removal, batch_size)
    return _post(RunAnswer, "/preprocess", params={**params, "wait": False})


def folder_status() -> Call[FolderStatusAnswer]:
    """How the folder and the catalogue differ."""
    return _get(FolderStatusAnswer, f"{_V1}/preprocess/status")


def run(run_id: int) -> Call[RunAnswer]:
    """One run."""
    return _get(RunAnswer, f"{_V1}/runs/{run_id}")


def runs(limit: int = 100, offset: int = 0, state: str | None = None) -> Call[RunList]:
    """The newest runs."""
    return _get(RunList, f"{_V1}/runs", params=_given(limit=limit, offset=offset, state=state))


def cancel_run(run_id: int) -> Call[RunAnswer]:
    """Ask a run to stop."""
    return _post(RunAnswer, f"/runs/{run_id}/cancel")


def items(state: str | None = None, limit: int = 100, offset: int = 0) -> Call[ItemList]:
    """Photos in the order of their paths."""
    return _get(ItemList, f"{_V1}/items", params=_given(state=state, limit=limit, offset=offset))


def retry_items(paths: Sequence[str] | None = None) -> Call[RunAnswer]:
    """Try failed photos again, all or some, by a run that is not waited for."""
    return _post(RunAnswer, "/items/retry", json=_given(paths=paths and list(paths)))


def image(image_url: str, size: int | None = None) -> Call[bytes]:
    """The picture behind a match's `image_url`."""
    # A URL that has a query of its own, as that of a video's moment, keeps it.
    url = httpx.URL(image_url)
    url = url if size is None else url.copy_merge_params({"size": size})
    return Call("GET", str(url), lambda response: response.content)


def ping() -> Call[PingAnswer]:
    """Whether somebody answers."""
    return _get(PingAnswer, "/ping")


def health() -> Call[HealthAnswer]:
    """Whether the service works."""
    return _get(HealthAnswer, "/health")


def live() -> Call[LiveAnswer]:
    """Whether the process answers at all."""
    return _get(LiveAnswer, "/health/live")


def ready() -> Call[ReadyAnswer]:
    """Whether requests may be sent."""
    return _get(ReadyAnswer, "/health/ready")


def stats() -> Call[StatsAnswer]:
    """How much there is of everything."""
    return _get(StatsAnswer, "/stats")


def _reader(kind: type[M]) -> Callable[[httpx.Response], M]:
    return lambda response: kind.model_validate_json(response.content)


def _get(kind: type[M], path: str, **options: Any) -> Call[M]:  # noqa: ANN401
    return Call("GET", path, _reader(kind), options)


def _post(kind: type[M], path: str, **options: Any) -> Call[M]:  # noqa: ANN401
    return Call("POST", _V1 + path, _reader(kind), options)


def _asked(top_k: int, threshold: float | None, wanted: Wanted) -> dict[str, Any]:
    texts = [
        f"{key}:{value}"
        for key, values in (wanted.get("filters") or {}).items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    return _given(
        top_k=top_k,
        threshold=threshold,
        filter=texts or None,
        group_by=wanted.get("group_by"),
        facets=wanted.get("facets"),
    )


def _asked_of_picture(
    top_k: int, threshold: float | None, wanted: WantedOfPicture
) -> dict[str, Any]:
    own = _given(crop=_crop(wanted.get("crop")), describe=wanted.get("describe"))
    return {**_asked(top_k, threshold, wanted), **own}


def _run_params(
    force_full: bool,  # named by every caller
    verify: bool,
    allow_mass_removal: bool,
    batch_size: int | None,
) -> dict[str, Any]:
    return _given(
        force_full=force_full,
        verify=verify,
        allow_mass_removal=allow_mass_removal,
        batch_size=batch_size,
    )


def _file(picture: Picture) -> tuple[str, bytes]:
    if isinstance(picture, bytes):
        return "upload", picture
    path = Path(picture)
    return printable(path.name), path.read_bytes()


def _files(pictures: Sequence[Picture]) -> list[tuple[str, tuple[str, bytes]]]:
    return [("files", _file(picture)) for picture in pictures]


def _crop(crop: Sequence[float] | None) -> str | None:
    return None if crop is None else ",".join(map(str, crop))


def _given(**values: object) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
