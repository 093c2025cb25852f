"""The history of runs as charts: SVG that takes its colours from the page's style sheet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pygal

from core.reports import duration_s

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from core.records import Run

_WIDTH: Final = 460
_HEIGHT: Final = 170
_MOST_LABELS: Final = 8
_LEAST_BARS: Final = 14


@dataclass(frozen=True)
class Chart:
    """One drawn chart."""

    title: str
    description: str  # for those who cannot see it
    svg: str


def history_charts(runs: Sequence[Run]) -> list[Chart]:
    """Draw ended runs, given oldest first: what they did, what failed, how long they took."""
    if not runs:
        return []
    names = [f"Run {run.id}" for run in runs]
    counted = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    done = [run.counters.new_images for run in runs]
    removed = [run.counters.removed for run in runs]
    failed = [run.failed_items for run in runs]
    seconds = [round(duration_s(run), 2) for run in runs]
    return [
        Chart(
            "Photos added and removed",
            f"{sum(done):,} added or edited and {sum(removed):,} removed in {counted}.",
            _bars(names, {"added or edited": done, "removed": removed}),
        ),
        Chart(
            "Failed photos",
            f"Photos in state failed after each run; {failed[-1]:,} after the last.",
            _bars(names, {"failed": failed}, colours=("bad",)),
        ),
        Chart(
            "Duration in seconds",
            f"The longest of {counted} took {max(seconds):,.1f} s.",
            _bars(names, {"seconds": seconds}),
        ),
    ]


def _bars(
    names: Sequence[str],
    series: dict[str, Sequence[float]],
    colours: Sequence[str] = ("one", "two"),
) -> str:
    every = max(1, -(-len(names) // _MOST_LABELS))
    chart = pygal.StackedBar(
        js=[],
        css=[],
        disable_xml_declaration=True,
        width=_WIDTH,
        height=_HEIGHT,
        margin=6,
        show_legend=False,
        spacing=2,
        y_labels=ticks(max((sum(row) for row in zip(*series.values(), strict=True)), default=0)),
        value_formatter=lambda value: f"{value:,.10g}",
    )
    blanks = max(0, _LEAST_BARS - len(names))  # a bar keeps its width while there are few
    chart.x_labels = ["" for _ in range(blanks)] + [
        name.removeprefix("Run ") if place % every == 0 else "" for place, name in enumerate(names)
    ]
    for title, values in series.items():
        chart.add(
            title,
            [None] * blanks
            + [
                {"value": value, "label": f"{name}: {value:,.10g} {title}"}
                for name, value in zip(names, values, strict=True)
            ],
        )
    chart.add_xml_filter(lambda root: _cleaned(root, colours))
    svg: str = chart.render(is_unicode=True)
    return svg


def ticks(top: float) -> list[float]:
    """Round numbers from 0 to `top` or just above, four or five of them at most."""
    step = 10.0 ** math.floor(math.log10(max(top, 1) / 4))
    step = next(step * factor for factor in (1, 2, 5, 10) if step * factor * 4 >= top)
    step = max(1.0, step)
    return [step * place for place in range(max(1, math.ceil(top / step)) + 1)]


def _cleaned(root: Element, colours: Sequence[str]) -> Element:
    """Leave the drawing and its labels: no script, no style, nothing that needs either."""
    for parent in list(root.iter()):
        for child in list(parent):
            if _left_out(child):
                parent.remove(child)
    for group in root.iter("g"):
        kind = group.get("class", "")
        if kind.startswith("series serie-"):
            group.set("class", f"series {colours[int(kind.split()[1][len('serie-') :])]}")
        elif kind == "bar":
            _label(group)
    root.set("class", "chart")
    root.set("aria-hidden", "true")  # said in words beside it
    root.attrib.pop("id", None)
    return root


def _left_out(element: Element) -> bool:
    """Whether it is a comment, or there for a page of pygal's own: scripts, styles, overlays."""
    if not isinstance(element.tag, str):
        return True
    if element.tag in ("defs", "desc"):
        return element.get("class") != "label"
    return element.tag == "title" or "overlay" in element.get("class", "")


def _label(bar: Element) -> None:
    """Have every browser show what pygal's own script would."""
    for label in bar.findall("desc"):
        label.tag = "title"
        label.attrib.clear()
