"""Answers as tables for a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from service.rank import Ranking
    from service.schemas.health import HealthAnswer, StatsAnswer
    from service.schemas.runs import RunAnswer
    from service.schemas.search import FindSimilarAnswer


_VALUE_WIDTH: Final = 40  # of an attribute, in characters
_PIPE_WIDTH: Final = 10_000  # nothing is folded for a program that reads lines


def console() -> Console:
    """Where tables are printed: as wide as the terminal, or as the table where there is none."""
    return Console() if sys.stdout.isatty() else Console(width=_PIPE_WIDTH)


def show_ranking(console: Console, ranking: Ranking) -> None:
    """Print the pictures of a folder, the most alike first."""
    table = Table()
    table.add_column("name", overflow="fold")
    table.add_column("score", justify="right")
    table.add_column("class", overflow="fold")
    for row in ranking.rows:
        table.add_row(Text(row.name), f"{row.score:.4f}", Text(row.label or "-"))
    console.print(table)


def show_matches(console: Console, answer: FindSimilarAnswer) -> None:
    """Print what was found, best first."""
    if answer.message:
        console.print(answer.message, markup=False)
    elif not answer.matches:
        console.print(
            f"Nothing scores {answer.threshold_used} or more; a lower --threshold finds more."
        )
    else:
        _print_matches(console, answer)
    for key, counts in (answer.facets or {}).items():
        shown = ", ".join(f"{one.value} ({one.count})" for one in counts)
        console.print(Text.assemble((f"{key}: ", "bold"), shown))
    console.print(
        f"{len(answer.matches)} of {answer.total_compared} photos, threshold "
        f"{answer.threshold_used}, {answer.processing_time_ms:.0f} ms",
        style="dim",
    )


def show_status(
    console: Console, health: HealthAnswer, stats: StatsAnswer, runs: list[RunAnswer]
) -> None:
    """Print how the service is and what was done lately."""
    index = stats.index
    daemon = stats.ingest
    facts = {
        "status": health.status,
        "model": f"{stats.model} on {health.device}",
        "photos": ", ".join(f"{count} {state}" for state, count in stats.items.items()),
        "searchable": f"{stats.total_products} (generation {stats.generation})",
        "index": f"{index.kind}, {index.vectors} vectors" if index else "none yet",
        "ingest daemon": "running" if daemon and daemon.alive else "not running",
        "next run": (daemon.next_run_at if daemon else None) or "not scheduled",
    }
    table = Table(show_header=False, box=None)
    for name, value in facts.items():
        table.add_row(Text(name, style="dim"), Text(value))
    console.print(table)
    for problem in health.problems:
        console.print(problem, style="red", markup=False)
    if runs:
        console.print(_runs_table(runs))


def _print_matches(console: Console, answer: FindSimilarAnswer) -> None:
    table = Table()
    table.add_column("score", justify="right")
    for name in ("image", "product", "attributes"):
        table.add_column(name, overflow="fold")
    for match in answer.matches:
        attributes = ", ".join(f"{key}: {_short(value)}" for key, value in match.attributes.items())
        table.add_row(
            f"{match.similarity_score:.4f}",
            Text(match.image_path),
            Text(match.product_id),
            Text(attributes),
        )
    console.print(table)


def _short(value: str) -> str:
    return value if len(value) <= _VALUE_WIDTH else value[: _VALUE_WIDTH - 1] + "…"


def _runs_table(runs: list[RunAnswer]) -> Table:
    table = Table(title="latest runs")
    for name in ("run", "state", "trigger", "new", "moved", "removed", "failed", "seconds"):
        table.add_column(name, justify="left" if name in ("state", "trigger") else "right")
    table.add_column("message", overflow="fold")
    for run in runs:
        counts = (run.new_images, run.moved_images, run.removed_images, run.failed_images)
        table.add_row(
            str(run.id),
            run.state.value,
            run.trigger,
            *map(str, counts),
            f"{run.processing_time:.1f}",
            Text(run.message or ""),
        )
    return table
