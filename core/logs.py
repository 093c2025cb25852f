"""Log lines: a sentence plus machine-readable fields, as text or as JSON."""

from __future__ import annotations

import json
import logging
import re
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from core.settings import Settings

_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message",
    "asctime",
    "color_message",
}

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def configure_logs(settings: Settings, *, quiet: bool = False) -> None:
    """Send this process's logs to standard error in the form an operator chose.

    `quiet` is for commands that print their own result: only warnings and errors come through.
    """
    level = "warning" if quiet and settings.log_level == "info" else settings.log_level
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("httpx", "httpcore", "apscheduler", "watchfiles", "PIL", "faiss"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


class TextFormatter(logging.Formatter):
    """`time level logger: sentence  key=value …`, for people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        fields = " ".join(f"{key}={one_line(value)}" for key, value in _fields(record).items())
        return f"{super().format(record)}  {fields}" if fields else super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """See `logging.Formatter`; what a client wrote must not look like a line of its own."""
        return one_line(super().formatMessage(record))


class JsonFormatter(logging.Formatter):
    """One JSON object a line, for machines."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def one_line(value: object) -> str:
    """Text without anything that would end the line or move a terminal's cursor."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", str(value))


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
