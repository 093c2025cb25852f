"""What becomes of a service that is asked for more than it can do.

    python -m benchmarks.load [--seconds 20] [--times 1,2,10] [--soak 600]

Serves the sample catalogue on this machine, measures how many searches a second it answers when it
is just busy (1 x), then sends once, twice and ten times as many, evenly, whether answers come or
not. Clients and service share the machine's cores. `--soak` goes on at twice the capacity for so
many seconds and tells how the memory moves.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import numpy as np
import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT: Final = Path(__file__).parents[1]
QUERY: Final = ROOT / "data/queries/red-sneaker-street.jpg"
CALIBRATING_CLIENTS: Final = 4
MOST_OPEN: Final = 600  # requests under way; the service closes idle connections beyond 800
PATIENCE_S: Final = 60.0
_MB: Final = 1_000_000


@dataclass
class Outcome:
    """What became of the requests of one phase."""

    rate: float  # sent in a second
    seconds: float
    admitted_ms: list[float] = field(default_factory=list)
    refused: int = 0
    with_retry: int = 0  # of those refused
    failed: int = 0  # without an answer, or with any other
    unsent: int = 0  # the clients had too many under way
    memory_mb: list[float] = field(default_factory=list)
    health_ms: list[float] = field(default_factory=list)
    recovery_s: float = 0.0

    def row(self, times: float) -> str:
        """The line of a table."""
        p50, p99 = np.percentile(self.admitted_ms or [0.0], (50, 99))
        slowest = max(self.health_ms, default=0.0)
        return (
            f"| {times:g}x | {self.rate:.0f} | {len(self.admitted_ms) / self.seconds:.0f} "
            f"| {p50:.0f} | {p99:.0f} | {self.refused} | {self.with_retry} | {self.failed} "
            f"| {slowest:.0f} | {max(self.memory_mb):.0f} | {self.recovery_s:.1f} |"
        )


HEADER: Final = (
    "| load | sent/s | answered/s | p50 ms | p99 ms | refused | with Retry-After | failed "
    "| slowest health, ms | most memory, MB | recovery, s |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|"
)


class Client:
    """Sends one prepared request over connections that it keeps; without one, a search of ours."""

    def __init__(self, url: str, request: bytes | None = None) -> None:
        address = urlsplit(url)
        self._address = (str(address.hostname), int(address.port or 80))
        self._search = request or upload("/api/v1/find-similar", QUERY.read_bytes())
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    def forget_connections(self) -> None:
        """Begin with new ones, for a new event loop cannot use those of an earlier one."""
        self._idle.clear()

    async def search(self) -> tuple[int, bytes]:
        """Ask; the status and the head of the answer."""
        return await self._ask(self._search)

    async def health(self) -> tuple[int, bytes]:
        """Ask how the service is."""
        return await self._ask(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")

    async def _ask(self, request: bytes) -> tuple[int, bytes]:
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await self._connection()
            try:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(_length(head))
            except BaseException:
                writer.close()
                raise
            if b"connection: close" in head.lower():
                writer.close()
            else:
                self._idle.append((reader, writer))
            return int(head.split(b" ", 2)[1]), head

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not (reader.at_eof() or writer.is_closing()):
                return reader, writer
        return await asyncio.open_connection(*self._address)


def upload(path: str, picture: bytes) -> bytes:
    """The request that posts a picture as a form's field `file`."""
    body = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="q.jpg"\r\n\r\n'
        + picture
        + b"\r\n--b--\r\n"
    )
    return (
        b"POST %s HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n"
        % (path.encode(), len(body))
    ) + body


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0


async def calibrate(client: Client, seconds: float) -> float:
    """Searches a second that a few clients get answered, each asking when it has its answer."""
    until = time.perf_counter() + seconds

    async def ask() -> int:
        answered = 0
        while time.perf_counter() < until:
            answered += (await client.search())[0] == 200
        return answered

    return sum(await asyncio.gather(*(ask() for _ in range(CALIBRATING_CLIENTS)))) / seconds


