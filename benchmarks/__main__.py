"""Measure, print, and where asked write the tables of docs/performance.md.

python -m benchmarks [NAME...] [--quick] [--write] [--check] [--commit]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, cast

from benchmarks.figures import Options
from benchmarks.machine import describe_machine

if TYPE_CHECKING:
    from benchmarks.figures import Table

NAMES: Final = (
    "store",
    "crossover",
    "structures",
    "rerun",
    "ingest",
    "passes",
    "queries",
    "products",
    "product_queries",
    "neighbours",
    "decode",
    "gpu",
    "scale",
)
"""Each a module beside this one with a function `measure`."""

OPTIONAL: Final = ("milvus", "models")
"""Those that take packages or weights of their own, so that they run only where they are named."""

_COMMITTED: Final = Path(__file__).with_name("committed.json")
_DOCS: Final = Path(__file__).parents[1] / "docs"
_DOCUMENTS: Final = {
    "milvus": "scaling.md",
    "models": "models.md",
}  # where a table stands; else performance.md
_LOSS: Final = 0.2  # of a ratio, from there on the check fails


class _Benchmark(Protocol):
    def measure(self, options: Options) -> Table | None: ...


def main() -> None:
    """Run what was named, or everything."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, *OPTIONAL, []], metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="small sizes, few repeats")
    parser.add_argument("--photos", type=Path, help="folder of real photos")
    parser.add_argument("--embeddings", type=Path, help=".npy of real embeddings")
    parser.add_argument("--weights", type=Path, help="real weights of timm's mobilenetv2_100")
    parser.add_argument("--device", default="auto", help="what `gpu` runs on: auto, cuda, cpu")
    parser.add_argument("--items", help="catalogue sizes, with commas between")
    parser.add_argument("--folder", type=Path, help="where large stores are kept between runs")
    parser.add_argument("--write", action="store_true", help="write the tables in docs/")
    parser.add_argument("--check", action="store_true", help="fail on a loss of 20 %%")
    parser.add_argument("--commit", action="store_true", help="keep the ratios to check against")
    given = parser.parse_args()
    sizes = given.items or ("2000,10000" if given.quick else "10000,100000")
    folder = given.folder or Path(tempfile.gettempdir()) / "lookalike-benchmarks"
    options = Options(
        given.quick,
        given.photos,
        given.embeddings,
        tuple(map(int, sizes.split(","))),
        folder,
        given.weights,
        given.device,
    )
    tables = {}
    for name in given.names or NAMES:
        table = cast("_Benchmark", import_module(f"benchmarks.{name}")).measure(options)
        if table is not None:
            table.command = _command(name, given)
            print(table.text(), flush=True)
            tables[name] = table
    print(describe_machine())
    if given.write:
        _write(tables)
    if given.commit:
        _commit(tables)
    if given.check:
        sys.exit(_check(tables))


def _command(name: str, given: argparse.Namespace) -> str:
    """What to type for the same measurement; the reader has other folders."""
    words = ["python -m benchmarks", name]
    words += ["--quick"] if given.quick else []
    words += ["--photos FOLDER"] if given.photos else []
    words += ["--embeddings FILE"] if given.embeddings else []
    words += ["--weights FILE"] if given.weights else []
    words += [f"--device {given.device}"] if given.device != "auto" else []
    words += [f"--items {given.items}"] if given.items else []
    return " ".join(words)


def _write(tables: dict[str, Table]) -> None:
    """Put each table between its markers."""
    for name, table in tables.items():
        path = _DOCS / _DOCUMENTS.get(name, "performance.md")
        document = path.read_text()
        start, end = f"<!-- {name} -->\n", f"<!-- end {name} -->"
        before, rest = document.split(start)
        after = rest.split(end)[1]
        text = f"{table.text()}\n{describe_machine()}\n"
        path.write_text(f"{before}{start}{text}{end}{after}")


def _commit(tables: dict[str, Table]) -> None:
    """Keep ratios beside those of other number formats, which other processors have."""
    known = json.loads(_COMMITTED.read_text()) if _COMMITTED.exists() else {}
    for name, table in tables.items():
        measured = {what: round(ratio, 3) for what, ratio in table.ratios().items()}
        known[name] = {**known.get(name, {}), **measured}
    _COMMITTED.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


def _check(tables: dict[str, Table]) -> int:
    known = json.loads(_COMMITTED.read_text())
    lost = 0
    for name, table in tables.items():
        for what, ratio in table.ratios().items():
            before = known.get(name, {}).get(what)
            if before is None:
                print(f"{name}: {what}: nothing was kept to compare {ratio:.2f} with")
                lost += 1
            elif ratio < (1 - _LOSS) * before:
                print(f"{name}: {what}: {ratio:.2f}, was {before:.2f}")
                lost += 1
    return min(lost, 1)


if __name__ == "__main__":
    main()
