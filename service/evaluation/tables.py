"""An evaluation as tables for a terminal, and as data for a program."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from service.evaluation.run import Evaluation, Looked


def show_evaluation(console: Console, evaluation: Evaluation) -> None:
    """Print the figures, the table of thresholds and, where measured, of distortions."""
    figures = evaluation.figures
    console.print(Text(f"{evaluation.model}: {evaluation.dimension} dimensions", style="bold"))
    console.print(
        f"{figures.queries} queries in {figures.gallery} photos: R@1 {figures.recall_at_1:.3f}, "
        f"R@5 {figures.recall_at_5:.3f}, mAP {figures.mean_average_precision:.3f}"
    )
    if figures.alone:
        console.print(f"{figures.alone} queries left out: no other photo has their label")
    console.print(_thresholds(evaluation))
    if evaluation.robustness:
        table = _table("queries", "R@1", "find themselves")
        for row in evaluation.robustness:
            table.add_row(row.distortion, f"{row.recall_at_1:.3f}", f"{row.itself:.3f}")
        console.print(table)


def as_data(evaluation: Evaluation) -> dict[str, Any]:
    """Everything that was measured; photos by their paths."""
    figures = asdict(evaluation.figures)
    figures["misses"] = [
        {
            "query": _path(evaluation.queries, miss.query),
            "label": evaluation.queries.photos.labels[miss.query],
            "first": [_path(evaluation.gallery, place) for place in miss.first],
            "right": _path(evaluation.gallery, miss.right),
            "lead": round(miss.lead, 6),
        }
        for miss in evaluation.figures.misses
    ]
    return {
        "model": evaluation.model,
        "dimension": evaluation.dimension,
        "default_threshold": evaluation.default_threshold,
        **figures,
        "robustness": [asdict(row) for row in evaluation.robustness],
        "skipped": {**evaluation.gallery.skipped, **evaluation.queries.skipped},
    }


def _path(looked: Looked, place: int) -> str:
    path: Path = looked.files[place]
    return path.as_posix().encode(errors="surrogateescape").decode(errors="backslashreplace")


def _thresholds(evaluation: Evaluation) -> Table:
    table = _table("threshold", "have a match", "first right", "precision", "recall")
    for row in evaluation.figures.thresholds:
        default = abs(row.threshold - evaluation.default_threshold) < 1e-4
        table.add_row(
            f"{row.threshold:.2f}" + (" (default)" if default else ""),
            _percent(row.answered),
            _percent(row.first_right),
            _percent(row.precision),
            _percent(row.recall),
            style="bold" if default else "",
        )
    return table


def _table(first: str, *others: str) -> Table:
    table = Table()
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
