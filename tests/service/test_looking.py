"""Uploads for a light model are looked at in processes of their own, once there are several."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import psutil
import pytest

from core.errors import (
    DecoderCrashedError,
    DecodeTimeoutError,
    ImageError,
    ImageTooLargeError,
    ModelError,
)
from core.settings import Settings
from core.vision.augmentation import FLIP_SUFFIX
from core.vision.decode import DecodeLimits
from core.vision.models import ModelSource, load_embedder
from service.batcher import Batcher
from service.look_process import LookProcess
from service.look_processes import LookProcesses
from service.looking import Looker
from service.metrics import Metrics
from service.preparing import prepare_upload
from service.questions import Crop
from tests.processes import alive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from core.vision.embedder import Embedder
    from tests.service.conftest import Draw, Server, Shop, WaitFor

CLASSIC = ModelSource("classic", None)
MORTAL = """
import os, pathlib, sys
from service.look_worker import ANSWER, QUESTION
told = os.environ["FINGERPRINT"].encode()
sys.stdout.buffer.write(ANSWER.pack(True, 0, 0, len(told)) + told)
sys.stdout.flush()
if sys.stdin.buffer.read(QUESTION.size):
    with (pathlib.Path(__file__).parent / "questions").open("a") as file:
        file.write("?")
