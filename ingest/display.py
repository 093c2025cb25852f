"""What the command line shows of a run: a bar while it works, a table when it is done."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from core.records import ItemState, RunState, printable
from core.reports import duration_s, iso_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from core.records import Item, Run, RunCounters
    from core.store.catalog import Catalog

_SHOWN_FAILURES = 20


@contextmanager
def progress_bar(console: Console) -> Iterator[Callable[[RunCounters], None]]:
    """Give a function that draws the counters it is called with."""
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    with bar:
        task = bar.add_task("looking at the folder", total=None, rate="")

        def show(counters: RunCounters) -> None:
            seconds = bar.tasks[task].elapsed or 0.0
            rate = f"{counters.embedded / seconds:.1f} images/s" if seconds else ""
            if counters.planned:
                described = f"embedded {counters.embedded}"
                bar.update(
                    task,
                    description=described,
                    total=counters.planned,
                    completed=counters.settled,
                    rate=rate,
                )
            else:
                bar.update(task, description=f"seen {counters.scanned} files")

        yield show


def show_run(console: Console, run: Run, failures: list[Item]) -> None:
    """Print what a run did, and each photo that could not be used."""
    counters = run.counters
    table = Table(title=f"Run {run.id}: {run.state}", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in (
        ("files seen", counters.scanned),
        ("new", counters.new + counters.revived),
        ("edited", counters.modified),
        ("moved", counters.moved),
        ("removed", counters.removed),
        ("failed", run.failed_items),
        ("embedded", counters.embedded),
    ):
        table.add_row(name, f"{value:,}")
    table.add_row("seconds", f"{duration_s(run):.2f}")
    console.print(table)
    style = "red" if run.state is not RunState.SUCCEEDED else "green"
    console.print(printable(run.message or ""), style=style, markup=False)
    for warning in run.warnings:
        console.print(f"warning: {printable(warning)}", style="yellow", markup=False)
    for item in failures[:_SHOWN_FAILURES]:
        console.print(
            f"failed: {printable(item.path)}: {item.reason} ({item.reason_code})",
            style="red",
            markup=False,
        )
    if run.failed_items > _SHOWN_FAILURES:
        console.print(f"… and {run.failed_items - _SHOWN_FAILURES} more failed.")


def show_status(console: Console, catalog: Catalog) -> None:
    """Print what the store holds and how its last runs went."""
    live = catalog.live_space()
    counts = catalog.count_items()
    facts = Table(title=str(catalog.store_dir), title_justify="left", show_header=False)
    facts.add_column(style="bold")
    facts.add_column()
    facts.add_row("model", f"{live.spec}, {live.dimension} dimensions" if live else "none yet")
    facts.add_row("generation", str(catalog.generation()))
    for state in ItemState:
        facts.add_row(state, f"{counts[state]:,}")
    facts.add_row("segments", str(len(catalog.segments())))
    console.print(facts)
    runs, _ = catalog.runs.latest(5)
    table = Table("run", "state", "asked by", "begun", "new", "removed", "failed", "seconds")
    for run in runs:
        table.add_row(
            str(run.id),
            run.state,
            run.trigger,
            iso_time(run.started_at) or "",
            str(run.counters.new_images),
            str(run.counters.removed),
            str(run.failed_items),
            f"{duration_s(run):.2f}",
        )
    if runs:
        console.print(table)
