"""Concurrent uploads share forward passes."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from core.errors import ModelError, UnusableVectorError
from core.vision.embedder import Embedder
from service.batcher import Batcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray


class Probe(Embedder):
    """A model whose vector is its picture's first pixel, and whose passes can be held up."""

    spec = "probe"
    dimension = 3

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.busy = threading.Event()
        self.sizes: list[int] = []
        self.threads: set[int] = set()

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.threads.add(threading.get_ident())
        self.sizes.append(len(pixels))
        self.busy.set()
        self.gate.wait(5)
        if (pixels == 255).all(axis=(1, 2, 3)).any():
            raise RuntimeError("a picture this model cannot bear")
        vectors = pixels[:, 0, 0, :].astype(np.float32)
        vectors[vectors[:, 0] == 254] = np.nan
        return vectors


def picture(value: int) -> NDArray[np.uint8]:
    return np.full((2, 2, 3), value, np.uint8)


@contextmanager
def running(batch_size: int, clock: Callable[[], float] = time.perf_counter) -> Iterator[Batcher]:
    batcher = Batcher(batch_size, clock=clock)
    batcher.start()
    try:
        yield batcher
    finally:
        batcher.stop()


async def hold_up(batcher: Batcher, probe: Probe) -> asyncio.Future[NDArray[np.float32]]:
    """Have one picture keep the model busy."""
    probe.gate.clear()
    first = asyncio.ensure_future(batcher.embed(probe, picture(0)))
    await asyncio.to_thread(probe.busy.wait, 5)
    return first


