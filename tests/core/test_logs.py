"""Log lines carry a sentence and their fields."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest

from core.logs import TextFormatter, configure_logs
from core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _root_logger_as_before() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


def test_text_lines_end_with_their_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(Settings.load())
    logging.getLogger("x").info("Run ended.", extra={"run": 3, "state": "done"})
    assert capsys.readouterr().err.rstrip().endswith("INFO x: Run ended.  run=3 state=done")


def test_json_lines_are_objects(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(Settings.load(log_format="json"))
    try:
        int("why")
    except ValueError:
        logging.getLogger("x").exception("Broke\non two lines.", extra={"store": Settings})
    (line,) = capsys.readouterr().err.splitlines()
    found = json.loads(line)
    assert found["message"] == "Broke\non two lines."
    assert found["level"] == "error"
    assert found["logger"] == "x"
    assert "ValueError: invalid" in found["exception"]
    assert "store" in found


def test_a_quiet_command_shows_warnings_only(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(Settings.load(), quiet=True)
    logging.getLogger("x").info("hidden")
    logging.getLogger("x").warning("shown")
    assert "hidden" not in (shown := capsys.readouterr().err)
    assert "shown" in shown


def test_an_explicit_level_wins_over_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(Settings.load(log_level="debug"), quiet=True)
    logging.getLogger("x").debug("shown")
    assert "shown" in capsys.readouterr().err


def test_what_a_client_wrote_makes_no_line_of_its_own() -> None:
    record = logging.LogRecord("a", logging.INFO, "f", 1, "GET %s", ("/a\nERROR b\x1b[2J",), None)
    record.path = "/a\r\nERROR"
    (line,) = TextFormatter().format(record).splitlines()
    assert "\x1b" not in line
    assert "\\x0aERROR" in line