"""
"""A process that says it has a model and dies of the first picture."""

BAD = (b"", b"no picture", b"\xff\xd8\xff" + bytes(100))


@pytest.fixture(scope="module")
def classic() -> Embedder:
    return load_embedder(CLASSIC)


def settings(**changed: Any) -> Settings:
    return Settings.load(**{"model": "classic", "decode_workers": 2, **changed})


@asynccontextmanager
async def looking(**changed: Any) -> AsyncIterator[Looker]:
    chosen = settings(**changed)
    batcher, metrics = Batcher(8), Metrics()
    batcher.start()
    with ThreadPoolExecutor(2) as threads:
        looker = Looker(chosen, batcher, threads, metrics)
        try:
            yield looker
        finally:
            await looker.close()
            batcher.stop()


@asynccontextmanager
async def processes(
    embedder: Embedder, metrics: Metrics | None = None, **changed: Any
) -> AsyncIterator[LookProcesses]:
    """The processes, the first of which has started."""
    held = LookProcesses(settings(**changed), embedder, metrics or Metrics())
    held.start()
    try:
        await until(lambda: held.pids)
        yield held
    finally:
        await held.close()


def _pixels(embedder: Embedder, upload: bytes) -> np.ndarray:
    limits = DecodeLimits.for_uploads(settings())
    return prepare_upload(embedder, upload, limits)[1][None]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # processes set no event
            await asyncio.sleep(0.01)


async def outcome(looker: Looker, embedder: Embedder, upload: bytes) -> np.ndarray | ImageError:
    try:
        return (await looker.look(embedder, upload)).vector
    except ImageError as error:
        return error


async def in_processes(looker: Looker, embedder: Embedder, upload: bytes) -> LookProcesses:
    """Have pictures come two at once until that has started a process for their model."""
    async with asyncio.timeout(20):
        while True:
            await asyncio.gather(*(looker.look(embedder, upload) for _ in range(2)))
            held = looker.processes
            if held and held.pids and held.fingerprint == embedder.fingerprint:
                return held


def test_a_lone_picture_starts_no_process(classic: Embedder, draw: Draw) -> None:
    async def ask() -> None:
        async with looking() as looker:
            for seed in range(3):
                await looker.look(classic, draw(seed))
            assert looker.processes is None

    asyncio.run(ask())


def test_the_answers_of_a_process_are_those_of_the_service(classic: Embedder, draw: Draw) -> None:
    uploads = [draw(seed) for seed in range(6)] + [draw(7, "PNG"), *BAD]
    crop = Crop(0.2, 0.1, 0.7, 0.9)

    async def ask() -> None:
        async with looking(max_upload_mb=1) as looker:
            uploads.append(draw(9, "PNG") + bytes(1_000_000))
            here = [await outcome(looker, classic, upload) for upload in uploads]
            part = await looker.look(classic, uploads[0], crop)
            held = await in_processes(looker, classic, uploads[0])
            there = await asyncio.gather(*(outcome(looker, classic, one) for one in uploads))
            await until(lambda: len(held.pids) == 2)
            for one, other in zip(here, there, strict=True):
                if isinstance(one, ImageError):
                    assert (type(one), str(one)) == (type(other), str(other))
                else:
                    assert np.array_equal(one, other)
            assert np.array_equal(
                part.vector, (await looker.look(classic, uploads[0], crop)).vector
            )
            assert looker.waiting == 0

    asyncio.run(ask())


def test_a_picture_to_be_described_is_kept(classic: Embedder, draw: Draw) -> None:
    async def ask() -> None:
        async with looking() as looker:
            await in_processes(looker, classic, draw(1))
            look = await looker.look(classic, draw(1), keep_image=True)
            assert look.image is not None

    asyncio.run(ask())


def test_another_model_gets_processes_of_its_own(classic: Embedder, draw: Draw) -> None:
    flipped = load_embedder(replace(CLASSIC, spec=CLASSIC.spec + FLIP_SUFFIX))

    async def ask() -> None:
        async with looking() as looker:
            before = await in_processes(looker, classic, draw(1))
            old = [psutil.Process(pid) for pid in before.pids]
            after = await in_processes(looker, flipped, draw(1))
            assert after.fingerprint == flipped.fingerprint
            assert not alive(old)
            vector = (await looker.look(flipped, draw(1))).vector
            await looker.close()
            assert np.array_equal(vector, (await looker.look(flipped, draw(1))).vector)

    asyncio.run(ask())


def test_where_no_process_can_be_started_the_service_looks_itself(
    classic: Embedder, draw: Draw, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    async def ask() -> None:
        async with looking() as looker:
            for _ in range(3):
                await asyncio.gather(*(looker.look(classic, draw(1)) for _ in range(4)))
            assert looker.processes is not None
            assert not looker.processes.pids

    asyncio.run(ask())
    assert caplog.text.count("cannot be started") == 1


def test_a_picture_whose_process_is_killed_goes_to_another(classic: Embedder, draw: Draw) -> None:
    async def ask() -> None:
        async with processes(classic) as held:
            (pid,) = held.pids
            os.kill(pid, signal.SIGSTOP)
            look = asyncio.create_task(held.look(draw(1), None))
            await until(lambda: held.busy)
            os.kill(pid, signal.SIGKILL)
            vector = await look
            assert pid not in held.pids
            assert np.array_equal(vector, await held.look(draw(1), None))

    asyncio.run(ask())


def test_all_that_a_killed_process_held_goes_to_others(classic: Embedder, draw: Draw) -> None:
    expected = {seed: classic.embed(_pixels(classic, draw(seed)))[0].tobytes() for seed in range(8)}

    async def ask() -> None:
        async with processes(classic, decode_workers=1) as held:
            (pid,) = held.pids
            await held.look(draw(1), None)  # quickly, so that it is trusted with two
            os.kill(pid, signal.SIGSTOP)
            looks = [asyncio.create_task(held.look(draw(seed), None)) for seed in range(8)]
            await until(lambda: held.waiting == 6)
            os.kill(pid, signal.SIGKILL)
            for seed, look in enumerate(looks):
                assert (await look).tobytes() == expected[seed]

    asyncio.run(ask())


def test_nothing_waits_behind_a_picture_that_takes_long(classic: Embedder, draw: Draw) -> None:
    async def ask() -> None:
        async with processes(classic) as held:
            await asyncio.gather(*(held.look(draw(1), None) for _ in range(8)))
            await until(lambda: len(held.pids) == 2)
            os.kill(held.pids[0], signal.SIGSTOP)
            looks = {asyncio.create_task(held.look(draw(1), None)) for _ in range(8)}
            await until(lambda: sum(look.done() for look in looks) == 7)
            os.kill(held.pids[0], signal.SIGCONT)
            assert len(await asyncio.gather(*looks)) == 8
            vectors = await asyncio.gather(*(held.look(draw(2), None) for _ in range(8)))
            assert len({vector.tobytes() for vector in vectors}) == 1

    asyncio.run(ask())


def test_whoever_is_asked_for_when_all_ends_is_told(classic: Embedder, draw: Draw) -> None:
    async def ask() -> None:
        for turns in range(12):  # of the event loop, so that the end comes at any step
            async with processes(classic) as held:
                looks = [asyncio.create_task(held.look(draw(1), None)) for _ in range(6)]
                await until(lambda looks=looks: any(look.done() for look in looks))
                for _ in range(turns):
                    await asyncio.sleep(0)
                async with asyncio.timeout(10):
                    await held.close()
                    outcomes = await asyncio.gather(*looks, return_exceptions=True)
                assert {type(one) for one in outcomes} <= {np.ndarray, ModelError}

    asyncio.run(ask())


def test_processes_killed_while_idle_are_no_pictures_fault(classic: Embedder, draw: Draw) -> None:
    async def ask() -> None:
        async with processes(classic) as held:
            await asyncio.gather(*(held.look(draw(1), None) for _ in range(8)))
            await until(lambda: len(held.pids) == 2)
            old = [psutil.Process(pid) for pid in held.pids]
            for process in old:
                process.kill()
            await until(lambda: not alive(old))
            vectors = await asyncio.gather(*(held.look(draw(1), None) for _ in range(8)))
            assert len(vectors) == 8
            assert not {process.pid for process in old} & set(held.pids)

    asyncio.run(ask())


def test_those_that_wait_are_told_when_no_process_will_come(
    classic: Embedder, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask() -> None:
        async with processes(classic, decode_workers=1) as held:
            (pid,) = held.pids
            os.kill(pid, signal.SIGSTOP)
            looks = [asyncio.create_task(held.look(draw(1), None)) for _ in range(4)]
            await until(lambda: held.waiting == 3)
            monkeypatch.setattr(held, "_command", ("/nowhere/python",))
            os.kill(pid, signal.SIGKILL)
            async with asyncio.timeout(10):
                outcomes = await asyncio.gather(*looks, return_exceptions=True)
            assert {type(one) for one in outcomes} == {ModelError}

    asyncio.run(ask())


@pytest.fixture
def mortal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`MORTAL` in the place of Python; the file that it writes a mark to for each picture."""
    program = tmp_path / "python"
    program.write_text(f"#!{sys.executable}\n{MORTAL}")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    return tmp_path / "questions"


