"""`lookalike-ingest`: keeps the store in step with the image folder.

Exit codes: 0 done (files that failed are listed), 1 something went wrong, 2 wrong usage or
settings, 3 another ingester is at work, 4 refused by the delete guard, 5 Milvus differed from the
catalog and was mended.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from contextlib import nullcontext
from pathlib import Path  # noqa: TC003  # typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Final

import typer

from core.errors import BusyError, LookalikeError, MassRemovalError, SettingsError

if TYPE_CHECKING:
    from core.records import Run
    from core.settings import Settings

DONE, FAILED, USAGE, BUSY, REFUSED, MENDED = range(6)

_EXIT_OF_ERROR: Final = {
    BusyError.code: BUSY,
    MassRemovalError.code: REFUSED,
    SettingsError.code: USAGE,
}

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Keep Lookalike's store in step with the image folder.",
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 another ingester is at work, 4 refused by "
    "the delete guard, 5 Milvus differed and was mended.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.command()
def run(
    *,
    verify: Annotated[
        bool, typer.Option("--verify", help="Hash every file, whatever its date says.")
    ] = False,
    force_full: Annotated[
        bool, typer.Option("--force-full", help="Embed every file anew.")
    ] = False,
    allow_mass_removal: Annotated[
        bool, typer.Option("--allow-mass-removal", help="Lift the delete guard for this run.")
    ] = False,
    batch_size: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Pictures per forward pass.")
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(help="Ray cluster that embeds: ray://host:10001, host:6379, auto or local."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring the store in step with the folder, once."""
    from rich.console import Console

    from core.records import ItemState, RunOptions
    from core.store.catalog import Catalog
    from ingest.display import progress_bar, show_run
    from ingest.runner import run_now

    settings = _start(ray_address=on)
    options = RunOptions(
        force_full=force_full,
        verify=verify,
        allow_mass_removal=allow_mass_removal,
        batch_size=batch_size,
    )
    console = Console(stderr=as_json)
    with progress_bar(console) if console.is_terminal else nullcontext() as show:
        done = run_now(settings, options, "cli", _stop_on_signals(), show)
    catalog = Catalog(settings.store_dir)
    failures, _ = catalog.items(ItemState.FAILED, limit=100)
    catalog.close()
    if as_json:
        _print_json(done)
    else:
        show_run(console, done, failures)
    raise typer.Exit(exit_code(done))


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Show what the store holds and how its last runs went."""
    from rich.console import Console

    from core.reports import run_report
    from core.store.catalog import Catalog
    from ingest.display import show_status

    catalog = Catalog(_start().store_dir)
    if as_json:
        live = catalog.live_space()
        facts = {
            "generation": catalog.generation(),
            "model": live.spec if live else None,
            "items": {state.value: count for state, count in catalog.count_items().items()},
            "runs": [run_report(run) for run in catalog.runs.latest(5)[0]],
        }
        sys.stdout.write(json.dumps(facts, indent=2) + "\n")
    else:
        show_status(Console(), catalog)
    catalog.close()


@app.command()
def verify(*, as_json: AsJson = False) -> None:
    """Check every file of the store against the catalog; exit 1 if one is damaged."""
    from dataclasses import asdict

    from ingest.verify import verify_store

    found = verify_store(_start().store_dir)
    if as_json:
        sys.stdout.write(json.dumps({"sound": found.sound, **asdict(found)}, indent=2) + "\n")
    else:
        for problem in found.problems:
            typer.echo(problem, err=True)
        verdict = "sound" if found.sound else f"{len(found.problems)} problems"
        typer.echo(
            f"{found.items} items, {found.vectors} vectors in {found.segments} segments: {verdict}."
        )
    raise typer.Exit(DONE if found.sound else FAILED)


@app.command()
def repair(*, as_json: AsJson = False) -> None:
    """Make a damaged store whole, embedding again exactly what was lost."""
    from rich.console import Console

    from ingest.display import show_run
    from ingest.repair import repair_store

    done, mended = repair_store(_start(), _stop_on_signals())
    for sentence in mended:
        typer.echo(sentence, err=True)
    if as_json:
        _print_json(done)
    else:
        show_run(Console(), done, [])
    raise typer.Exit(exit_code(done))


@app.command()
def export(
    target: Annotated[Path, typer.Argument(help="The Parquet file to write.", dir_okay=False)],
) -> None:
    """Write path, product, attributes and vector of every photo to a Parquet file."""
    from ingest.export import export_catalogue

    rows = export_catalogue(_start().store_dir, target)
    typer.echo(f"{rows} rows written to {target}.")


@app.command()
def sync(
    *,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare every row, and mend what differs.")
    ] = False,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Move the alias though another store has it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring Milvus in step with the catalog; exit 5 if --verify had something to mend."""
    from ingest.carry.sync import show_sync, sync_store

    done = sync_store(_start(), verify=verify, take_over=take_over)
    if as_json:
        sys.stdout.write(json.dumps(done.report(), indent=2) + "\n")
    else:
        show_sync(done, typer.echo)
    raise typer.Exit(MENDED if done.differences else DONE)


@app.command()
def watch(
    debounce_s: Annotated[
        float, typer.Option(min=0.05, help="How long the folder must rest first, in seconds.")
    ] = 1.6,
    interval_s: Annotated[
        float,
        typer.Option(min=1, help="How often object storage, which has no events, is listed."),
    ] = 60.0,
) -> None:
    """Follow the folder's events until stopped; list object storage at an interval."""
    from rich.console import Console

    from ingest.watch import watch_folder

    console = Console()
    for done in watch_folder(_start(), _stop_on_signals(), debounce_s, interval_s):
        counters = done.counters
        console.print(
            f"run {done.id} {done.state}: new {counters.new + counters.revived}, edited "
            f"{counters.modified}, moved {counters.moved}, removed {counters.removed}, failed "
            f"{done.failed_items}, embedded {counters.embedded}. {done.message}",
            markup=False,
        )


@app.command()
def daemon() -> None:
    """Work on queued and scheduled runs until stopped."""
    from ingest.daemon import Daemon

    Daemon(_start(logs=True), _stop_on_signals()).work()


def exit_code(run: Run) -> int:
    """What a finished run means to a script."""
    if run.state == "succeeded":
        return DONE
    return _EXIT_OF_ERROR.get(run.error_code or "", FAILED)


def main() -> None:
    """Run the command line; an error is a sentence, never a traceback."""
    try:
        app()
    except LookalikeError as error:
        typer.echo(f"lookalike-ingest: {error}", err=True)
        sys.exit(_EXIT_OF_ERROR.get(error.code, FAILED))


def _start(*, logs: bool = False, ray_address: str | None = None) -> Settings:
    """Read the settings; `logs` for the long-lived commands, whose log is all they show."""
    from core.logs import configure_logs
    from core.settings import Settings

    settings = Settings.load(**({} if ray_address is None else {"ray_address": ray_address}))
    configure_logs(settings, quiet=not logs)
    return settings


def _stop_on_signals() -> threading.Event:
    """An event that Ctrl-C and SIGTERM set, so that a run ends at a commit."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _print_json(run: Run) -> None:
    from core.reports import run_report

    sys.stdout.write(json.dumps(run_report(run), indent=2) + "\n")


if __name__ == "__main__":
    main()