async def flood(client: Client, server: psutil.Process, rate: float, seconds: float) -> Outcome:
    """Send at a rate, whether answers come or not, and see what becomes of it."""
    outcome = Outcome(rate, seconds)
    running: set[asyncio.Task[None]] = set()
    started = time.perf_counter()
    watcher = asyncio.create_task(_watch(client, server, outcome))
    sent = 0
    while (now := time.perf_counter() - started) < seconds:
        while sent < now * rate:
            sent += 1
            if len(running) >= MOST_OPEN:
                outcome.unsent += 1
                continue
            task = asyncio.create_task(_one(client, outcome))
            running.add(task)
            task.add_done_callback(running.discard)
        await asyncio.sleep(0.002)
    stopped = time.perf_counter()
    if running:
        await asyncio.wait(running)
    outcome.recovery_s = time.perf_counter() - stopped
    watcher.cancel()
    with suppress(asyncio.CancelledError):
        await watcher
    return outcome


async def _one(client: Client, outcome: Outcome) -> None:
    started = time.perf_counter()
    try:
        status, head = await client.search()
    except (OSError, EOFError, TimeoutError):
        outcome.failed += 1
        return
    if status == 200:
        outcome.admitted_ms.append(1000 * (time.perf_counter() - started))
    elif status in (429, 503):
        outcome.refused += 1
        outcome.with_retry += b"retry-after:" in head.lower()
    else:
        outcome.failed += 1


async def _watch(client: Client, server: psutil.Process, outcome: Outcome) -> None:
    while True:
        outcome.memory_mb.append(server.memory_info().rss / _MB)
        started = time.perf_counter()
        status, _ = await client.health()
        outcome.health_ms.append(1000 * (time.perf_counter() - started))
        outcome.failed += status != 200
        await asyncio.sleep(0.5)


@contextmanager
def served(
    enlarge: Callable[[Path], None] | None = None, **settings: str
) -> Iterator[tuple[str, psutil.Process]]:
    """The service over the sample catalogue, in a store of its own that `enlarge` may add to."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "LOOKALIKE_IMAGE_DIR": str(ROOT / "data/images"),
            "LOOKALIKE_STORE_DIR": folder,
            "LOOKALIKE_LOG_LEVEL": "error",
            "LOOKALIKE_RATE_LIMIT_ADDRESS": "",  # one address stands for all clients
            **settings,
        }
        ingest = [sys.executable, "-m", "ingest", "run"]
        subprocess.run(  # noqa: S603  # our own command
            ingest, cwd=ROOT, env=environment, check=True, capture_output=True
        )
        if enlarge is not None:
            enlarge(Path(folder))
        command = [sys.executable, "-m", "service", "serve", "--port", "0", "--no-ingest"]
        with subprocess.Popen(  # noqa: S603  # our own command
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                line = process.stdout.readline() if process.stdout else ""
                yield line.split()[-1], psutil.Process(process.pid)
            finally:
                process.terminate()


async def measure(
    url: str, server: psutil.Process, times: list[float], seconds: float
) -> dict[float, Outcome]:
    """Find the capacity, then flood at multiples of it."""
    client = Client(url)
    await calibrate(client, min(2.0, seconds))
    capacity = await calibrate(client, min(10.0, seconds))
    print(f"capacity: {capacity:.0f} searches a second", flush=True)
    found = {}
    for one in times:
        found[one] = await flood(client, server, one * capacity, seconds)
    return found


async def soak(url: str, server: psutil.Process, seconds: float) -> Outcome:
    """Flood at twice the capacity for long."""
    client = Client(url)
    capacity = await calibrate(client, 10.0)
    return await flood(client, server, 2 * capacity, seconds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each phase")
    parser.add_argument("--times", default="1,2,10", help="multiples of the capacity")
    parser.add_argument("--soak", type=float, help="seconds at twice the capacity, instead")
    given = parser.parse_args()
    with served() as (url, server):
        if given.soak:
            outcome = asyncio.run(soak(url, server, given.soak))
            memory = outcome.memory_mb
            print(HEADER, outcome.row(2), sep="\n")
            tenths = [memory[n * len(memory) // 10] for n in range(10)] + [memory[-1]]
            print("memory, MB:", " ".join(f"{one:.0f}" for one in tenths))
            return
        times = [float(one) for one in given.times.split(",")]
        found = asyncio.run(measure(url, server, times, given.seconds))
        print(HEADER)
        for one, outcome in found.items():
            print(outcome.row(one), f"unsent {outcome.unsent}" if outcome.unsent else "")


if __name__ == "__main__":
    main()
