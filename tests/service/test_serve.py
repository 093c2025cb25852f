"""The whole product as a process, and its clients as they are."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import psutil
import pytest
import requests
from typer.testing import CliRunner

from service.__main__ import app, main
from service.client import LookalikeClient, RefusedError, ServiceUnreachableError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.service.conftest import Draw, Server, Shop, WaitFor

SERVE = (sys.executable, "-m", "service", "serve", "--port", "0")


def curl(*arguments: str) -> str:
    return subprocess.run(
        ["curl", "-sS", *arguments], check=True, capture_output=True, text=True, timeout=60
    ).stdout


def photo(folder: Path, content: bytes) -> Path:
    file = folder / "query.jpg"
    file.write_bytes(content)
    return file


def test_the_contracts_clients_work_as_they_are(server: Server, draw: Draw, tmp_path: Path) -> None:
    query = photo(tmp_path, draw(4))
    with query.open("rb") as file:
        answer = requests.post(
            f"{server.url}/api/v1/find-similar?threshold=0.84&top_k=10",
            files={"file": file},
            timeout=30,
        )
    assert answer.json()["matches"][0]["filename"] == "s4.jpg"
    found = json.loads(curl("-F", f"file=@{query}", f"{server.url}/api/v1/find-similar"))
    assert found["matches"][0]["similarity_score"] > 0.99
    run = json.loads(curl("-X", "POST", f"{server.url}/api/v1/preprocess"))
    assert (run["success"], run["total_images"], run["new_images"]) == (True, 12, 0)
    status = json.loads(curl(f"{server.url}/api/v1/preprocess/status"))
    assert (status["total_images"], status["pending_images"]) == (12, 0)
    assert json.loads(curl(f"{server.url}/health"))["status"] == "healthy"
    assert json.loads(curl(f"{server.url}/stats"))["total_products"] == 12
    events = curl("-N", f"{server.url}/api/v1/runs/{run['id']}/events")
    assert '"state":"succeeded"' in events


def test_the_command_line_shows_what_it_finds(server: Server, draw: Draw, tmp_path: Path) -> None:
    query = str(photo(tmp_path, draw(4)))
    runner = CliRunner()
    table = runner.invoke(app, ["search", query, "--url", server.url, "--top", "1"])
    assert table.exit_code == 0
    assert "shoes/s4.jpg" in table.stdout
    none = runner.invoke(
        app, ["search", query, "--url", server.url, "--top", "1", "--threshold", "1"]
    )
    assert none.exit_code == 0
    asked = ["search", query, "--url", server.url, "--threshold", "0.5", "--json"]
    answer = json.loads(runner.invoke(app, asked).stdout)
    assert (answer["threshold_used"], answer["matches"][0]["image_id"]) == (0.5, "shoes/s4")
    shown = runner.invoke(app, ["status", "--url", server.url])
    assert "healthy" in shown.stdout
    assert "12 indexed" in shown.stdout
    facts = json.loads(runner.invoke(app, ["status", "--url", server.url, "--json"]).stdout)
    assert (facts["status"], facts["total_products"]) == ("healthy", 12)


def test_the_command_line_says_where_no_service_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["lookalike", "status", "--url", "http://127.0.0.1:1"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 1
    assert "http://127.0.0.1:1" in capsys.readouterr().err


def test_the_typed_client_speaks_every_route(server: Server, draw: Draw) -> None:
    with LookalikeClient(server.url) as client:
        best = client.find_similar(draw(6), top_k=1).matches[0]
        assert best.image_id == "shoes/s6"
        assert client.image(best.image_url) == draw(6)
        assert client.image(best.image_url, size=32).startswith(b"\xff\xd8")
        assert client.preprocess(verify=True).hashed == 12
        run = client.queue_run(batch_size=4)
        while not client.run(run.id).finished_at:
            time.sleep(0.05)
        assert client.runs(limit=1).runs[0].id == run.id
        assert client.folder_status().total_images == 12
        assert client.health().model_loaded
        assert client.stats().items["indexed"] == 12
        assert client.items("indexed", limit=3).total == 12
        with pytest.raises(RefusedError) as refused:
            client.cancel_run(run.id)
        assert (refused.value.status, refused.value.problem_code) == (409, "run_over")
        assert refused.value.run_id == run.id
    with LookalikeClient("http://127.0.0.1:1") as client, pytest.raises(ServiceUnreachableError):
        client.health()


def test_many_clients_at_once_are_all_answered_right(server: Server, draw: Draw) -> None:
    wrong: list[object] = []

    def search(seed: int) -> None:
        for _ in range(6):
            answer = requests.post(
                f"{server.url}/api/v1/find-similar", files={"file": draw(seed)}, timeout=30
            ).json()
            if answer["matches"][0]["image_id"] != f"shoes/s{seed}":
                wrong.append(answer)

    threads = [threading.Thread(target=search, args=(n % 10,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_sigterm_ends_the_service_and_its_daemon_even_while_a_client_follows_a_run(
    shop: Shop, serve: type[Server], wait_for: WaitFor
) -> None:
    with serve(shop) as server:
        wait_for(lambda: len(server.children()) == 1)
        daemon = server.children()[0]
        wait_for(lambda: requests.get(f"{server.url}/stats", timeout=5).json()["ingest"])
        requests.post(f"{server.url}/api/v1/preprocess", timeout=30)
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as idle:
            idle.sendall(b"POST /api/v1/find-similar HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n")
            started = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(timeout=15) == 0
            assert time.monotonic() - started < 15
        assert not daemon.is_running()


def test_the_daemon_comes_back_when_it_dies_and_does_not_outlive_the_service(
    shop: Shop, serve: type[Server], draw: Draw, wait_for: WaitFor
) -> None:
    shop.put("a.jpg", draw(1))
    with serve(shop) as server:
        wait_for(lambda: len(server.children()) == 1)
        first = server.children()[0]
        first.kill()
        wait_for(lambda: [child.pid for child in server.children()] not in ([], [first.pid]))
        run = requests.post(f"{server.url}/api/v1/preprocess", timeout=60).json()
        assert run["new_images"] == 1
        second = server.children()[0]
        server.process.kill()
        server.process.wait()
        wait_for(lambda: not _alive(second))


def _alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_serving_without_ingest_works_on_a_store_that_never_existed(
    shop: Shop, serve: type[Server]
) -> None:
    shop.folder.rmdir()
    with serve(shop, "--no-ingest") as server:
        assert server.children() == []
        assert requests.get(f"{server.url}/health/ready", timeout=5).status_code == 200
        refused = requests.post(f"{server.url}/api/v1/preprocess", timeout=5)
        assert refused.json()["code"] == "no_ingest_daemon"
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=10) == 0


@pytest.mark.parametrize(
    ("environment", "code", "named"),
    [
        ({"LOOKALIKE_THRESHOLD": "7"}, 2, "LOOKALIKE_THRESHOLD"),
        ({"LOOKALIKE_IMAGE_DIR": "/nowhere/at/all"}, 2, "LOOKALIKE_IMAGE_DIR"),
        ({"LOOKALIKE_MODEL": "made_up:thing"}, 1, "LOOKALIKE_MODEL"),
        ({"LOOKALIKE_MODEL_WEIGHTS": "/nowhere/w.pt"}, 1, "LOOKALIKE_MODEL_WEIGHTS"),
        ({"LOOKALIKE_STORE_DIR": "/proc/nowhere"}, 1, "LOOKALIKE_STORE_DIR"),
    ],
)
def test_what_cannot_be_served_is_refused_in_a_sentence(
    shop: Shop, environment: dict[str, str], code: int, named: str
) -> None:
    settings = {
        "LOOKALIKE_IMAGE_DIR": str(shop.folder),
        "LOOKALIKE_STORE_DIR": str(shop.settings.store_dir),
    }
    done = subprocess.run(
        SERVE,
        env={**os.environ, **settings, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_port_in_use_is_named(shop: Shop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*SERVE[:-1], str(port), "--no-ingest"],
            env={**os.environ, "LOOKALIKE_STORE_DIR": str(shop.settings.store_dir)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 2
    assert f"127.0.0.1:{port}" in done.stderr
    assert not shop.settings.store_dir.exists()


def test_help_loads_neither_torch_nor_faiss() -> None:
    code = (
        "import sys; sys.argv = ['lookalike', '--help']\n"
        "from service.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'faiss', 'fastapi'} & set(sys.modules), 'heavy'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
