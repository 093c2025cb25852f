"""Nearest neighbours beside other engines, on the same clustered vectors.

Lookalike's FAISS adapter is measured through its contract. Every engine runs in a process of its
own and is widened until it finds 98 % of the true ten nearest; then it and FAISS's flat index
are asked in turns, so that each has the same reference beside it, one query at a time on one
thread.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Final, TypedDict

import numpy as np

from benchmarks.figures import Figure, Options, Table, show_ms
from benchmarks.load import ROOT
from benchmarks.side_environments import SCRIPTS, offline, python_of
from benchmarks.synthetic_store import fresh_folder
from benchmarks.vectors import VectorSource

_OURS: Final = "lookalike"
_ENVIRONMENT: Final = "neighbours"
_ENGINES: Final = (_OURS, "hnswlib", "usearch", "chromadb", "lancedb")
_MOST_ITEMS: Final = 200_000  # larger ones take the others too long to build
_PATIENCE_S: Final = 1800
_LAST_WORDS: Final = 300  # characters of an error that a note may quote


class Found(TypedDict, total=False):
    """What benchmarks/side/search_vectors.py says of an engine; in seconds and bytes."""

    build_s: float
    memory: float
    disk: float
    recall: float
    width: str
    flat_s: float
    search_s: float
    colour_s: float
    colour_recall: float
    brand_s: float
    brand_recall: float
    add_s: float


def measure(options: Options) -> Table:
    """Build, search, filter and add with each engine."""
    source = VectorSource.around(options.embeddings)
    items = min(_MOST_ITEMS, *options.items) if options.quick else _largest(options.items)
    folder = fresh_folder(options.folder / "neighbours")
    vectors, queries = folder / "drawn.npy", folder / "queries.npy"
    np.save(vectors, source.draw(items, 1))
    queried = source.draw(40 if options.quick else 200, seed=10_000).astype(np.float32)
    np.save(queries, queried / np.linalg.norm(queried, axis=1, keepdims=True))
    found: dict[str, Found] = {}
    absent: dict[str, str] = {}
    for engine in _ENGINES:
        python = sys.executable if engine == _OURS else python_of(_ENVIRONMENT, options.folder)
        if python is None:
            absent[engine] = f"python -m benchmarks.side_environments {_ENVIRONMENT}"
            continue
        command = [str(python), str(SCRIPTS / "search_vectors.py"), engine, str(vectors)]
        command += [str(queries), str(fresh_folder(folder / engine))]
        print(f"neighbours: {engine}", file=sys.stderr, flush=True)
        _run(engine, command, found, absent)
    return _table(found, absent, items, source)


def _largest(items: tuple[int, ...]) -> int:
    fitting = [size for size in items if size <= _MOST_ITEMS]
    return max(fitting, default=_MOST_ITEMS)


def _run(engine: str, command: list[str], found: dict[str, Found], absent: dict[str, str]) -> None:
    environment = {**(os.environ if engine == _OURS else offline()), "PYTHONPATH": str(ROOT)}
    if engine != _OURS:
        del environment["PYTHONPATH"]
    done = subprocess.run(  # noqa: S603  # our own command
        command, env=environment, capture_output=True, text=True, timeout=_PATIENCE_S, check=False
    )
    if done.returncode == 0:
        found[engine] = json.loads(done.stdout)
    else:
        absent[engine] = " ".join(done.stderr[-_LAST_WORDS:].split())


def _table(
    found: dict[str, Found], absent: dict[str, str], items: int, source: VectorSource
) -> Table:
    ours = found[_OURS]
    table = Table("Neighbours beside other engines")
    table.figures.append(
        Figure(
            f"search, {items:,} vectors, against FAISS flat",
            _search(ours),
            show_ms(ours["flat_s"]),
            ours["flat_s"] / ours["search_s"],
            "1 ms, recall 0.98 at 1,000,000",
            guarded=False,  # `store` watches it
        )
    )
    for engine in _ENGINES:
        if engine != _OURS and engine in found:
            table.figures += _against(engine, ours, found[engine], items)
    seeds = "real embeddings" if source.real else "drawn groups"
    told = (
        f"Vectors of {source.seeds.shape[1]} dimensions drawn around {seeds}. A search's ratio is "
        "of the two engines' gains over the flat index beside each, so what else the machine does "
        "falls out. Memory is what a process holds beside the vectors it was given; Lookalike also "
        "maps its stored vectors from disk. Added vectors are searchable, and durable only with "
        "chromadb and lancedb."
    )
    notes = [told]
    notes += [f"{engine} did not take part: {why}." for engine, why in absent.items()]
    table.note = " ".join(notes)
    return table


def _against(engine: str, ours: Found, theirs: Found, items: int) -> list[Figure]:
    what = f"{items:,} vectors, against {engine}"
    figures = [_compared("search", what, _search(ours), _search(theirs), _gain(ours, theirs))]
    for key, share in (("colour", "1 in 8"), ("brand", "1 in 500")):
        if f"{key}_s" in theirs:
            figures.append(
                _compared(
                    f"filter that passes {share}",
                    what,
                    _filter(ours, key),
                    _filter(theirs, key),
                    _gain(ours, theirs, f"{key}_s"),
                )
            )
    rest = (
        ("build", "build_s", lambda one: f"{one['build_s']:.1f} s"),
        ("memory", "memory", lambda one: f"{one['memory'] / 1e6:.0f} MB"),
        ("disk", "disk", lambda one: f"{one['disk'] / 1e6:.0f} MB"),
        ("adding 10", "add_s", lambda one: show_ms(one["add_s"])),
    )
    figures += [
        _compared(name, what, show(ours), show(theirs), theirs[key] / max(ours[key], 1e-9))
        for name, key, show in rest
    ]
    return figures


def _compared(name: str, what: str, ours: str, theirs: str, ratio: float) -> Figure:
    return Figure(f"{name}, {what}", ours, theirs, ratio, guarded=False)


def _gain(ours: Found, theirs: Found, key: str = "search_s") -> float:
    """How many times faster ours is, each measured by the flat index beside it."""
    return (ours["flat_s"] / ours[key]) / (theirs["flat_s"] / theirs[key])


def _search(one: Found) -> str:
    width = "" if one["width"] == "0" else f", width {one['width']}"
    return f"{show_ms(one['search_s'])}; recall@10 {one['recall']:.3f}{width}"


def _filter(one: Found, key: str) -> str:
    return f"{show_ms(one[f'{key}_s'])}; recall@10 {one[f'{key}_recall']:.3f}"
