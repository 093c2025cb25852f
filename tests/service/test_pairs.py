"""Pairs of pictures, scored as the clients of a pair scorer ask for it."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
import requests
import uvicorn
from PIL import Image

from core.errors import ModelLoadError, SettingsError, UnknownModelError
from service.app import create_app
from service.server import bind, url_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.testclient import TestClient

    from tests.service.conftest import Draw, Shop

SCORE = "/similarity"


def coded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def pair(reference: str, generated: str, name: str | None = None) -> dict[str, str]:
    named = {} if name is None else {"pair_id": name}
    return {"reference_image": reference, "generated_image": generated, **named}


def score(client: TestClient, *pairs: dict[str, str]) -> list[dict[str, Any]]:
    answer = client.post(SCORE, json={"pairs": list(pairs)})
    assert answer.status_code == 200, answer.text
    return answer.json()["scores"]


def as_png(content: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(content)).save(buffer, "PNG")
    return buffer.getvalue()


class Photos(BaseHTTPRequestHandler):
    """Serves what is in `files`, and counts."""

    files: ClassVar[dict[str, bytes]] = {}
    hits: ClassVar[Counter[str]] = Counter()

    def do_GET(self) -> None:
        type(self).hits[self.path] += 1
        content = self.files.get(self.path)
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *_: Any) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def photos(draw: Draw) -> Iterator[str]:
    """The address of a server of photos `/0.jpg` … `/9.jpg` and a text."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Photos)
    Photos.files = {f"/{seed}.jpg": draw(seed) for seed in range(10)}
    Photos.files["/notes.txt"] = b"no picture at all"
    Photos.hits = Counter()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@contextmanager
