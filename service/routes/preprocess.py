"""Bring the catalogue in step with the image folder, and ask how far apart they are."""

from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from core.records import RunOptions
from service.collaborators import Parts
from service.disconnect import unless_gone
from service.routes.runs import accepted, run_answer
from service.schemas.problem import problems
from service.schemas.runs import FolderStatusAnswer, PreprocessAnswer, RunAnswer

router = APIRouter(prefix="/api/v1/preprocess", tags=["ingest"])


async def run_options(
    *,
    force_full: Annotated[bool, Query(description="Embed every photo anew.")] = False,
    verify: Annotated[bool, Query(description="Hash every file, whatever its stat says.")] = False,
    allow_mass_removal: Annotated[
        bool, Query(description="Remove photos even if most of the folder is gone.")
    ] = False,
    batch_size: Annotated[
        int | None, Query(ge=1, le=128, description="Photos per forward pass.")
    ] = None,
) -> RunOptions:
    """What is asked of the run."""
    return RunOptions(force_full, verify, allow_mass_removal, batch_size)


@router.post(
    "",
    response_model=PreprocessAnswer,
    responses={
        **problems(
            run_in_progress=409,
            mass_removal_refused=409,
            run_cancelled=409,
            run_interrupted=503,
            run_failed=500,
            image_folder_unreadable=503,
            ray_cluster_unusable=503,
            model_load_failed=503,
            out_of_device_memory=503,
            io_error=503,
            no_ingest_daemon=503,
        ),
        202: {
            "description": "With `wait=false`: the run is queued; `Location` follows it.",
            "model": RunAnswer,
        },
    },
)
async def preprocess(
    request: Request,
    parts: Parts,
    options: Annotated[RunOptions, Depends(run_options)],
    *,
    wait: Annotated[bool, Query(description="Answer when the run is done.")] = True,
) -> Response:
    """Run the ingester; when this answers, the very next search sees the result."""
    run = await anyio.to_thread.run_sync(parts.desk.request, options)
    if not wait:
        return accepted(run)
    run = await unless_gone(request, parts.desk.wait(run.id))
    answer = PreprocessAnswer(run_id=run.id, **run_answer(run).model_dump())
    return JSONResponse(answer.model_dump(mode="json"))


@router.get("/status", responses=problems(image_folder_unreadable=503))
def folder_status(parts: Parts) -> FolderStatusAnswer:
    """Compare the image folder with the catalogue by names and stats; nothing is written."""
    status = parts.folder.read()
    updated = status.last_update
    return FolderStatusAnswer(
        total_images=status.total,
        processed_images=status.processed,
        pending_images=status.pending,
        removed_images=status.removed,
        feature_file_exists=status.segments,
        metadata_file_exists=status.catalog,
        last_update=updated.strftime("%Y-%m-%dT%H:%M:%S") if updated else None,
    )
