"""Queries beside other products: one client's wait, and what sixteen get answered together.

Each service holds the sample catalogue and is asked for the nearest of the same JPEG over
loopback; all run with the same model, in environments of their own, and are asked in turns.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

import numpy as np

from benchmarks.figures import Figure, Options, Table
from benchmarks.ingest import random_clip
from benchmarks.load import QUERY, ROOT, Client, served, upload
from benchmarks.queries import ask
from benchmarks.side_environments import offline
from benchmarks.side_programs import Program, UnavailableError
from benchmarks.synthetic_store import fresh_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MODEL: Final = "open_clip:ViT-B-32"
_OURS: Final = "Lookalike"
_MANY: Final = 16  # clients at once
_START_S: Final = 180.0
_WARM_UP_S: Final = 1.0
_PROGRAMS: Final = (
    Program("plain FastAPI", "serve_plain.py", remark="decode, forward, flat search"),
    Program("chromadb 1.5.9 behind FastAPI", "serve_chromadb.py", "chromadb"),
    Program("clip-retrieval 2.45.0 back", "serve_clip_retrieval.py", "clip-retrieval"),
    Program(
        "infinity-emb 0.0.78",
        "serve_infinity.py",
        "infinity",
        own_model=True,
        remark="vectors only, it searches nothing",
    ),
)


def measure(options: Options) -> Table:
    """Start all services, then ask them in turns."""
    seconds, rounds = (2.0, 1) if options.quick else (4.0, 2)
    absent: dict[str, str] = {}
    clients: dict[str, Client] = {}
    environment = {
        "LOOKALIKE_MODEL": _MODEL,
        "LOOKALIKE_MODEL_WEIGHTS": str(random_clip(options.folder)),
    }
    with ExitStack() as running:
        for program in _PROGRAMS:
            try:
                service = running.enter_context(_running(program, options.folder))
                clients[program.label] = Client(service, _request(program))
            except UnavailableError as error:
                absent[program.label] = str(error)
        url, _ = running.enter_context(served(**environment))
        clients[_OURS] = Client(url)
        _wait(clients, absent)
        print("all services answer", file=sys.stderr, flush=True)
        found = _rounds(clients, rounds, seconds, absent)
    return _table(found, absent)


@contextmanager
def _running(program: Program, folder: Path) -> Iterator[str]:
    """Start a service and give its address; it may take a while until it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = fresh_folder(folder / "side/out" / program.script)
    command = [*program.command(folder), str(ROOT / "data/images"), str(own), str(port)]
    with (
        (folder / "side" / f"{program.script}.log").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env=offline()) as process,  # noqa: S603
    ):
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


def _request(program: Program) -> bytes:
    """What this service understands."""
    picture = base64.b64encode(QUERY.read_bytes()).decode()
    bodies = {
        "clip-retrieval": (
            "/knn-service",
            {"image": picture, "modality": "image", "num_images": 10, "indice_name": "photos"},
        ),
        "infinity": (
            "/embeddings",
            {"model": "clip", "modality": "image", "input": f"data:image/jpeg;base64,{picture}"},
        ),
    }
    if program.environment not in bodies:
        return upload("/", QUERY.read_bytes())
    path, body = bodies[program.environment]
    text = json.dumps(body).encode()
    return (
        b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % (path.encode(), len(text))
    ) + text


def _wait(clients: dict[str, Client], absent: dict[str, str]) -> None:
    """Until each has answered once; one that does not in time is left out."""
    until = time.monotonic() + _START_S
    for label, client in list(clients.items()):
        last = ""
        while time.monotonic() < until:
            try:
                client.forget_connections()
                status, _ = asyncio.run(client.search())
            except (OSError, EOFError, TimeoutError) as error:
                last = type(error).__name__
                time.sleep(0.5)
                continue
            last = f"status {status}"
            break
        if last != "status 200":
            absent[label] = f"it did not answer: {last}"
            del clients[label]


def _rounds(
    clients: dict[str, Client], rounds: int, seconds: float, absent: dict[str, str]
) -> dict[str, tuple[float, float]]:
    """Of each service: a lone client's p50 in ms, and answers a second to many clients."""
    alone: dict[str, list[float]] = {label: [] for label in clients}
    together: dict[str, list[float]] = {label: [] for label in clients}
    for _ in range(rounds):
        for label, client in clients.items():
            if label in absent:
                continue
            try:
                client.forget_connections()
                asyncio.run(ask(client, 1, _WARM_UP_S))
                client.forget_connections()
                alone[label] += asyncio.run(ask(client, 1, seconds / 2))[0]
                client.forget_connections()
                taken, elapsed = asyncio.run(ask(client, _MANY, seconds))
                together[label].append(len(taken) / elapsed)
            except (OSError, EOFError, TimeoutError, SystemExit) as error:
                absent[label] = f"it broke off: {error}"
    return {
        label: (1000 * float(np.median(alone[label])), float(np.mean(together[label])))
        for label in clients
        if label not in absent
    }


def _table(found: dict[str, tuple[float, float]], absent: dict[str, str]) -> Table:
    table = Table("Queries beside other products")
    our_wait, our_rate = found.pop(_OURS)
    remarks = {program.label: program.remark for program in _PROGRAMS}
    for label, (wait, rate) in sorted(found.items(), key=lambda pair: -pair[1][0]):
        more = f" ({remarks[label]})" if remarks[label] else ""
        table.figures += [
            Figure(
                f"{_MODEL}, 1 client, against {label}",
                f"p50 {our_wait:.0f} ms",
                f"p50 {wait:.0f} ms{more}",
                wait / our_wait,
                guarded=False,  # needs what bench-check cannot count on
            ),
            Figure(
                f"{_MODEL}, {_MANY} clients, against {label}",
                f"{our_rate:.1f}/s",
                f"{rate:.1f}/s{more}",
                our_rate / rate,
                guarded=False,
            ),
        ]
    table.note = " ".join(f"{label} did not take part: {why}." for label, why in absent.items())
    return table
