"""What a benchmark finds: figures, each beside the reference of the same run."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Options:
    """What a benchmark may use."""

    quick: bool  # small sizes, few repeats
    photos: Path | None  # folder of real photos; None: the sample catalogue
    embeddings: Path | None  # `.npy` of real embeddings, around which vectors are drawn
    items: tuple[int, ...]  # sizes of catalogue
    folder: Path  # for what is made on the way; big stores are kept there between runs
    weights: Path | None = None  # real weights of timm's mobilenetv2_100
    device: str = "auto"  # what `gpu` runs on


@dataclass(frozen=True)
class Figure:
    """One measured number and what it is held against."""

    what: str
    value: str  # with its unit
    reference: str = ""  # what it is compared with, and that one's number
    ratio: float | None = None  # of the two
    budget: str = ""
    more_is_better: bool = True  # of the ratio
    guarded: bool = True  # whether `make bench-check` watches the ratio


@dataclass
class Table:
    """The figures of one benchmark."""

    title: str
    figures: list[Figure] = field(default_factory=list)
    note: str = ""
    command: str = ""  # what to type for it

    def text(self) -> str:
        """The table in Markdown."""
        lines = [
            f"## {self.title}",
            "",
            f"`{self.command}`",
            "",
            "| what | measured | beside | ratio | budget |",
            "|---|---|---|---|---|",
        ]
        for one in self.figures:
            ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
            lines.append(f"| {one.what} | {one.value} | {one.reference} | {ratio} | {one.budget} |")
        return "\n".join([*lines, *(["", self.note] if self.note else []), ""])

    def ratios(self) -> dict[str, float]:
        """The guarded ratios, turned so that more is better."""
        return {
            one.what: one.ratio if one.more_is_better else 1 / one.ratio
            for one in self.figures
            if one.guarded and one.ratio
        }


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def medians(repeats: int, *works: Callable[[], object]) -> list[float]:
    """The median time of each piece of work, taken in turns so that noise meets all alike."""
    taken = [[seconds(work) for work in works] for _ in range(repeats)]
    return [median(column) for column in zip(*taken, strict=True)]


def show_ms(value: float) -> str:
    """Seconds as milliseconds."""
    return f"{value * 1000:.2f} ms"
