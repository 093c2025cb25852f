"""Every error is a problem document."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core import errors as domain
from service import errors
from service.problems import STATUSES, status_of, status_of_code

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from tests.service.conftest import Shop

FIELDS = {"type", "title", "status", "detail", "code"}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("DELETE", "/health", 405, "method_not_allowed"),
        ("GET", "/api/v1/find-similar", 405, "method_not_allowed"),
        ("POST", "/api/v1/find-similar", 422, "invalid_request"),
        ("GET", "/api/v1/runs/999", 404, "unknown_run"),
        ("GET", "/api/v1/runs/x", 422, "invalid_request"),
        ("GET", "/api/v1/runs/999/events", 404, "unknown_run"),
        ("GET", "/api/v1/items?state=odd", 422, "invalid_request"),
        ("GET", "/api/v1/images/none.jpg", 404, "image_not_found"),
        ("POST", "/api/v1/preprocess", 503, "no_ingest_daemon"),
    ],
)
def test_every_error_is_a_problem_document(
    client: TestClient, method: str, path: str, status: int, code: str
) -> None:
    answer = client.request(method, path)
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem.keys() >= FIELDS
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert problem["detail"]


def test_a_failure_of_ours_tells_nothing_of_the_inside(
    stocked: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    with stocked.open() as client:
        client.app.state.collaborators.keeper._view = object()
        answer = client.get("/stats", headers={"Origin": "http://localhost:3000"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "object" not in answer.text
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert "AttributeError" in caplog.text


def test_a_class_without_a_status_of_its_own_has_its_ancestors() -> None:
    assert status_of(domain.TruncatedImageError) == STATUSES[domain.ImageError]
    assert status_of(domain.StoreVersionError) == STATUSES[domain.StoreError]
    assert status_of(errors.NotReadyError) == 503


def test_the_code_of_a_failed_run_has_the_status_of_its_error() -> None:
    assert status_of_code("mass_removal_refused") == 409
    assert status_of_code("model_load_failed") == 503
    assert status_of_code("run_interrupted") == 503
    assert status_of_code("io_error") == 503
    assert status_of_code("internal_error") == 500
    assert status_of_code("never heard of") == 500


def test_the_description_names_every_route_with_an_example_and_its_problems(
    client: TestClient,
) -> None:
    paths = client.get("/openapi.json").json()
    assert "Problem" in paths["components"]["schemas"]
    find = paths["paths"]["/api/v1/find-similar"]["post"]
    assert "`not_an_image`" in find["responses"]["415"]["description"]
    for page in ("/docs", "/redoc"):
        assert client.get(page).status_code == 200
