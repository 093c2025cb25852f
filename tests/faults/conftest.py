"""Tells at the end how many faults there were, for these tests try many each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

_FAULTS = "faults"


@pytest.fixture
def tried(record_property: Callable[[str, object], None]) -> Callable[[int], None]:
    """Note how many faults a test has survived."""
    return lambda number: record_property(_FAULTS, number)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    passed = terminalreporter.stats.get("passed", [])
    numbers = [value for one in passed for name, value in one.user_properties if name == _FAULTS]
    if numbers:
        terminalreporter.write_line(f"{sum(numbers)} faults survived in {len(numbers)} tests")