class Clock:
    """Time that passes only where a test says so, and how often it was asked for."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.asked = 0

    def __call__(self) -> float:
        now_s = self.now_s
        self.asked += 1
        return now_s

    def wait_for(self, asked: int) -> None:
        until = time.monotonic() + 5
        while self.asked < asked:
            assert time.monotonic() < until
            time.sleep(0.001)


class Slow(Probe):
    """A model whose passes take an hour of its clock."""

    pass_s = 3600.0

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        time.sleep(0.05)
        self.clock.now_s += self.pass_s
        return super().embed(pixels)


def test_clients_that_ask_again_do_not_fall_into_two_halves() -> None:
    async def client(batcher: Batcher, probe: Probe, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        while len(probe.sizes) < 10:
            await batcher.embed(probe, picture(1))
            await asyncio.sleep(0.002)  # the answer goes out and the next question comes in

    async def scenario(batcher: Batcher, probe: Probe) -> None:
        clients = [asyncio.ensure_future(client(batcher, probe, 0.025 * (n % 2))) for n in range(8)]
        await asyncio.wait(clients, return_when=asyncio.FIRST_COMPLETED)
        for one in clients:
            one.cancel()

    probe = Slow(clock := Clock())
    with running(batch_size=32, clock=clock) as batcher:
        asyncio.run(scenario(batcher, probe))
    assert probe.sizes[-5:] == [8] * 5


@pytest.mark.parametrize(
    ("company", "shares", "size"),
    [
        (5, [0.22, 0.26, 0.30, 0.34, 0.38], 5),  # each comes soon after the one before
        (6, [0.22, 0.26, 0.30, 0.34, 0.38, 0.41], 6),
        (7, [0.22, 0.26, 0.30, 0.34, 0.38, 0.41], 6),  # enough waited
        (2, [0.26], 1),  # too late
    ],
)
def test_those_who_keep_coming_are_waited_for(company: int, shares: list[float], size: int) -> None:
    """After a pass of `company` clients they come back after shares of the time that it took."""

    async def scenario(batcher: Batcher, probe: Slow, clock: Clock) -> None:
        together = [asyncio.ensure_future(batcher.embed(probe, picture(1))) for _ in range(company)]
        await asyncio.sleep(0)
        batcher.start()
        await asyncio.gather(*together)
        ended_s = clock.now_s
        again = []
        for share in shares:
            asked = clock.asked
            clock.now_s = ended_s + share * probe.pass_s
            again.append(asyncio.ensure_future(batcher.embed(probe, picture(1))))
            await asyncio.to_thread(clock.wait_for, asked + 1)
        async with asyncio.timeout(5):
            await asyncio.gather(*again)

    probe = Slow(clock := Clock())
    batcher = Batcher(batch_size=32, clock=clock)
    try:
        asyncio.run(scenario(batcher, probe, clock))
    finally:
        batcher.stop()
    assert probe.sizes == [company, size]


def test_a_lone_client_waits_for_nobody() -> None:
    async def scenario(batcher: Batcher, probe: Probe) -> None:
        await batcher.embed(probe, picture(1))
        assert batcher._company == 1
        await batcher.embed(probe, picture(2))

    with running(batch_size=8) as batcher:
        asyncio.run(scenario(batcher, Probe()))


def test_what_queues_during_a_pass_goes_together_in_the_next() -> None:
    async def scenario(batcher: Batcher, probe: Probe) -> Any:
        first = await hold_up(batcher, probe)
        others = [asyncio.ensure_future(batcher.embed(probe, picture(n))) for n in range(1, 10)]
        await asyncio.sleep(0.02)
        probe.gate.set()
        return await asyncio.gather(first, *others)

    probe = Probe()
    with running(batch_size=6) as batcher:
        vectors = asyncio.run(scenario(batcher, probe))
    assert [vector[0] for vector in vectors] == list(range(10))
    assert probe.sizes == [1, 6, 3]
    assert len(probe.threads) == 1
    assert (batcher.forwards, batcher.pictures) == (3, 10)


def test_a_cancelled_request_leaves_the_queue() -> None:
    async def scenario(batcher: Batcher, probe: Probe) -> Any:
        first = await hold_up(batcher, probe)
        gone, stays = (asyncio.ensure_future(batcher.embed(probe, picture(n))) for n in (1, 2))
        await asyncio.sleep(0.02)
        gone.cancel()
        await asyncio.sleep(0.02)
        probe.gate.set()
        return await asyncio.gather(first, stays)

    probe = Probe()
    with running(batch_size=8) as batcher:
        asyncio.run(scenario(batcher, probe))
    assert probe.sizes == [1, 1]


def test_a_picture_the_model_fails_on_fails_alone() -> None:
    async def scenario(batcher: Batcher, probe: Probe) -> Any:
        first = await hold_up(batcher, probe)
        values = (7, 255, 254, 9)
        tasks = [asyncio.ensure_future(batcher.embed(probe, picture(value))) for value in values]
        await asyncio.sleep(0.02)
        probe.gate.set()
        await first
        return await asyncio.gather(*tasks, return_exceptions=True)

    with running(batch_size=8) as batcher:
        seven, failed, unusable, nine = asyncio.run(scenario(batcher, Probe()))
    assert (seven[0], nine[0]) == (7, 9)
    assert isinstance(failed, ModelError)
    assert isinstance(unusable, UnusableVectorError)


def test_two_models_never_share_a_pass() -> None:
    async def scenario(batcher: Batcher, one: Probe, two: Probe) -> Any:
        first = await hold_up(batcher, one)
        tasks = [
            asyncio.ensure_future(batcher.embed(model, picture(n)))
            for n, model in enumerate((one, two, two, one), start=1)
        ]
        await asyncio.sleep(0.02)
        one.gate.set()
        await asyncio.gather(first, *tasks)

    one, two = Probe(), Probe()
    with running(batch_size=8) as batcher:
        asyncio.run(scenario(batcher, one, two))
    assert (one.sizes, two.sizes) == ([1, 1, 1], [2])


def test_whoever_waits_when_the_service_stops_is_told() -> None:
    async def scenario(batcher: Batcher, probe: Probe) -> Any:
        first = await hold_up(batcher, probe)
        waiting = asyncio.ensure_future(batcher.embed(probe, picture(1)))
        await asyncio.sleep(0.02)
        stopping = asyncio.ensure_future(asyncio.to_thread(batcher.stop))
        await asyncio.sleep(0.02)
        probe.gate.set()
        await stopping
        with pytest.raises(ModelError):
            await waiting
        with pytest.raises(ModelError):
            await batcher.embed(probe, picture(2))
        return await first

    with running(batch_size=1) as batcher:
        asyncio.run(scenario(batcher, Probe()))
