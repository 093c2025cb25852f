"""A bucket behind real HTTP, whose every request is known and whose answers a test may break."""

from __future__ import annotations

import json
import logging
import re
import threading
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from core.settings import Settings
from tests.shop import Shop, picture_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

_MD5 = re.compile(rb"(?<=[;\"])[0-9a-f]{32}(?=[&\"])")


class Asked(NamedTuple):
    """One request: `LIST`, `HEAD` or `GET`, and the key, or how far the listing had come."""

    what: str
    key: str


class Endpoint:
    """moto's server, with a layer of HTTP around it that counts and breaks."""

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import (  # noqa: PLC0415  # where the extra is installed
            DomainDispatcherApplication,
            create_backend_app,
        )
        from werkzeug.serving import make_server  # noqa: PLC0415

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.asked: list[Asked] = []
        self.broken: Callable[[Asked], int | None] = lambda _: None  # a status in its place
        self.short: Callable[[Asked], bool] = lambda _: False  # bodies that break off
        self.disguised = False  # ETags are no MD5s, as with a customer's encryption key
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        asked = _asked(environ)
        self.asked.append(asked)
        status = self.broken(asked)
        if status is not None:
            body = b"<Error><Code>%s</Code><Message>broken by the test</Message></Error>" % (
                b"AccessDenied" if status == 403 else b"InternalError"
            )
            start(f"{status} Broken", [("Content-Length", str(len(body)))])
            return [body]
        if self.short(asked):
            return self._cut(environ, start)
        return self._disguise(environ, start) if self.disguised else self._app(environ, start)

    def _cut(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        body = b"".join(self._app(environ, start))
        return [body[: len(body) // 2]]

    def _disguise(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        def turned(status: str, headers: list[tuple[str, str]], *rest: object) -> object:
            changed = [
                (
                    name,
                    value[:1] + value[1:-1][::-1] + value[-1:] if name.lower() == "etag" else value,
                )
                for name, value in headers
            ]
            return start(status, changed, *rest)

        body = b"".join(self._app(environ, turned))
        return [_MD5.sub(lambda found: found[0][::-1], body)]


def _asked(environ: dict[str, Any]) -> Asked:
    key = unquote(environ.get("RAW_URI", environ["PATH_INFO"]).partition("?")[0]).split("/", 2)
    query = environ.get("QUERY_STRING", "")
    if "list-type" in query:
        return Asked("LIST", "next" if "continuation-token" in query else "first")
    return Asked(environ["REQUEST_METHOD"], key[2] if len(key) > 2 else "")


@dataclass
class Bucket:
    """One bucket, filled and asked like a shop's folder."""

    endpoint: Endpoint
    store: Path
    name: str = field(default_factory=lambda: f"shop-{uuid.uuid4().hex[:12]}")
    prefix: str = "photos"
    chosen: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        import boto3  # noqa: PLC0415  # where the extra is installed

        self.client = boto3.client("s3", endpoint_url=self.endpoint.url)
        self.client.create_bucket(Bucket=self.name)

    @property
    def url(self) -> str:
        return f"s3://{self.name}/{self.prefix}"

    def put(self, path: str, content: bytes | str, **how: str) -> None:
        body = content.encode() if isinstance(content, str) else content
        self.client.put_object(Bucket=self.name, Key=f"{self.prefix}/{path}", Body=body, **how)

    def photos(self, count: int, folder: str = "", first: int = 0) -> None:
        for number in range(first, first + count):
            self.put(f"{folder}{number:04d}.png", picture_bytes(number))

    def put_in_parts(self, path: str, content: bytes) -> None:
        where = {"Bucket": self.name, "Key": f"{self.prefix}/{path}"}
        upload = self.client.create_multipart_upload(**where)["UploadId"]
        part = self.client.upload_part(**where, UploadId=upload, PartNumber=1, Body=content)
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        self.client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload=parts)

    def remove(self, *paths: str) -> None:
        for path in paths:
            self.client.delete_object(Bucket=self.name, Key=f"{self.prefix}/{path}")

    def shop(self) -> BucketShop:
        """The store of this bucket, with all that can be asked of one."""
        return BucketShop(self)

    def fetches(self) -> Counter[str]:
        """How often each object has been fetched since the last time."""
        got = [each for each in self.endpoint.asked if each.what in ("GET", "HEAD") and each.key]
        self.endpoint.asked.clear()
        start = len(self.prefix) + 1
        return Counter(each.key[start:] for each in got)


class BucketShop(Shop):
    """A store whose photos lie in a bucket."""

    def __init__(self, bucket: Bucket) -> None:
        self.images = self.store = bucket.store
        self._settings = {
            "image_dir": bucket.url,
            "storage_options": json.dumps({"endpoint_url": bucket.endpoint.url}),
            "decode_workers": 1,
            **bucket.chosen,
        }

    def settings(self, **overrides: object) -> Settings:
        return Settings.load(**{"store_dir": self.store, **self._settings, **overrides})

    def environment(self, **settings: object) -> dict[str, str]:
        return super().environment(**{**self._settings, **settings})


def serve_buckets() -> Iterator[Endpoint]:
    """One endpoint for the tests of a module."""
    endpoint = Endpoint()
    try:
        yield endpoint
    finally:
        endpoint.stop()
