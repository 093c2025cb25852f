"""Every route of the OpenAPI document, with whatever fits it and whatever does not."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.service.conftest import Server, build_stocked_shop

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKS = [content_type_conformance, response_schema_conformance, status_code_conformance]
TYPED = {501: {"no_text_tower"}, 503: {"no_ingest_daemon"}}
"""Codes of what this service, small as it is, may answer to a request that is all right."""

QUICK = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(
    max_examples=150, stateful_step_count=6, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    shop = build_stocked_shop(tmp_path_factory.mktemp("described"))
    with Server(shop, "--no-ingest", LOOKALIKE_RATE_LIMIT_ADDRESS="") as server:
        schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
        # A stream of events is answered for as long as one listens.
        yield schema.exclude(path_regex="/events$")
        assert server.process.poll() is None


def check(case: schemathesis.Case) -> None:
    answer = case.call(timeout=30)
    if answer.status_code >= 500:
        code = answer.json()["code"]
        assert code in TYPED.get(answer.status_code, ()), (answer.status_code, code)
    case.validate_response(answer, checks=CHECKS)


def attack(described: Any, how: settings) -> None:
    """Try every operation, with what fits its description and with what does not."""
    for found in described.get_all_operations():
        operation = found.ok()
        for mode in schemathesis.GenerationMode:
            # What takes no parameter cannot be asked wrongly.
            with suppress(Unsatisfiable):
                how(given(operation.as_strategy(generation_mode=mode))(check))()


def test_every_route_answers_as_its_document_says(described: Any) -> None:
    attack(described, QUICK)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_route_answers_as_its_document_says_however_long_one_tries(described: Any) -> None:
    attack(described, LONG)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_routes_in_any_order_answer_as_their_document_says(described: Any) -> None:
    class Journey(described.as_state_machine()):  # type: ignore[misc]
        def validate_response(self, response: Any, case: Any, **_: Any) -> None:
            if response.status_code >= 500:
                assert response.json()["code"] in TYPED.get(response.status_code, ())
            case.validate_response(response, checks=CHECKS)

    Journey.run(settings=LONG)
