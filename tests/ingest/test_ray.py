"""Embedding on Ray: real actors on a real cluster, whose machines are lost."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest

from core.errors import ClusterError, SourceError
from core.store.catalog import Catalog
from tests.bucket import Bucket, serve_buckets
from tests.shop import picture_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from core.records import RunCounters
    from tests.shop import Shop

# Ray reads its token once, as it is loaded.
os.environ.setdefault("RAY_AUTH_MODE", "token")
os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
ray = pytest.importorskip("ray")

NODES = 3


@pytest.fixture(scope="module")
def machines() -> Iterator[Any]:
    """A head that embeds nothing."""
    from ray.cluster_utils import Cluster  # noqa: PLC0415  # where the extra is installed

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    yield made
    made.shutdown()


@pytest.fixture
def cluster(machines: Any) -> Any:
    """Three machines of one processor, whatever the tests before left."""
    while len(machines.worker_nodes) < NODES:
        machines.add_node(num_cpus=1)
    return machines


def facts(shop: Shop) -> dict[str, tuple[str, bytes | None, str | None]]:
    return {path: (item.state, item.md5, item.reason_code) for path, item in shop.items().items()}


def vectors(shop: Shop) -> dict[bytes, np.ndarray]:
    """Every stored vector by its content's MD5."""
    snapshot = shop.snapshot()
    assert snapshot.vectors is not None
    table, ids = snapshot.entries, snapshot.entries.vector_ids
    rows = snapshot.vectors.read(ids)
    items = shop.items()
    return {items[table[place].path].md5: rows[place] for place in range(len(table))}


def assert_same(one: Shop, other: Shop) -> None:
    assert facts(one) == facts(other)
    ours, theirs = vectors(one), vectors(other)
    assert ours.keys() == theirs.keys()
    for md5, vector in ours.items():
        assert np.allclose(vector, theirs[md5], atol=1e-3)


def filled(shop: Shop, count: int) -> Shop:
    shop.photos(count, "bags/")
    shop.photo("copy.png", seed=1)
    shop.photo("again.png", seed=1)
    shop.write("bad.png", "no picture")
    shop.write("empty.png", "")
    shop.write("notes.txt", "no picture")
    return shop


def twin(shop: Shop, make_shop: Callable[..., Shop]) -> Shop:
    """Another store of the same photos, embedded in this process."""
    other = make_shop("twin")
    other.images = shop.images
    other.ingest()
    return other


def test_a_run_on_ray_gives_what_a_run_here_gives(
    shop: Shop, make_shop: Callable[..., Shop]
) -> None:
    filled(shop, 12)
    run = shop.ingest(shop.settings(ray_address="local", ray_workers=1, batch_size=4))
    assert (run.counters.new, run.counters.embedded, run.counters.failed) == (14, 13, 2)
    assert_same(shop, twin(shop, make_shop))
    assert not ray.is_initialized()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_machine_lost_in_the_middle_costs_only_repeated_work(
    shop: Shop,
    make_shop: Callable[..., Shop],
    cluster: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    filled(shop, 400)
    lost = threading.Event()

    def show(counters: RunCounters) -> None:
        if counters.embedded >= 40 and not lost.is_set():
            lost.set()
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)

    settings = shop.settings(ray_address=cluster.address, batch_size=4, commit_every_images=50)
    run = shop.run(settings, show=show)
    assert run.state == "succeeded", run.message
    assert lost.is_set()
    assert not capsys.readouterr().out  # where a script reads how the run went
    assert run.counters.new == 402
    assert_same(shop, twin(shop, make_shop))


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_actors_killed_again_and_again_cost_only_repeated_work(
    shop: Shop, make_shop: Callable[..., Shop], cluster: Any
) -> None:
    filled(shop, 300)
    killed = list[int]()

    def show(counters: RunCounters) -> None:
        if counters.embedded >= 40 * (len(killed) + 1) and len(killed) < 4:
            actors = [p for p in psutil.process_iter(["name", "cmdline"]) if _is_actor(p)]
            if actors:
                actors[0].kill()
                killed.append(actors[0].pid)

    settings = shop.settings(ray_address=cluster.address, batch_size=4)
    run = shop.run(settings, show=show)
    assert run.state == "succeeded", run.message
    assert killed
    assert_same(shop, twin(shop, make_shop))


