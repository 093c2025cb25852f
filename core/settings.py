"""Every setting, typed and checked at start.

Each is an environment variable with the prefix ``LOOKALIKE_``; README.md lists them all, and a
test holds the two together.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from core.errors import SettingsError
from core.schedule import cron_trigger
from core.store.index.address import check_address

if TYPE_CHECKING:
    from collections.abc import Sequence


def _empty_as_none(value: object) -> object:
    return None if value == "" else value


_SECRETS: Final = ("api_keys", "client_key", "session_secret", "storage_options", "milvus_token")


def _json_or_none(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _complaint(where: Sequence[object], message: str, value: object) -> str:
    if not where:
        return message
    name = str(where[0])
    shown = "" if name in _SECRETS else f" (got {value!r})"
    return f"LOOKALIKE_{name.upper()}: {message}{shown}"


class Settings(BaseSettings):
    """What an operator can choose. Paths are relative to the working folder."""

    model_config = SettingsConfigDict(env_prefix="LOOKALIKE_", frozen=True, extra="ignore")

    image_dir: Path | str = Field(
        Path("data/images"),
        description="Folder of product photos, or where object storage keeps them: "
        "`s3://bucket/prefix` or another URL that fsspec knows.",
    )
    storage_options: SecretStr | None = Field(
        None,
        description="JSON object of fsspec's options for that URL, for instance "
        '`{"endpoint_url": "http://127.0.0.1:9000"}`.',
    )
    fetch_workers: int = Field(
        16, ge=1, le=64, description="Objects fetched from object storage at once."
    )
    fetch_timeout_s: float = Field(
        30.0, gt=0, description="Longest wait for object storage to go on answering, in seconds."
    )
    fetch_disk_mb: float = Field(
        2048.0,
        gt=0,
        description="Temporary disk space for objects fetched and not yet decoded, in MB.",
    )
    image_cache_mb: float = Field(
        256.0, gt=0, description="Disk space for pictures fetched to be shown, in MB."
    )
    image_redirect: str = Field(
        "",
        description="Where whole pictures are fetched from: empty, through the service; `signed`, "
        "from object storage by a signed URL; else a URL that their paths are added to.",
    )
    store_dir: Path = Field(Path("data/store"), description="Folder of the catalog and vectors.")
    metadata: Path | None = Field(
        None,
        description="CSV or JSON file of product data; empty: products.csv or products.json "
        "in the image folder.",
    )

    model: str = Field("classic", description="Model spec, for instance `classic`.")
    model_weights: Path | None = Field(None, description="Local weights, .pt or .safetensors.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where the model runs.")
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = Field(
        "auto",
        description="Number format of the weights; auto: bf16 where native, else fp32. int8: "
        "OpenVINO on a CPU.",
    )
    tta: Literal["", "flip"] = Field(
        "", description="`flip` averages the vectors of a picture and its mirror image."
    )
    batch_size: int = Field(32, ge=1, le=1024, description="Pictures per forward pass.")
    threshold: float | None = Field(
        None, ge=-1.0, le=1.0, description="Least score of a match; empty: the model's own."
    )

    text_threshold: float | None = Field(
        None, ge=-1.0, le=1.0, description="Least score of a match with a text; empty: the model's."
    )
    labels: str = Field(
        "",
        description="What pictures may be named by a model that reads text: names with commas "
        "between, or a file of one per line; empty: a list of shop categories.",
    )

    host: str = Field("127.0.0.1", description="Address the service listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port the service listens on.")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        ("http://localhost:*", "http://127.0.0.1:*"),
        description="Comma-separated web origins that may call the service; `*` matches anything.",
    )
    api_keys: SecretStr | None = Field(
        None,
        description="Comma-separated keys, each `name:scope+scope:key`; scopes: search, ingest, "
        "admin.",
    )
    keys_file: Path | None = Field(
        None, description="File of hashed keys that `lookalike keys` writes; read as it changes."
    )
    client_key: SecretStr | None = Field(
        None, description="Key that the command line shows to a service."
    )
    allow_anonymous: bool = Field(
        default=False, description="Answer other machines though there are no keys."
    )
    session_secret: SecretStr | None = Field(
        None,
        description="Signs sessions of the pages, the same for all replicas; empty: a new one "
        "with each start.",
    )
    session_hours: float = Field(
        12.0, gt=0, le=8760, description="How long signing in holds, in hours."
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Comma-separated host names the service answers to, `*.` patterns too; empty: "
        "any with keys; without, addresses and names that no stranger can own.",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        ("127.0.0.1", "::1"),
        description="Comma-separated proxies whose word on a client's address and scheme is taken.",
    )
    rate_limit_address: str = Field(
        "12000/minute",
        description="Most requests from one address, for instance `20/second;600/minute`; "
        "empty: any.",
    )
    rate_limit_key: str = Field(
        "12000/minute", description="Most requests with one key, in the same form; empty: any."
    )
    max_queue: int = Field(
        128, ge=1, description="Most uploads at work or waiting at once; others are told to retry."
    )
    max_queue_mb: float = Field(
        1024.0, gt=0, description="Most memory for the bodies of requests at work, in MB."
    )
    max_connections: int = Field(
        800, ge=8, description="Most open connections; beyond, idle ones are closed."
    )
    header_timeout_s: float = Field(
        10.0, gt=0, description="Longest time to send a request's headers, in seconds."
    )
    body_timeout_s: float = Field(
        30.0,
        gt=0,
        description="Longest time to send a body, in seconds, beside one second for each 50 kB.",
    )
    write_timeout_s: float = Field(
        30.0, gt=0, description="Longest time in which a client reads nothing, in seconds."
    )
    request_timeout_s: float = Field(
        120.0, gt=0, description="Longest time to answer a request that has come in, in seconds."
    )
    shutdown_delay_s: float = Field(
        0.0,
        ge=0,
        le=60,
        description="Time between telling balancers to send no more and leaving, in seconds.",
    )
    thumbnail_cache_mb: float = Field(
        64.0, ge=0, description="Memory for thumbnails already made, in MB."
    )

    max_upload_mb: float = Field(20.0, gt=0, description="Largest upload, in MB.")
    max_file_mb: float = Field(200.0, gt=0, description="Largest catalogue photo, in MB.")
    max_image_megapixels: float = Field(50.0, gt=0, description="Largest picture, in megapixels.")

    max_batch_files: int = Field(
        32, ge=1, le=1000, description="Most pictures in one request of several."
    )
    max_batch_mb: float = Field(
        128.0, gt=0, description="Largest body of a request of several pictures, in MB."
    )
    max_pairs: int = Field(128, ge=1, le=10_000, description="Most pairs in one request.")
    max_pairs_body_mb: float = Field(
        256.0, gt=0, description="Largest body of a request that scores pairs, in MB."
    )
    pair_batch_size: int = Field(
        64, ge=1, le=1024, description="Pictures per forward pass of the pair model."
    )
    pair_model: str = Field(
        "", description="Model spec that scores pairs; empty: the model of the search."
    )
    pair_model_weights: Path | None = Field(
        None, description="Local weights of the pair model, a file or for dreamsim a folder."
    )
    url_fetch_timeout_s: float = Field(
        10.0, gt=0, description="Longest time to fetch one picture from a URL, in seconds."
    )
    url_allow_private: bool = Field(
        default=False, description="Let image URLs reach loopback and private addresses."
    )
    url_allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Comma-separated hosts image URLs may name, `*.` patterns too; empty: any."
    )

    schedule: str = Field("", description="Cron expression of ingest runs; empty: none.")
    verify_schedule: str = Field(
        "", description="Cron expression of runs that hash every file; empty: none."
    )
    decode_workers: int = Field(
        0,
        ge=0,
        le=256,
        description="Processes that decode photos; 0: one per core, in a service four at most.",
    )
    decode_timeout_s: float = Field(
        30.0, gt=0, description="Longest time one photo may take to decode, in seconds."
    )
    decode_memory_mb: int = Field(
        2048, ge=256, description="Most memory one decoding process may take, in MB."
    )
    video_frames: Literal["scenes", "interval"] = Field(
        "scenes", description="Frames that stand for a video: one per scene, or at an interval."
    )
    video_interval_s: float = Field(
        1.0, gt=0, description="Time between frames of a video, at least, in seconds."
    )
    video_max_frames: int = Field(60, ge=1, le=1000, description="Most frames of one video.")
    video_timeout_s: float = Field(
        300.0, gt=0, description="Longest time one video may take to decode, in seconds."
    )
    ray_address: str = Field(
        "",
        description="Ray cluster that embeds, `ray://host:10001` or `host:6379`; `auto`: the one "
        "of this machine; `local`: one for the run alone; empty: none.",
    )
    ray_workers: int = Field(
        0,
        ge=0,
        le=4096,
        description="Ray actors that embed; 0: all that the cluster has room for.",
    )
    ray_cpus: float = Field(1.0, gt=0, description="Processors of one such actor.")
    ray_gpus: float = Field(
        0.0, ge=0, description="GPUs of one such actor; a fraction shares one between several."
    )
    ray_start_s: float = Field(
        300.0, gt=0, description="Longest wait for the first such actor to be ready, in seconds."
    )
    commit_every_images: int = Field(
        4096, ge=1, description="Most newly embedded photos between two commits of a run."
    )
    commit_every_s: float = Field(
        60.0, gt=0, description="Longest time between two commits of a run, in seconds."
    )
    removal_guard_share: float = Field(
        0.2, ge=0, le=1, description="Share of the items that one run may remove."
    )
    removal_guard_items: int = Field(
        50, ge=1, description="Removals below this number are never refused."
    )
    require_root_marker: bool = Field(
        default=False,
        description="Refuse a run unless the image folder holds a file `.lookalike-root`.",
    )
    exact_index_items: int = Field(
        20_000, ge=0, description="Up to this many vectors the index searches exactly."
    )
    index: Literal["faiss", "milvus"] = Field(
        "faiss", description="What answers searches: FAISS in each service, or Milvus for all."
    )
    milvus_uri: str = Field(
        "",
        description="Where Milvus is: `http://host:19530`, `https://…`, or a file ending in `.db`.",
    )
    milvus_token: SecretStr | None = Field(
        None, description="`user:password` or an API key of Milvus."
    )
    milvus_certificate: Path | None = Field(
        None,
        description="PEM file of Milvus' certificate or its authority; empty: those of the system.",
    )
    milvus_alias: str = Field(
        "lookalike",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$",
        description="Alias that searches go to, and start of the collections' names; one per shop.",
    )
    milvus_structure: Literal["HNSW", "AUTOINDEX", "DISKANN", "FLAT"] = Field(
        "HNSW", description="Structure of new collections' vectors; FLAT is exact."
    )
    milvus_timeout_s: float = Field(
        5.0, gt=0, description="Longest time to wait for an answer of Milvus, in seconds."
    )
    milvus_fallback: Literal["none", "faiss"] = Field(
        "none",
        description="Who answers while Milvus is gone: nobody, or FAISS from the store's vectors.",
    )
    coordinator_url: str = Field(
        "",
        description="For query nodes, the service that has the store: what they cannot answer is "
        "asked there.",
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe message that is logged."
    )
    log_format: Literal["text", "json"] = Field("text", description="Form of a log line.")

    @field_validator(
        "metadata",
        "model_weights",
        "pair_model_weights",
        "threshold",
        "text_threshold",
        "api_keys",
        "keys_file",
        "client_key",
        "session_secret",
        "storage_options",
        "milvus_token",
        "milvus_certificate",
        mode="before",
    )
    @classmethod
    def _optional(cls, value: object) -> object:
        return _empty_as_none(value)

    @field_validator(
        "cors_origins", "url_allowed_hosts", "allowed_hosts", "trusted_proxies", mode="before"
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("image_dir", mode="before")
    @classmethod
    def _place(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if value.startswith("file://"):
            return Path(value.removeprefix("file://"))
        return value.rstrip("/") if "://" in value else Path(value)

    @field_validator("storage_options")
    @classmethod
    def _json_object(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not isinstance(_json_or_none(value.get_secret_value()), dict):
            raise ValueError("must be a JSON object")
        return value

    @field_validator("ray_address")
    @classmethod
    def _cluster(cls, value: str) -> str:
        if value not in {"", "auto", "local"} and ":" not in value:
            raise ValueError("must be empty, `auto`, `local`, `ray://host:port` or `host:port`")
        return value

    @field_validator("image_redirect")
    @classmethod
    def _redirect(cls, value: str) -> str:
        if value not in {"", "signed"} and not value.startswith(("http://", "https://", "/")):
            raise ValueError("must be empty, `signed` or a URL")
        return value

    @field_validator("schedule", "verify_schedule")
    @classmethod
    def _cron(cls, value: str) -> str:
        if value:
            cron_trigger(value)
        return value

    @model_validator(mode="after")
    def _store_outside_images(self) -> Self:
        if isinstance(self.image_dir, str):
            return self
        if self.image_redirect == "signed":
            raise ValueError(
                "LOOKALIKE_IMAGE_REDIRECT=signed wants LOOKALIKE_IMAGE_DIR to be object storage."
            )
        if self.store_dir.resolve().is_relative_to(self.image_dir.resolve()):
            raise ValueError(
                f"LOOKALIKE_STORE_DIR ({self.store_dir}) must not lie inside "
                f"LOOKALIKE_IMAGE_DIR ({self.image_dir})."
            )
        return self

    @model_validator(mode="after")
    def _index_reachable(self) -> Self:
        if self.index == "milvus":
            wrong = check_address(self.milvus_uri)
            if wrong is not None:
                raise ValueError(wrong)
        if self.coordinator_url:
            if self.index != "milvus":
                raise ValueError(
                    "LOOKALIKE_COORDINATOR_URL is for query nodes, which take LOOKALIKE_INDEX="
                    "milvus: without it a service answers from its own store."
                )
            if not self.coordinator_url.startswith(("http://", "https://")):
                raise ValueError(
                    f"LOOKALIKE_COORDINATOR_URL={self.coordinator_url} must begin with http:// or "
                    "https://."
                )
        return self

    @property
    def storage(self) -> dict[str, Any]:
        """fsspec's options for object storage."""
        chosen = self.storage_options
        found: dict[str, Any] = json.loads(chosen.get_secret_value()) if chosen else {}
        return found

    @property
    def max_upload_bytes(self) -> int:
        """The largest upload, in bytes."""
        return int(self.max_upload_mb * 1_000_000)

    @property
    def max_batch_bytes(self) -> int:
        """The largest body of a request that holds several pictures, in bytes."""
        return int(self.max_batch_mb * 1_000_000)

    @property
    def max_pairs_body_bytes(self) -> int:
        """The largest body of a request that scores pairs, in bytes."""
        return int(self.max_pairs_body_mb * 1_000_000)

    @property
    def max_image_pixels(self) -> int:
        """The largest picture, in pixels."""
        return int(self.max_image_megapixels * 1_000_000)

    @classmethod
    def load(cls, **overrides: object) -> Settings:
        """Read the environment.

        Raises:
            SettingsError: naming each variable that is wrong and what it takes.
        """
        try:
            return cls(**overrides)  # type: ignore[arg-type]  # checked by pydantic itself
        except ValidationError as error:
            lines = [_complaint(e["loc"], e["msg"], e["input"]) for e in error.errors()]
            raise SettingsError("; ".join(lines)) from None  # the cause would show its input
