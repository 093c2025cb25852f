"""A small shop with real pictures, a real store and the real service over it."""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import psutil
import pytest
from PIL import Image, ImageDraw
from starlette.testclient import TestClient

from core.records import RunOptions, RunState
from core.settings import Settings
from ingest.daemon import Daemon
from ingest.runner import run_now
from service.app import create_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from core.records import Run

REPOSITORY = Path(__file__).parents[2]
Draw: TypeAlias = "Callable[..., bytes]"
WaitFor: TypeAlias = "Callable[..., None]"
CLIP = "ViT-S-32-alt"  # the smallest architecture open_clip ships
SHAPES = ("ellipse", "rectangle")


def draw(seed: int, kind: str = "JPEG", size: tuple[int, int] = (120, 100)) -> bytes:
    """A picture of its own for each seed, the same each time."""
    dice = random.Random(seed)  # the same each time
    image = Image.new("RGB", size, _colour(dice))
    pen = ImageDraw.Draw(image)
    for _ in range(6):
        x, y = dice.randrange(size[0] - 30), dice.randrange(size[1] - 30)
        box = (x, y, x + dice.randrange(15, 60), y + dice.randrange(15, 60))
        getattr(pen, dice.choice(SHAPES))(box, fill=_colour(dice))
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def _colour(dice: random.Random) -> tuple[int, int, int]:
    return dice.randrange(256), dice.randrange(256), dice.randrange(256)


@dataclass(frozen=True)
class Shop:
    """An image folder and a store, and what can be done with them."""

    settings: Settings

    @property
    def folder(self) -> Path:
        return self.settings.image_dir

    def put(self, path: str | bytes, content: bytes) -> Path:
        """Put a file into the image folder."""
        file = Path(os.fsdecode(os.path.join(os.fsencode(self.folder), os.fsencode(path))))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def ingest(self, settings: Settings | None = None, **options: bool) -> Run:
        """Do one run, which must succeed."""
        asked = RunOptions(**options)
        run = run_now(settings or self.settings, asked, "cli", threading.Event())
        assert run.state is RunState.SUCCEEDED, run.message
        return run

    def with_settings(self, **changed: Any) -> Settings:
        return self.settings.model_copy(update=changed)

    @contextmanager
    def open(self, **changed: Any) -> Iterator[TestClient]:
        """The service over this shop, without an ingest daemon."""
        with TestClient(create_app(self.with_settings(**changed))) as client:
            yield client

    @contextmanager
    def daemon(self) -> Iterator[None]:
        """An ingest daemon at work."""
        stop = threading.Event()
        daemon = Daemon(self.settings, stop)
        thread = threading.Thread(target=daemon.work)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def build_shop(folder: Path, **settings: Any) -> Shop:
    images = folder / "images"
    images.mkdir(parents=True)
    return Shop(
        Settings.load(
            image_dir=images,
            store_dir=folder / "store",
            model="classic",
            decode_workers=1,
            **settings,
        )
    )


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """An empty shop that a test may change."""
    return build_shop(tmp_path)


@pytest.fixture(scope="session")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop of twelve ingested photos that no test changes."""
    return build_stocked_shop(tmp_path_factory.mktemp("stocked"))


def build_stocked_shop(folder: Path) -> Shop:
    shop = build_shop(folder)
    for seed in range(10):
        shop.put(f"shoes/s{seed}.jpg", draw(seed))
    shop.put("twin.jpg", draw(20))
    shop.put("twin.png", draw(21, "PNG"))
    shop.put(
        "products.csv",
        b"path,product_id,colour\nshoes/s0.jpg,runner,red\nshoes/s1.jpg,runner,blue\n",
    )
    shop.ingest()
    return shop


@pytest.fixture(scope="session")
def client(stocked: Shop) -> Iterator[TestClient]:
    """The service over the stocked shop."""
    with stocked.open() as client:
        yield client


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop of 24 photos of 8 products, all but the last two described; no test changes it."""
    shop = build_shop(tmp_path_factory.mktemp("labelled"))
    stock_labelled(shop)
    return shop


def stock_labelled(shop: Shop) -> None:
    """Three photos each of eight products, seeded 0 to 23."""
    rows = ["path,product_id,category,colour,note"]
    for seed in range(24):
        shop.put(f"p/{seed}.jpg", draw(seed))
        product = seed // 3
        category, colour = ("shoes", "bags")[product % 2], ("red", "blue", "a:b, c")[product % 3]
        if product < 6:
            rows.append(f'p/{seed}.jpg,product-{product},{category},"{colour}",')
        elif product == 6:
            rows.append(f"p/{seed}.jpg,product-{product},,,only here")
    shop.put("products.csv", "\n".join(rows).encode())
    shop.ingest()


@pytest.fixture(scope="session")
def labelled_client(labelled: Shop) -> Iterator[TestClient]:
    """The service over the labelled shop."""
    with labelled.open() as client:
        yield client


@pytest.fixture(scope="session")
def clip_shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The labelled photos under the smallest open_clip architecture with seeded weights."""
    import open_clip  # noqa: PLC0415  # heavy, and most tests do without
    import torch  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(1)
    weights = folder / "clip.pt"
    torch.save(open_clip.create_model(CLIP).state_dict(), weights)
    shop = build_shop(folder)
    model = {"model": f"open_clip:{CLIP}", "model_weights": weights, "device": "cpu"}
    shop = Shop(shop.with_settings(**model, labels="red shoe, blue bag"))
    stock_labelled(shop)
    return shop


@pytest.fixture(scope="session")
def clip_client(clip_shop: Shop) -> Iterator[TestClient]:
    """The service over a shop whose model reads text."""
    with clip_shop.open() as client:
        yield client


@pytest.fixture
def photos(tmp_path: Path) -> Iterator[str]:
    """The address of a web server of the photos `/0.jpg` to `/9.jpg` and of `/notes.txt`."""
    folder = tmp_path / "web"
    folder.mkdir()
    for seed in range(10):
        (folder / f"{seed}.jpg").write_bytes(draw(seed))
    (folder / "notes.txt").write_text("no picture at all")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietFiles, directory=folder))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


class QuietFiles(SimpleHTTPRequestHandler):
    """Serves a folder and keeps the tests' output clean."""

    def log_message(self, *_: Any) -> None:
        pass


def wait_for(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture(name="draw")
def draw_fixture() -> Draw:
    return draw


@pytest.fixture(name="wait_for")
def wait_for_fixture() -> WaitFor:
    return wait_for


class Server:
    """`lookalike serve` as a process of its own."""

    def __init__(self, shop: Shop, *options: str, **environment: str) -> None:
        self.log = list[str]()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "service", "serve", "--port", "0", *options],
            env={**os.environ, **environment_of(shop), **environment},
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        """Wait until it answers."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("Lookalike answers at "), self.process.communicate()[1]
        self.url = line.split()[-1]
        threading.Thread(target=self._read_log, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        self.log += self.process.stderr

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


def environment_of(shop: Shop) -> dict[str, str]:
    return {
        "LOOKALIKE_IMAGE_DIR": str(shop.settings.image_dir),
        "LOOKALIKE_STORE_DIR": str(shop.settings.store_dir),
        "LOOKALIKE_MODEL": shop.settings.model,
        "LOOKALIKE_DECODE_WORKERS": "1",
    }


@pytest.fixture(name="serve")
def serve_fixture() -> type[Server]:
    return Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The service and its daemon over a stocked shop of their own."""
    with Server(
        build_stocked_shop(tmp_path_factory.mktemp("served")), LOOKALIKE_MAX_UPLOAD_MB="1"
    ) as server:
        yield server
