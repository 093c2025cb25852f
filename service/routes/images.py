"""The photos themselves."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from service.collaborators import Parts
from service.names import path_of_url
from service.picture_answer import send_parts
from service.pictures import SIGNED_S, THUMBNAIL_TYPE
from service.schemas.problem import problems

router = APIRouter(prefix="/api/v1/images", tags=["items"])


@router.get(
    "/{path:path}",
    response_class=Response,
    responses={
        **problems(image_not_found=404, image_folder_unreadable=503),
        200: {"description": "The picture.", "content": {"image/*": {}}},
        206: {"description": "The part of it that `Range` asks for."},
        307: {"description": "The picture lies elsewhere, see `LOOKALIKE_IMAGE_REDIRECT`."},
        304: {"description": "The picture named by `If-None-Match` is still the same."},
    },
)
async def show_image(
    request: Request,
    parts: Parts,
    size: Annotated[
        int | None, Query(ge=16, le=2048, description="Longest side in pixels; absent: as it is.")
    ] = None,
    at_ms: Annotated[
        int | None, Query(ge=0, le=2**31 - 1, description="The moment of a video to show.")
    ] = None,
) -> Response:
    """A photo as the shop keeps it, or a smaller copy; or one moment of a video.

    What a camera writes beside the pixels (place, time, owner, previews) is left out.
    """
    # The path is taken as it came: decoding it as UTF-8 would lose names that are not.
    path = path_of_url(request.scope["raw_path"])
    loop = asyncio.get_running_loop()
    finders = parts.pictures.finders or parts.workers
    if size is None and at_ms is None:
        elsewhere = await loop.run_in_executor(finders, parts.pictures.elsewhere, path)
        if elsewhere is not None:
            return RedirectResponse(
                elsewhere, headers={"Cache-Control": f"max-age={SIGNED_S // 2}"}
            )
    original = await loop.run_in_executor(finders, parts.pictures.find, path)
    if original.is_video and size is not None and at_ms is None:
        at_ms = 0
    tag = f'"{original.tag}-{size or 0}-{at_ms or 0}"'
    headers = {
        "ETag": tag,
        "Cache-Control": "private, max-age=60",
        "X-Content-Type-Options": "nosniff",
    }
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if size is None and not (original.is_video and at_ms is not None):
        opened = await loop.run_in_executor(parts.workers, parts.pictures.opened, original)
        if opened is not None:
            return send_parts(opened, request.headers.get("range"), headers)
        work = loop.run_in_executor(parts.workers, parts.pictures.encoded, original)
        content, media_type = await work
        return Response(content, media_type=media_type, headers=headers)
    content = await loop.run_in_executor(
        parts.workers, parts.pictures.rendered, original, size, at_ms or 0
    )
    return Response(content, media_type=THUMBNAIL_TYPE, headers=headers)
