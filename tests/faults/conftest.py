"""What the tests of faults share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import FAULTS

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def tried(record_property: Callable[[str, object], None]) -> Callable[[int], None]:
    """Note how many faults a test has survived."""
    return lambda number: record_property(FAULTS, number)
