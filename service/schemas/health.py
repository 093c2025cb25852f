"""What the service tells of itself."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class HealthAnswer(BaseModel):
    """Whether the service works."""

    model_config = ConfigDict(
        protected_namespaces=(),
        json_schema_extra={
            "example": {
                "status": "healthy",
                "model_loaded": True,
                "features_loaded": True,
                "total_products": 3000,
                "device": "cpu",
                "model_type": "classic",
                "problems": [],
            }
        },
    )

    status: Literal["healthy", "degraded"]
    model_loaded: bool
    features_loaded: bool
    total_products: int = Field(description="Searchable photos.")
    device: str | None
    model_type: str | None = Field(
        description="LOOKALIKE_PAIR_MODEL, or where that is empty the model of the search."
    )
    problems: list[str]


class LiveAnswer(BaseModel):
    """The process answers."""

    model_config = ConfigDict(json_schema_extra={"example": {"status": "alive"}})

    status: Literal["alive"] = "alive"


class ReadyAnswer(BaseModel):
    """The service can be sent requests."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"status": "ready", "generation": 42, "warnings": []}}
    )

    status: Literal["ready"] = "ready"
    generation: int
    warnings: list[str] = Field(description="Damage that does not change any answer.")


class SpaceAnswer(BaseModel):
    """The vectors being searched."""

    fingerprint: str
    spec: str
    dimension: int
    default_threshold: float


class IndexAnswer(BaseModel):
    """The structure being searched."""

    kind: str
    vectors: int
    recall: float | None = Field(description="Recall@10 against exact search; null: exact.")


class IngestAnswer(BaseModel):
    """The ingest daemon."""

    alive: bool
    schedule: str = Field(description="Cron expression; empty: none.")
    next_run_at: str | None = Field(description="ISO 8601, UTC.")


class StatsAnswer(BaseModel):
    """How much there is of everything."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "total_products": 3000,
                "feature_dimension": 1024,
                "memory_usage_mb": 11.72,
                "feature_file_size_mb": 11.25,
                "process_memory_mb": 412.5,
                "generation": 42,
                "model": "timm:mobilenetv2_100",
                "space": None,
                "index": {"kind": "exact", "vectors": 2990, "recall": None},
                "items": {"indexed": 3000, "failed": 0, "missing": 12},
                "ingest": {"alive": True, "schedule": "0 3 * * *", "next_run_at": None},
            }
        }
    )

    total_products: int = Field(description="Searchable photos.")
    feature_dimension: int
    memory_usage_mb: float = Field(description="Vectors being searched.")
    feature_file_size_mb: float = Field(description="Vectors on disk.")
    process_memory_mb: float = Field(description="Resident memory of the whole service.")
    generation: int
    model: str
    space: SpaceAnswer | None
    index: IndexAnswer | None
    items: dict[str, int] = Field(description="Photos by state.")
    ingest: IngestAnswer | None = Field(description="Null: none was ever heard of.")
