"""What is told of ingest runs and of the folder they keep in step with."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from core.records import RunState

_RUN_EXAMPLE: dict[str, Any] = {
    "id": 17,
    "state": "succeeded",
    "success": True,
    "trigger": "api",
    "message": "Successfully processed 15 new images",
    "error_code": None,
    "warnings": [],
    "created_at": "2025-10-16T14:29:14.101+00:00",
    "started_at": "2025-10-16T14:29:14.350+00:00",
    "finished_at": "2025-10-16T14:29:59.580+00:00",
    "cancel_requested": False,
    "options": {"force_full": False, "verify": False, "allow_mass_removal": False},
    "total_images": 3000,
    "new_images": 15,
    "removed_images": 2,
    "moved_images": 0,
    "failed_images": 0,
    "processing_time": 45.23,
    "progress": 1.0,
    "generation": 42,
    "scanned": 3000,
    "planned": 15,
    "hashed": 15,
    "embedded": 15,
}


class RunAnswer(BaseModel):
    """One ingest run, with its counters beside its state."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"example": _RUN_EXAMPLE})

    id: int
    state: RunState
    success: bool = Field(description="Whether it has succeeded.")
    trigger: str = Field(description="Who asked: api, cli, schedule or watch.")
    message: str | None
    error_code: str | None
    warnings: list[str]
    created_at: str = Field(description="ISO 8601, UTC, as all times here.")
    started_at: str | None
    finished_at: str | None
    cancel_requested: bool
    options: dict[str, Any]
    total_images: int = Field(description="Items indexed or failed when the run ended.")
    new_images: int = Field(description="Added and edited photos.")
    removed_images: int
    moved_images: int = Field(description="Renamed photos; they count as neither new nor removed.")
    failed_images: int = Field(description="Items now in state failed.")
    processing_time: float = Field(description="Seconds.")
    progress: float = Field(description="Share of the work that is done, 0 to 1.")
    generation: int | None = Field(description="What the run published last.")
    scanned: int = Field(description="Files seen in the folder.")
    planned: int = Field(description="Files that may have changed.")
    hashed: int
    embedded: int = Field(description="Photos that went through the model.")


class RunList(BaseModel):
    """The newest runs."""

    model_config = ConfigDict(json_schema_extra={"example": {"runs": [_RUN_EXAMPLE], "total": 17}})

    runs: list[RunAnswer]
    total: int


class PreprocessAnswer(RunAnswer):
    """A run that has ended well, in the words of the matcher's clients."""

    model_config = ConfigDict(
        extra="allow", json_schema_extra={"example": {**_RUN_EXAMPLE, "run_id": 17}}
    )

    run_id: int


class FolderStatusAnswer(BaseModel):
    """How the image folder and the catalogue differ."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "total_images": 3000,
                "processed_images": 2985,
                "pending_images": 15,
                "removed_images": 0,
                "feature_file_exists": True,
                "metadata_file_exists": True,
                "last_update": "2025-10-16T14:30:00",
            }
        }
    )

    total_images: int = Field(description="Picture files in the folder.")
    processed_images: int
    pending_images: int
    removed_images: int = Field(description="Known photos that are gone from the folder.")
    feature_file_exists: bool
    metadata_file_exists: bool
    last_update: str | None = Field(description="Local time of the last successful run's end.")
