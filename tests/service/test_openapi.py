"""The service's own description is whole: an example of each route, a name for each error."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from core.errors import LookalikeError
from service.problems import status_of_code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.testclient import TestClient

API_DOCUMENT = Path(__file__).parents[2] / "docs" / "api.md"
CODE = re.compile(r"`([a-z0-9_]+)`")


@pytest.fixture(scope="module")
def document(client: TestClient) -> Any:
    return client.get("/openapi.json").json()


def operations(document: Any) -> Iterator[tuple[str, Any]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def resolved(document: Any, schema: Any) -> Any:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def documented_codes(document: Any) -> dict[str, set[int]]:
    codes: dict[str, set[int]] = {}
    for _, operation in operations(document):
        for status, response in operation["responses"].items():
            if response["description"].startswith("Problem: "):
                for code in CODE.findall(response["description"]):
                    codes.setdefault(code, set()).add(int(status))
    return codes


def family(kind: type[LookalikeError]) -> Iterator[type[LookalikeError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from family(child)


def test_every_json_answer_has_an_example(document: Any) -> None:
    for name, operation in operations(document):
        good = {s: r for s, r in operation["responses"].items() if s.startswith("2")}
        assert good, name
        for response in good.values():
            content = response.get("content", {}).get("application/json")
            if content is not None:
                example = content.get("example") or resolved(document, content["schema"])["example"]
                assert example, name


def test_examples_fit_their_schemas(document: Any) -> None:
    for name, schema in document["components"]["schemas"].items():
        example = schema.get("example")
        if example is not None:
            absent = set(schema.get("required", ())) - set(example)
            assert all({"type": "null"} in schema["properties"][one]["anyOf"] for one in absent)
            if schema.get("additionalProperties") is not True:
                assert set(example) <= set(schema["properties"]), name


def test_every_error_has_a_code_and_the_status_the_service_gives_it(document: Any) -> None:
    known = {kind.code for kind in family(LookalikeError)}
    for code, statuses in documented_codes(document).items():
        assert len(statuses) == 1, code
        if code in known:
            assert statuses == {status_of_code(code)}, code
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert CODE.search(response["description"]), f"{name} {status}"
                assert "application/problem+json" in response["content"], f"{name} {status}"


def test_every_route_says_what_it_does_and_has_a_line_to_paste(document: Any) -> None:
    for name, operation in operations(document):
        assert operation["description"], name
        (sample,) = operation["x-codeSamples"]
        words = shlex.split(sample["source"])
        assert words[0] == "curl", name
        assert "{" not in words[-1], name
        for parameter in operation.get("parameters", ()):
            if parameter.get("required") and parameter["in"] == "query":
                assert f"{parameter['name']}=" in words[-1], name


def test_the_document_of_the_api_names_every_route_parameter_and_code(document: Any) -> None:
    text = API_DOCUMENT.read_text(encoding="utf-8")
    for name, operation in operations(document):
        method, _, path = name.partition(" ")
        assert f"{method} {path}" in text, name
        for parameter in operation.get("parameters", ()):
            if parameter["in"] in ("query", "path"):
                assert parameter["name"] in text, f"{name}: {parameter['name']}"
    listed = set(re.findall(r"^\| `([a-z0-9_]+)` \| [0-9]{3} \|", text, re.MULTILINE))
    assert documented_codes(document).keys() <= listed


def test_the_pages_of_the_description_are_served(client: TestClient) -> None:
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert client.get(path).status_code == 200
