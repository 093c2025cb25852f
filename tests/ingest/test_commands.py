"""The command line inside this process; end_to_end runs it as its users do."""

from __future__ import annotations

import json
import logging
import signal
import threading
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from typer.testing import CliRunner

from core.errors import BusyError, MassRemovalError, SourceError
from core.records import RunCounters, RunState
from ingest import __main__ as commands
from ingest.display import progress_bar, show_run, show_status
from ingest.lock import IngestLock
from ingest.watch import watch_folder
from tests.processes import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from click.testing import Result

    from tests.shop import Shop

    Call = Callable[..., Result]


@pytest.fixture(autouse=True)
def _process_as_before() -> Iterator[None]:
    """Put back what a command sets up for a process of its own: signals and logs."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.fixture
def call(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Call:
    for name, value in shop.environment().items():
        if name.startswith("LOOKALIKE_"):
            monkeypatch.setenv(name, value)

    def call(*words: str) -> Result:
        return CliRunner().invoke(commands.app, list(words))

    return call


def test_a_run_is_shown_as_a_table_or_as_json(shop: Shop, call: Call) -> None:
    shop.photos(2)
    shop.write("bad.jpg", "no picture")
    done = call("run")
    assert done.exit_code == 0
    assert "Successfully processed 2 new images" in done.output
    assert "bad.jpg" in done.output
    report = json.loads(call("run", "--json", "--verify").stdout)
    assert report["options"]["verify"] is True
    assert report["failed_images"] == 1


def test_status_and_verify_are_for_people_and_for_scripts(shop: Shop, call: Call) -> None:
    shop.photos(2)
    shop.ingest()
    assert "classic" in call("status").output
    assert json.loads(call("status", "--json").stdout)["items"]["indexed"] == 2
    assert "2 items, 2 vectors in 1 segments: sound." in call("verify").output
    (shop.store / "segments" / "0000000001.h5").unlink()
    done = call("verify")
    assert done.exit_code == commands.FAILED
    assert "0000000001.h5" in done.output
    assert json.loads(call("verify", "--json").stdout)["sound"] is False


def test_each_end_of_a_run_has_its_exit_code(shop: Shop) -> None:
    run = shop.ingest()
    assert commands.exit_code(run) == commands.DONE
    for code, expected in (
        (MassRemovalError.code, commands.REFUSED),
        (BusyError.code, commands.BUSY),
        ("invalid_settings", commands.USAGE),
        ("io_error", commands.FAILED),
        (None, commands.FAILED),
    ):
        failed = type(run)(**{**vars(run), "state": RunState.FAILED, "error_code": code})
        assert commands.exit_code(failed) == expected


def test_an_error_is_a_sentence(
    shop: Shop,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    del call
    monkeypatch.setattr("sys.argv", ["lookalike-ingest", "run"])
    with IngestLock(shop.store), pytest.raises(SystemExit) as left:
        commands.main()
    assert left.value.code == commands.BUSY
    assert "busy" in capsys.readouterr().err


def test_the_bar_shows_what_is_counted() -> None:
    console = Console(file=StringIO(), force_terminal=True, width=120)
    with progress_bar(console) as show:
        show(RunCounters(scanned=12))
        show(RunCounters(scanned=12, planned=10, settled=4, embedded=3))
    output = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    assert "4/10" in output
    assert "embedded 3" in output


def test_many_failures_are_cut_short(shop: Shop) -> None:
    for number in range(30):
        shop.write(f"{number:02d}\udcff[red].jpg", f"no picture {number}")
    run = shop.ingest()
    console = Console(file=StringIO(), width=200)
    with shop.catalog() as catalog:
        show_run(console, run, catalog.items(None, 100)[0])
        show_status(console, catalog)
    output = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    assert "00\\xff[red].jpg" in output
    assert "… and 10 more failed." in output


def test_watching_runs_at_once_and_after_every_change(shop: Shop) -> None:
    stop = threading.Event()
    runs = list[int]()

    def watch() -> None:
        runs.extend(run.counters.new for run in watch_folder(shop.settings(), stop, 0.05))

    thread = threading.Thread(target=watch)
    shop.photos(1)
    thread.start()
    wait_for(lambda: runs == [1])
    shop.photos(2)
    wait_for(lambda: sum(runs) == 2)
    with IngestLock(shop.store):
        shop.photos(3)
        stop.wait(0.5)
        assert sum(runs) == 2
    wait_for(lambda: sum(runs) == 3)
    stop.set()
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_watching_nothing_names_the_setting(shop: Shop) -> None:
    shop.images.rmdir()
    with pytest.raises(SourceError, match="LOOKALIKE_IMAGE_DIR"):
        next(watch_folder(shop.settings(), threading.Event(), 0.05))


def test_the_long_lived_commands_end_when_told_to(shop: Shop, call: Call) -> None:
    shop.photos(1)
    for word in ("watch", "daemon"):
        timer = threading.Timer(2.0, signal.raise_signal, (signal.SIGTERM,))
        timer.start()
        assert call(word).exit_code == 0
        timer.join()