def test_a_picture_that_costs_two_processes_is_refused(
    classic: Embedder, draw: Draw, mortal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINGERPRINT", classic.fingerprint)

    async def ask() -> None:
        async with processes(classic) as held:
            with pytest.raises(DecoderCrashedError, match="LOOKALIKE_DECODE_MEMORY_MB"):
                await held.look(draw(1), None)

    asyncio.run(ask())
    assert len(mortal.read_text()) == 2


def test_a_process_with_another_model_is_never_asked(
    classic: Embedder,
    draw: Draw,
    mortal: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("FINGERPRINT", "of another version")

    async def ask() -> None:
        async with looking() as looker:
            async with asyncio.timeout(20):
                while "restart the service" not in caplog.text:
                    looks = (looker.look(classic, draw(1)) for _ in range(4))
                    assert len(await asyncio.gather(*looks)) == 4
            assert looker.processes is not None
            assert not looker.processes.pids

    asyncio.run(ask())
    assert not mortal.exists()


def test_a_process_whose_end_is_not_awaited_leaves_no_pipe_open(classic: Embedder) -> None:
    """Pytest fails a test after which something is found that should have been closed."""

    async def leave() -> None:
        held = LookProcesses(settings(), classic, Metrics())
        process = await LookProcess.start(held._command, held.fingerprint)
        ending = asyncio.create_task(process.end())
        await asyncio.sleep(0)
        ending.cancel()
        with suppress(asyncio.CancelledError):
            await ending

    asyncio.run(leave())
    gc.collect()


def test_whoever_closes_waits_for_the_end_of_a_lost_process(
    classic: Embedder, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = list[str]()
    end = LookProcess.end

    async def slow(process: LookProcess) -> None:
        ends.append("begun")
        await asyncio.sleep(1.0 if len(ends) == 1 else 0.0)  # the lost one; others may start
        await end(process)
        ends.append("done")

    async def ask() -> None:
        async with processes(classic) as held:
            monkeypatch.setattr(LookProcess, "end", slow)
            os.kill(held.pids[0], signal.SIGKILL)
            look = asyncio.create_task(held.look(draw(1), None))
            await until(lambda: ends)
        with pytest.raises(ModelError):
            await look
        assert ends.count("done") == ends.count("begun")

    asyncio.run(ask())


def test_a_picture_that_takes_too_long_is_refused(classic: Embedder, draw: Draw) -> None:
    async def ask() -> None:
        async with processes(classic, decode_timeout_s=0.5) as held:
            (pid,) = held.pids
            os.kill(pid, signal.SIGSTOP)
            with pytest.raises(DecodeTimeoutError, match="LOOKALIKE_DECODE_TIMEOUT_S"):
                await held.look(draw(1), None)
            assert not psutil.pid_exists(pid)
            await until(lambda: held.pids)
            assert len(await held.look(draw(1), None)) == classic.dimension

    asyncio.run(ask())


def test_whoever_goes_away_leaves_the_process_to_others(classic: Embedder, draw: Draw) -> None:
    async def ask() -> None:
        async with processes(classic) as held:
            pids = held.pids
            slow = draw(1, "PNG", size=(3000, 3000))  # or it is done before it is seen
            look = asyncio.create_task(held.look(slow, None))
            await until(lambda: held.busy)
            look.cancel()
            with pytest.raises(asyncio.CancelledError):
                await look
            expected = load_embedder(CLASSIC).embed(_pixels(classic, draw(2)))[0]
            assert np.array_equal(await held.look(draw(2), None), expected)
            assert held.pids[:1] == pids

    asyncio.run(ask())


def test_a_picture_beyond_the_memory_of_a_process_is_refused(classic: Embedder, draw: Draw) -> None:
    huge = draw(1, "PNG", size=(9000, 9000))  # 243 MB of pixels

    async def ask() -> None:
        async with processes(classic, decode_memory_mb=256, max_image_megapixels=100) as held:
            with pytest.raises(ImageTooLargeError, match="LOOKALIKE_DECODE_MEMORY_MB"):
                await held.look(huge, None)
            assert len(await held.look(draw(2), None)) == classic.dimension

    asyncio.run(ask())


def test_the_stages_are_measured(classic: Embedder, draw: Draw) -> None:
    async def ask() -> None:
        metrics = Metrics()
        async with processes(classic, metrics) as held:
            await held.look(draw(1), None)
            with pytest.raises(ImageError):
                await held.look(b"no picture", None)
            counts = {
                stage: metrics.registry.get_sample_value(
                    "lookalike_stage_duration_seconds_count", {"stage": stage}
                )
                for stage in ("queue", "decode", "forward")
            }
            assert counts == {"queue": 2, "decode": 2, "forward": 1}

    asyncio.run(ask())


async def _search(client: httpx.AsyncClient, upload: bytes) -> int:
    answer = await client.post("/api/v1/find-similar", files={"file": upload})
    return answer.status_code


async def _search_much(url: str, uploads: list[bytes]) -> list[int]:
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        return await asyncio.gather(*(_search(client, upload) for upload in uploads))


def _workers(server: Server) -> list[psutil.Process]:
    return [child for child in server.children() if "service.look_worker" in child.cmdline()]


def test_a_service_whose_processes_are_killed_goes_on_answering(
    stocked: Shop, serve: type[Server], draw: Draw, wait_for: WaitFor
) -> None:
    uploads = [draw(seed) for seed in range(30)]
    with serve(stocked, "--no-ingest", LOOKALIKE_RATE_LIMIT_ADDRESS="") as server:

        def others(than: list[psutil.Process]) -> bool:
            assert set(asyncio.run(_search_much(server.url, uploads))) == {200}
            return bool(set(_workers(server)) - set(than))

        wait_for(lambda: others([]))
        old = _workers(server)
        for worker in old:
            worker.kill()
        # One that was killed before it was ready is not started again at once.
        wait_for(lambda: others(old), 30)
        last = _workers(server)
        server.process.kill()
        wait_for(lambda: not alive(last))
