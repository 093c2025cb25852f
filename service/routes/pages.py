"""The pages for people, and what only they ask for."""

import asyncio
import io
from dataclasses import dataclass
from importlib import resources
from typing import Annotated, Final

from fastapi import APIRouter, File, Request, UploadFile
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, StringConstraints

from core.errors import IndexUnavailableError, NotAnImageError
from core.vision.decode import MAGIC_BYTES, DecodeLimits, decode_image, looks_like_image
from service.charts import history_charts
from service.collaborators import Parts
from service.fetch import MOST_URL_CHARACTERS
from service.keeper import View
from service.names import image_url, shown
from service.openapi import version
from service.pictures import THUMBNAIL_TYPE, image_type
from service.routes.session import own_path
from service.web.render import REFERENCE_POLICY, STATIC, page

router = APIRouter(include_in_schema=False)

REFERENCE_ASSETS: Final = str(resources.files("fastapi_offline") / "static")
"""Swagger UI and ReDoc as their makers ship them."""

_STARTERS: Final = 12
_PREVIEW_SIDE: Final = 1200  # pixels
_KINDS: Final = ("indexed", "failed", "missing", "duplicates")
_CHARTED: Final = 60  # newest runs in the charts
_NAME_KEYS: Final = ("name", "title")


class RevalidatedFiles(StaticFiles):
    """Files that a browser asks after each time, so that an upgrade never mixes two versions."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        """See `StaticFiles.file_response`."""
        answer = super().file_response(*args, **kwargs)  # type: ignore[arg-type]  # passed on
        answer.headers["Cache-Control"] = "no-cache"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer


def static_files() -> dict[str, StaticFiles]:
    """What is served as files, by the path it is mounted at."""
    return {
        "/static/reference": RevalidatedFiles(directory=REFERENCE_ASSETS),
        "/static": RevalidatedFiles(directory=STATIC),
    }


@router.get("/")
def search_page(request: Request, parts: Parts) -> HTMLResponse:
    """Drop a picture, see what looks like it."""
    view = parts.keeper.view
    return page(
        "search.html",
        here=request.url.path,
        max_upload_bytes=parts.settings.max_upload_bytes,
        reads_text=view is not None and view.embedder.supports_text,
        model=view.embedder.spec if view else None,
        total=view.snapshot.item_count if view else 0,
        starters=starters(view) if view else [],
        problems=[shown(text) for text in parts.keeper.problems],
    )


@router.get("/compare")
def compare_page(request: Request, parts: Parts) -> HTMLResponse:
    """Compare two pictures, or many pairs."""
    scorer = parts.pair_model.embedder
    return page(
        "compare.html",
        here=request.url.path,
        max_upload_bytes=parts.settings.max_upload_bytes,
        max_pairs=parts.settings.max_pairs,
        max_body_bytes=parts.settings.max_pairs_body_bytes,
        model=scorer.spec if scorer else None,
    )


@router.get("/catalogue")
def catalogue_page(request: Request) -> HTMLResponse:
    """Browse the catalogue, mend what failed, find near-duplicates."""
    asked = request.query_params.get("state", "")
    chosen = asked if asked in _KINDS else "all"
    return page("catalogue.html", here=request.url.path, chosen=chosen)


@router.get("/operations")
def operations_page(request: Request) -> HTMLResponse:
    """How the service and its runs are doing, live."""
    return page("operations.html", here=request.url.path)


@router.get("/operations/charts")
def history(parts: Parts) -> HTMLResponse:
    """The history of runs, drawn; a part of the operations page."""
    runs, _ = parts.catalog.runs.latest(_CHARTED)
    ended = [run for run in reversed(runs) if run.state.finished and run.started_at]
    return page("charts.html", charts=history_charts(ended))


@router.get("/login")
def login_page(request: Request, *, failed: bool = False) -> HTMLResponse:
    """Sign in with a key."""
    after = own_path(request.query_params.get("next", "/"))
    return page("login.html", here=request.url.path, after=after, failed=failed)


@router.get("/docs")
def swagger_page(request: Request) -> HTMLResponse:
    """Try the API."""
    return page("swagger.html", REFERENCE_POLICY, here=request.url.path, version=version())


@router.get("/redoc")
def redoc_page(request: Request) -> HTMLResponse:
    """Read about the API."""
    return page("redoc.html", REFERENCE_POLICY, here=request.url.path, version=version())


class RemotePicture(BaseModel):
    """A picture on the web."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, StringConstraints(min_length=1, max_length=MOST_URL_CHARACTERS)]


@router.post("/remote-picture")
async def fetch_picture(parts: Parts, wanted: RemotePicture) -> Response:
    """Fetch a picture for the page, which itself may load nothing from elsewhere."""
    content = await parts.fetcher.fetch(wanted.url)
    head = content[:MAGIC_BYTES]
    if not looks_like_image(head):
        raise NotAnImageError("The address leads to something that is not a picture.")
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-store"}
    return Response(content, media_type=image_type(head), headers=headers)


@router.post("/preview")
async def preview(parts: Parts, file: Annotated[UploadFile, File()]) -> Response:
    """Show a picture that browsers cannot read, as one that they can."""
    content = await file.read()
    jpeg = await asyncio.get_running_loop().run_in_executor(
        parts.workers, _as_jpeg, content, DecodeLimits.for_uploads(parts.settings)
    )
    return Response(jpeg, media_type=THUMBNAIL_TYPE, headers={"Cache-Control": "no-store"})


def _as_jpeg(content: bytes, limits: DecodeLimits) -> bytes:
    image = decode_image(content, limits, 2 * _PREVIEW_SIDE)
    image.thumbnail((_PREVIEW_SIDE, _PREVIEW_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


@dataclass(frozen=True)
class Starter:
    """A photo of the catalogue that one may start from."""

    path: str
    url: str
    name: str


def starters(view: View) -> list[Starter]:
    """Photos spread over the catalogue, no two of one product."""
    try:
        entries = view.snapshot.samples(4 * _STARTERS)
    except IndexUnavailableError:  # the page says so by itself
        return []
    chosen: dict[str, Starter] = {}
    for entry in entries:
        attributes = entry.attributes
        name = next((attributes[key] for key in _NAME_KEYS if attributes.get(key)), None)
        chosen.setdefault(
            entry.product_id,
            Starter(
                shown(entry.path),
                image_url(entry.path, entry.at_ms),
                name or shown(entry.product_id),
            ),
        )
    found = list(chosen.values())
    return found[:: max(1, len(found) // _STARTERS)][:_STARTERS]
