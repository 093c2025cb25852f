"""However the ingester dies, nothing it started outlives it for long."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.processes import alive, ended, family, wait_for
from tests.shop import REPOSITORY

if TYPE_CHECKING:
    from tests.shop import Shop


def test_processes_that_hang_on_a_photo_die_with_a_killed_ingester(shop: Shop) -> None:
    shop.photos(3)
    process = subprocess.Popen(
        [sys.executable, "-u", "tests/faults/hanging_ingester.py"],
        cwd=REPOSITORY,
        env=shop.environment(decode_workers=3, decode_timeout_s=600),
        stdout=subprocess.PIPE,
        text=True,
    )
    with ended(process):
        assert process.stdout is not None
        assert len([process.stdout.readline() for _ in range(3)]) == 3
        members = family(process)
        assert len(members) >= 4
        try:
            process.kill()
            wait_for(lambda: not alive(members), seconds=5)
        finally:
            for member in alive(members):
                member.kill()
