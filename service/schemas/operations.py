"""What the operations page shows, in one answer."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from service.schemas.health import IndexAnswer, SpaceAnswer
from service.schemas.runs import RunAnswer


class WarningAnswer(BaseModel):
    """Something an operator should know of."""

    level: Literal["bad", "warn"]
    text: str
    link: str | None = Field(None, description="Where something can be done about it.")


class StageAnswer(BaseModel):
    """One stage of the run going on."""

    name: str
    seconds: float = Field(description="Time spent in it so far.")
    share: float = Field(description="Of the run's time so far, 0 to 1.")
    per_second: float | None = Field(description="Files it takes in a second of its own time.")


class LiveRunAnswer(BaseModel):
    """The run that is queued or going on."""

    run: RunAnswer
    files_per_second: float | None = Field(description="Lately; null: too early to say.")
    seconds_left: float | None = Field(description="Null: too early to say.")
    stages: list[StageAnswer]


class ScheduleAnswer(BaseModel):
    """Runs that begin by themselves."""

    what: Literal["ingest", "verify"]
    cron: str
    next_at: list[str] = Field(description="The next times, ISO 8601, UTC.")


class DaemonAnswer(BaseModel):
    """The ingest daemon."""

    alive: bool
    supervised: bool = Field(description="Whether this service starts it again when it ends.")
    heard_at: str | None


class QueriesAnswer(BaseModel):
    """Searches of the last minutes."""

    window_s: float
    count: int
    per_minute: float
    p50_ms: float | None
    p95_ms: float | None
    waiting: int = Field(description="Jobs that wait for the model.")


class DiskAnswer(BaseModel):
    """Space where a folder lies."""

    folder: Literal["store", "images"]
    free_bytes: int
    total_bytes: int


class ModelAnswer(BaseModel):
    """The model that answers searches."""

    spec: str
    device: str
    reads_text: bool


class OperationsAnswer(BaseModel):
    """How everything is."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "at": "2026-11-20T09:00:00.000+00:00",
                "warnings": [],
                "live": None,
                "last_run": None,
                "last_success_at": "2026-11-20T08:45:02.113+00:00",
                "daemon": {
                    "alive": True,
                    "supervised": True,
                    "heard_at": "2026-11-20T08:59:58.020+00:00",
                },
                "schedules": [
                    {
                        "what": "ingest",
                        "cron": "*/15 * * * *",
                        "next_at": ["2026-11-20T09:15:00.000+00:00"],
                    }
                ],
                "items": {"indexed": 3000, "failed": 2, "missing": 0},
                "searchable": 3000,
                "generation": 41,
                "model": {"spec": "classic", "device": "cpu", "reads_text": False},
                "space": {
                    "fingerprint": "6c2b8b9c847d4886751dabde334105f3",
                    "spec": "classic",
                    "dimension": 746,
                    "default_threshold": 0.5,
                },
                "index": {"kind": "exact", "vectors": 3000, "recall": None},
                "vectors_bytes": 4476000,
                "process_bytes": 131072000,
                "queries": {
                    "window_s": 300.0,
                    "count": 120,
                    "per_minute": 24.0,
                    "p50_ms": 14.2,
                    "p95_ms": 31.0,
                    "waiting": 0,
                },
                "disks": [
                    {"folder": "store", "free_bytes": 67211743232, "total_bytes": 270553174016}
                ],
            }
        }
    )

    at: str = Field(description="When this was true, ISO 8601, UTC.")
    warnings: list[WarningAnswer] = Field(description="The worst first.")
    live: LiveRunAnswer | None
    last_run: RunAnswer | None = Field(description="The last one that ended.")
    last_success_at: str | None
    daemon: DaemonAnswer
    schedules: list[ScheduleAnswer]
    items: dict[str, int] = Field(description="Photos by state.")
    searchable: int
    generation: int
    model: ModelAnswer | None
    space: SpaceAnswer | None
    index: IndexAnswer | None
    vectors_bytes: int = Field(description="Vectors being searched, in memory.")
    process_bytes: int = Field(description="Resident memory of the service.")
    queries: QueriesAnswer
    disks: list[DiskAnswer]
