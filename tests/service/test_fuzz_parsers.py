"""Whatever text a client, a shop or a browser may write, a parser answers with ours."""

from __future__ import annotations

import base64
import json
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import LookalikeError, MetadataError, SettingsError
from core.folder.metadata import read_metadata
from core.settings import Settings
from service.guard.keys import parse_keys
from service.guard.origins import HostCheck
from service.guard.rates import parse_limits
from service.guard.scopes import need_of
from service.guard.sessions import Sessions, session_cookie
from service.names import path_of_url, shown
from service.picture_answer import range_of
from service.questions import Crop, parse_filters
from service.references import data_start
from service.routes.session import own_path

if TYPE_CHECKING:
    from starlette.testclient import TestClient

MANY = settings(max_examples=150, deadline=2000)
FEW = settings(
    max_examples=60, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
TEXT = st.text(max_size=200)
CSV = st.lists(
    st.lists(st.text(alphabet='path,";\n\r\x00é\ufeff=a1', max_size=12), max_size=5),
    max_size=8,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["path", "product_id", "a"]) | TEXT, inner, max_size=4)
    ),
    max_leaves=30,
)


def read(name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        with suppress(MetadataError):
            for label in read_metadata(path).labels.values():
                assert isinstance(json.loads(label.attributes), dict)
                label.attributes.encode()


@MANY
@given(st.binary(max_size=400), st.sampled_from(["products.csv", "products.json"]))
def test_product_data_of_any_bytes_is_read_or_refused(content: bytes, name: str) -> None:
    read(name, content)


@MANY
@given(CSV)
def test_tables_of_any_cells_are_read_or_refused(rows: list[list[str]]) -> None:
    text = "\n".join(",".join(row) for row in rows)
    read("products.csv", text.encode())
    read("products.csv", f"path,product_id,colour\n{text}".encode())


@MANY
@given(JSON)
def test_json_of_any_shape_is_read_or_refused(value: object) -> None:
    read("products.json", json.dumps(value).encode())
    read("products.json", json.dumps([value, {"path": "a.jpg", "x": value}]).encode())


@pytest.mark.parametrize(
    "content",
    [b"[" * 200_000, b'{"a":' * 100_000, b"[" + b"9" * 100_000 + b"]", b"path\n" + b"a" * 500_000],
)
def test_product_data_that_is_deep_or_long_is_read_or_refused(content: bytes) -> None:
    read("products.json", content)
    read("products.csv", content)


@MANY
@given(st.lists(TEXT, max_size=8))
def test_filters_are_read_or_refused(texts: list[str]) -> None:
    try:
        found = parse_filters(texts)
    except LookalikeError:
        assert any(":" not in text or text.startswith(":") for text in texts)
        return
    assert sum(map(len, found.values())) == len(texts)


@MANY
@given(st.text(alphabet="0123456789.,-+eEinfa x_", max_size=40) | TEXT)
def test_crops_lie_inside_the_picture_or_are_refused(text: str) -> None:
    with suppress(ValueError):
        crop = Crop.parse(text)
        assert 0 <= crop.left < crop.right <= 1
        assert 0 <= crop.top < crop.bottom <= 1


@MANY
@given(TEXT, st.sampled_from(["data:", "DATA:image/png;base64,", "data:image/png", ""]))
def test_data_uris_are_read_or_refused(text: str, head: str) -> None:
    with suppress(LookalikeError):
        assert 0 < data_start(head + text) <= len(head + text)


@MANY
@given(TEXT, st.integers(0, 10**7))
def test_ranges_lie_inside_or_are_none(text: str, length: int) -> None:
    for asked in (text, f"bytes={text}"):
        found = range_of(asked, length)
        if found is not None and found[0] <= found[1]:
            assert 0 <= found[0] <= found[1] < length


@MANY
@given(TEXT)
def test_whatever_headers_hold_lets_nobody_in(text: str) -> None:
    sessions = Sessions(Settings.load(image_dir=Path("/i"), store_dir=Path("/s")))
    assert sessions.key_id(text) is None
    session_cookie(f"lookalike_session={text}; lookalike_session=x")
    HostCheck(("*.shop.example",)).trusts(text)
    led_to = own_path(text)
    assert re.fullmatch(r"/([^/\\].*)?", led_to)
    need_of({"type": "http", "method": "GET", "path": text}, ())


@MANY
@given(TEXT)
def test_settings_of_the_guard_are_read_or_refused(text: str) -> None:
    for parse in (parse_keys, lambda value: parse_limits("X", value)):
        with suppress(SettingsError):
            parse(text)


@MANY
@given(st.binary(max_size=100))
def test_any_name_of_a_file_comes_back_from_its_url(name: bytes) -> None:
    path = os.fsdecode(name)
    assert path_of_url(f"/api/v1/images/{quote(name)}".encode()) == path
    shown(path).encode()


@FEW
@given(st.lists(TEXT, min_size=1, max_size=3), TEXT, TEXT)
def test_questions_of_any_text_are_answered(
    client: TestClient, filters: list[str], crop: str, other: str
) -> None:
    asked = {"filter": filters, "crop": crop, "group_by": other, "threshold": other, "top_k": crop}
    answer = client.post("/api/v1/find-similar", params=asked, files={"file": b"GIF89a"})
    assert answer.status_code in (200, 415, 422), answer.text
    answer = client.get(f"/api/v1/images/{quote(other)}", params={"size": crop, "at_ms": other})
    assert answer.status_code in (200, 307, 404, 422), answer.text


@FEW
@given(st.binary(max_size=60), TEXT)
def test_references_of_any_text_are_answered(client: TestClient, raw: bytes, text: str) -> None:
    coded = base64.b64encode(raw).decode()
    for reference in (text, coded, f"data:image/png;base64,{coded}", f"http:{text}", f"//{text}"):
        pair = {"reference_image": reference, "generated_image": coded, "pair_id": text}
        answer = client.post("/similarity", json={"pairs": [pair]})
        assert answer.status_code in (200, 422), answer.text


@FEW
@given(JSON)
def test_json_of_any_shape_is_answered(client: TestClient, value: object) -> None:
    for path in ("/similarity", "/api/v1/search", "/api/v1/items/retry", "/remote-picture"):
        answer = client.post(
            path, content=json.dumps(value), headers={"Content-Type": "application/json"}
        )
        assert answer.status_code in (200, 202, 404, 409, 422, 501, 503), (path, answer.text)
        assert answer.status_code != 503 or answer.json()["code"] == "no_ingest_daemon"