def listening(shop: Shop, **changed: Any) -> Iterator[str]:
    """The service on a real socket."""
    listener = bind("127.0.0.1", 0)
    config = uvicorn.Config(create_app(shop.with_settings(**changed)), log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield url_of(listener)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def test_a_pair_is_scored_as_the_contract_says(client: TestClient, draw: Draw) -> None:
    answer = client.post(SCORE, json={"pairs": [pair(coded(draw(1)), coded(draw(2)), "p")]})
    (found,) = answer.json()["scores"]
    assert set(answer.json()) == {"scores", "processing_time_ms"}
    assert set(found) == {"distance", "similarity", "pair_id"}
    assert found["pair_id"] == "p"
    assert 0 < found["distance"] <= 2
    assert found["similarity"] == pytest.approx(1 / (1 + found["distance"]), abs=1e-12)
    assert answer.json()["processing_time_ms"] > 0


def test_distance_is_one_minus_the_cosine_of_the_models_vectors(
    client: TestClient, draw: Draw
) -> None:
    contents = [draw(101), draw(102)]
    embedder = client.app.state.collaborators.keeper.view.embedder
    images = [Image.open(io.BytesIO(content)).convert("RGB") for content in contents]
    one, other = embedder.embed(np.stack([embedder.prepare(image) for image in images]))
    (found,) = score(client, pair(*map(coded, contents)))
    assert found["distance"] == pytest.approx(1 - float(one @ other), abs=2e-6)


def test_base64_data_uri_and_url_mean_the_same_picture(
    stocked: Shop, draw: Draw, photos: str
) -> None:
    plain = coded(draw(3))
    wrapped = "\n".join(plain[at : at + 76] for at in range(0, len(plain), 76))
    spellings = [
        plain,
        wrapped,
        base64.urlsafe_b64encode(draw(3)).decode(),
        "data:image/jpeg;base64," + plain,
        "data:image/png;name=x.png;base64," + plain,  # content decides
        "data:;base64," + plain,
        "DATA:image/jpeg;BASE64," + plain,
        f"{photos}/3.jpg",
    ]
    with stocked.open(url_allow_private=True) as client:
        found = score(client, *(pair(one, plain) for one in spellings))
    assert found == [{"distance": 0.0, "similarity": 1.0}] * len(spellings)


@pytest.mark.parametrize("seed", [4, 104])
def test_identical_pictures_are_at_distance_zero_whether_in_the_store_or_not(
    client: TestClient, draw: Draw, seed: int
) -> None:
    same, png = coded(draw(seed)), coded(as_png(draw(seed)))
    found = score(client, pair(same, same), pair(same, png), pair(png, png))
    assert [one["distance"] for one in found] == [0.0, 0.0, 0.0]


def test_a_picture_of_the_store_needs_no_forward_pass(client: TestClient, draw: Draw) -> None:
    batcher = client.app.state.collaborators.batcher
    before = batcher.pictures
    stored = score(client, pair(coded(draw(0)), coded(draw(1))))
    assert batcher.pictures == before
    fresh = score(client, pair(coded(as_png(draw(0))), coded(as_png(draw(1)))))
    assert batcher.pictures == before + 2
    assert stored[0]["distance"] == pytest.approx(fresh[0]["distance"], abs=1e-3)


def test_a_picture_that_occurs_often_is_fetched_and_embedded_once(
    stocked: Shop, draw: Draw, photos: str
) -> None:
    Photos.files["/fresh.jpg"] = draw(110)
    with stocked.open(url_allow_private=True) as client:
        batcher = client.app.state.collaborators.batcher
        found = score(
            client,
            *(pair(f"{photos}/fresh.jpg", coded(draw(111))) for _ in range(20)),
            pair(coded(draw(110)), "data:image/jpeg;base64," + coded(draw(111))),
        )
        assert batcher.pictures == 2
    assert len({one["distance"] for one in found}) == 1
    assert Photos.hits["/fresh.jpg"] == 1


def test_128_pairs_are_answered_in_order_and_bad_ones_alone_fail(
    stocked: Shop, draw: Draw, photos: str
) -> None:
    pairs = [pair(coded(draw(200 + at)), coded(draw(400 + at)), f"p{at}") for at in range(128)]
    pairs[5] = pair(f"{photos}/absent.jpg", coded(draw(1)), "gone")
    pairs[17] = pair(coded(draw(1)), f"{photos}/notes.txt", "text")
    pairs[90] = pair(f"{photos}/7.jpg", coded(draw(7)), "same")
    with listening(stocked, url_allow_private=True) as url:
        answer = requests.post(url + SCORE, json={"pairs": pairs}, timeout=60)
    found = answer.json()["scores"]
    assert answer.status_code == 200
    assert [one["pair_id"] for one in found] == [one["pair_id"] for one in pairs]
    bad = {one["pair_id"]: one["error"] for one in found if "error" in one}
    assert {name: error["code"] for name, error in bad.items()} == {
        "gone": "fetch_failed",
        "text": "not_an_image",
    }
    assert bad["gone"]["detail"].startswith("reference_image: ")
    assert "404" in bad["gone"]["detail"]
    assert bad["text"]["detail"].startswith("generated_image: ")
    assert found[90]["distance"] == 0.0
    assert set(found[5]) == {"pair_id", "error"}


def test_a_loopback_url_is_refused_in_its_place(
    client: TestClient, draw: Draw, photos: str
) -> None:
    good = coded(draw(1))
    found = score(client, pair(f"{photos}/1.jpg", good, "inside"), pair(good, good, "fine"))
    assert found[0]["error"]["code"] == "fetch_refused"
    assert "LOOKALIKE_URL_ALLOW_PRIVATE" in found[0]["error"]["detail"]
    assert found[1]["distance"] == 0.0
    assert not Photos.hits


@pytest.mark.parametrize(
    ("reference", "code", "says"),
    [
        ("", "empty_file", "reference_image"),
        ("not base64 !!", "invalid_base64", "base64"),
        ("абв", "invalid_base64", "base64"),
        ("QUJD", "not_an_image", "picture"),
        ("QUJDR", "invalid_base64", "base64"),
        ("data:text/plain;base64,QUJD", "unsupported_data_uri", "text/plain"),
        ("data:image/png,raw", "unsupported_data_uri", "base64"),
        ("data:image/png;base64", "unsupported_data_uri", "comma"),
        ("ftp://example.com/x.jpg", "fetch_refused", "http"),
        ("file:///etc/passwd", "fetch_refused", "http"),
        ("http://", "fetch_refused", "host"),
    ],
)
def test_what_a_reference_cannot_be_is_said_in_its_place(
    client: TestClient, draw: Draw, reference: str, code: str, says: str
) -> None:
    good = coded(draw(1))
    bad, fine = score(client, pair(reference, good), pair(good, good))
    assert bad["error"]["code"] == code
    assert says in bad["error"]["detail"]
    assert fine["distance"] == 0.0


def test_a_picture_over_a_limit_fails_alone_naming_the_setting(stocked: Shop, draw: Draw) -> None:
    large, small = draw(1, "PNG", (900, 900)), draw(2, "JPEG", (40, 40))
    with stocked.open(max_upload_mb=len(large) / 2e6, max_image_megapixels=0.01) as client:
        heavy, wide = score(
            client,
            pair(coded(small), coded(large)),
            pair(coded(draw(2, "JPEG", (200, 100))), coded(small)),
        )
    assert {heavy["error"]["code"], wide["error"]["code"]} == {"image_too_large"}
    assert "LOOKALIKE_MAX_UPLOAD_MB" in heavy["error"]["detail"]
    assert "LOOKALIKE_MAX_IMAGE_MEGAPIXELS" in wide["error"]["detail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", ""),
        (b"{", ""),
        (b"[]", ""),
        (b"{}", "pairs"),
        (b'{"pairs": []}', "pairs"),
        (b'{"pairs": {}}', "pairs"),
        (b'{"pairs": ["x"]}', "pairs.0"),
        (b'{"pairs": [{"reference_image": "QUJD"}]}', "pairs.0.generated_image"),
        (
            b'{"pairs": [{"reference_image": 5, "generated_image": "QUJD"}]}',
            "pairs.0.reference_image",
        ),
        (
            b'{"pairs": [{"reference_image": "", "generated_image": "", "pair_id": 5}]}',
            "pairs.0.pair_id",
        ),
        (b'{"pairs": ' * 100 + b"[]" + b"}" * 100, "pairs"),
        (b'{"pairs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "pairs"),
        (b'{"pairs": ' + b"[" * 5000 + b"]" * 5000 + b"}", ""),
        (b'{"pairs": [' + b"{}," * 1_000_000 + b"{}]}", "pairs"),
    ],
)
def test_a_request_of_another_form_is_refused_whole(
    client: TestClient, body: bytes, field: str
) -> None:
    answer = client.post(SCORE, content=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"][0]["field"] == field
    assert len(answer.content) < 5000


@pytest.mark.parametrize("count", [129, 10_000])
def test_too_many_pairs_are_refused_naming_the_limit(client: TestClient, count: int) -> None:
    answer = client.post(SCORE, json={"pairs": [pair("QUJD", "QUJD", "x")] * count})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"][0]["field"] == "pairs"
    for part in (f"{count:,}", "128", "LOOKALIKE_MAX_PAIRS"):
        assert part in answer.json()["detail"]


def test_the_body_has_a_limit_of_its_own(stocked: Shop, draw: Draw) -> None:
    with stocked.open(max_pairs_body_mb=0.01, max_upload_mb=100) as client:
        answer = client.post(SCORE, content=b"x" * 10_001)
        assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")
        assert "LOOKALIKE_MAX_PAIRS_BODY_MB" in answer.json()["detail"]
        answer = client.post("/api/v1/find-similar", files={"file": draw(1)})
        assert answer.status_code == 200


def test_curl_as_clients_call_it(stocked: Shop, draw: Draw) -> None:
    body = json.dumps({"pairs": [pair(coded(draw(1)), coded(draw(1)))]})
    with listening(stocked) as url:
        said = subprocess.run(
            ["curl", "-sS", "-X", "POST", url + SCORE,
             "-H", "Content-Type: application/json", "-d", body],
            capture_output=True, check=True,
        ).stdout  # fmt: skip
    assert json.loads(said)["scores"] == [{"distance": 0.0, "similarity": 1.0}]


def test_a_model_of_their_own_scores_pairs(stocked: Shop, draw: Draw) -> None:
    with stocked.open(pair_model="classic") as client:
        parts = client.app.state.collaborators
        found = score(client, pair(coded(draw(120)), coded(draw(121))))
        assert found[0]["distance"] > 0
        assert parts.batcher.pictures == 0
        assert client.get("/health").json()["model_type"] == "classic"
        # Its space is the store's here, so what is in the store serves it, too.
        made = parts.pair_model.current().batcher.pictures
        score(client, pair(coded(draw(1)), coded(draw(2))))
        assert parts.pair_model.current().batcher.pictures == made == 2


def test_a_pair_model_that_cannot_be_loaded_stops_the_start_by_name(stocked: Shop) -> None:
    with pytest.raises(UnknownModelError, match="LOOKALIKE_PAIR_MODEL='nonsense'"):
        create_app(stocked.with_settings(pair_model="nonsense")).state.collaborators.load()
    absent = stocked.with_settings(
        pair_model="timm:resnet18", pair_model_weights=stocked.folder / "absent.pt"
    )
    with pytest.raises(ModelLoadError, match="LOOKALIKE_PAIR_MODEL_WEIGHTS="):
        create_app(absent).state.collaborators.load()
    wrong = stocked.with_settings(pair_model="timm:resnet18", device="cuda")
    with pytest.raises((SettingsError, ModelLoadError)):
        create_app(wrong).state.collaborators.load()


def test_a_model_that_fails_on_everything_fails_the_request(
    stocked: Shop, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_pixels: Any) -> Any:
        raise RuntimeError("out of order")

    with stocked.open(pair_model="classic") as client:
        monkeypatch.setattr(client.app.state.collaborators.pair_model.embedder, "embed", fail)
        answer = client.post(SCORE, json={"pairs": [pair(coded(draw(130)), coded(draw(131)))]})
    assert (answer.status_code, answer.json()["code"]) == (503, "model_error")


def test_the_description_holds_the_form_of_a_request(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    body = described["paths"][SCORE]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/PairsRequest"}
    assert {"PairsRequest", "PairRequest"} <= described["components"]["schemas"].keys()
