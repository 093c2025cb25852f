"""Fixtures that every test may use."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from core.vision import models
from tests.other_model import OTHER_FAMILY
from tests.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# A decoding process imports its parent's main module anew; the test runner is not worth a third
# of a second of every run.
sys.modules["__main__"].__spec__ = None
sys.modules["__main__"].__dict__.pop("__file__", None)


FAULTS = "faults"  # the property of a test that says how many it survived

# The same examples each time, so that a test fails for what changed; HYPOTHESIS_PROFILE=default
# looks for new ones.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(autouse=True, scope="session")
def _settings_of_tests() -> Iterator[None]:
    """Leave out what the machine's own environment sets."""
    with pytest.MonkeyPatch.context() as patch:
        # The tests start hundreds of programs, and each would compile every module anew.
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setattr(sys, "dont_write_bytecode", False)
        for name in os.environ:
            if name.startswith("LOOKALIKE_"):
                patch.delenv(name)
        yield


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """An empty image folder and no store yet."""
    return Shop(tmp_path)


@pytest.fixture
def make_shop(tmp_path: Path) -> Callable[..., Shop]:
    """Make further shops, each by a name and its settings."""
    return lambda name, **settings: Shop(tmp_path / name, **settings)


@pytest.fixture
def other_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register a second model, `other`: the built-in one with its axes turned round."""
    monkeypatch.setattr(models, "FAMILIES", (*models.FAMILIES, OTHER_FAMILY))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell how many faults there were; here, for what starts the workers reads this file alone."""
    passed = terminalreporter.stats.get("passed", [])
    numbers = [value for one in passed for name, value in one.user_properties if name == FAULTS]
    if numbers:
        terminalreporter.write_line(f"{sum(numbers)} faults survived in {len(numbers)} tests")