def _is_actor(process: psutil.Process) -> bool:
    line = " ".join(process.info["cmdline"] or [])
    return line.startswith("ray::EmbedWorker")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_on_ray_stops_when_told_to_and_goes_on_where_it_was(
    shop: Shop, make_shop: Callable[..., Shop], cluster: Any
) -> None:
    filled(shop, 300)

    def show(counters: RunCounters) -> None:
        if counters.embedded >= 20:
            with closing(Catalog(shop.store)) as catalog:
                active = catalog.runs.active()
                if active is not None:
                    catalog.runs.request_cancel(active.id)

    settings = shop.settings(ray_address=cluster.address, batch_size=4)
    run = shop.run(settings, show=show)
    assert run.state == "cancelled"
    published = sum(state == "indexed" for state in shop.states().values())
    assert 20 <= published < 302
    again = shop.ingest(settings)
    assert again.counters.embedded < 301 - published + 5
    assert_same(shop, twin(shop, make_shop))


@pytest.mark.slow
def test_a_worker_that_cannot_see_the_photos_says_so(shop: Shop) -> None:
    from ingest.ray_worker import EmbedWorker, Useless  # noqa: PLC0415  # as an actor makes it

    shop.photos(1)
    worker = EmbedWorker(shop.settings(image_dir=shop.images / "elsewhere"), 4)
    answer = worker.ready()
    assert isinstance(answer, Useless)
    assert answer.code == SourceError.code
    assert "LOOKALIKE_IMAGE_DIR" in answer.message


@pytest.mark.slow
def test_a_cluster_without_room_or_without_an_answer_ends_the_run_with_a_sentence(
    shop: Shop,
) -> None:
    shop.photos(1)
    chosen = {"ray_address": "local", "ray_workers": 1, "ray_gpus": 0.5, "ray_start_s": 3}
    run = shop.run(shop.settings(**chosen))
    assert (run.state, run.error_code) == ("failed", ClusterError.code)
    assert "LOOKALIKE_RAY_GPUS" in (run.message or "")
    nobody = shop.run(shop.settings(ray_address="127.0.0.1:9"))
    assert (nobody.state, nobody.error_code) == ("failed", ClusterError.code)
    assert "LOOKALIKE_RAY_ADDRESS" in (nobody.message or "")


@pytest.mark.slow
@pytest.mark.parametrize("disguised", [False, True])
def test_workers_fetch_objects_and_the_coordinator_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, disguised: bool
) -> None:
    pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "somebody")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with contextmanager(serve_buckets)() as endpoint:
        endpoint.disguised = disguised
        bucket = Bucket(endpoint, tmp_path / "store")
        bucket.photos(12)
        bucket.put("bad.png", "no picture")
        bucket.put("notes.txt", "no picture")
        bucket.fetches()
        shop = bucket.shop()
        settings = shop.settings(ray_address="local", ray_workers=1, batch_size=4)
        run = shop.ingest(settings)
        assert (run.counters.new, run.counters.failed) == (12, 1)
        fetches = bucket.fetches()
        assert fetches.keys() == set(shop.items()) | {"notes.txt"}
        assert set(fetches.values()) == {1}
        found = shop.items()
        for number in range(12):
            content = picture_bytes(number)
            assert found[f"{number:04d}.png"].md5 == hashlib.md5(content).digest()
            assert shop.found(content) == {f"{number:04d}.png"}
        assert shop.ingest(settings).counters.planned == 0


@pytest.mark.slow
def test_a_cluster_asks_for_its_token(
    shop: Shop, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.photos(2)
    settings = {"ray_address": cluster.address, "ray_workers": 1}
    right = shop.cli("run", "--json", timeout_s=150, **settings)
    assert right.returncode == 0, right.stderr
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 32)
    shop.photo("another.png")
    wrong = shop.cli("run", "--json", timeout_s=150, **settings)
    assert json.loads(wrong.stdout)["error_code"] == ClusterError.code, wrong.stdout
