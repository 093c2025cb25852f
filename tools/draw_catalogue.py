"""Draws the sample catalogue that the project ships, so that no picture in it is anyone else's.

Run from the repository root: ``python -m tools.draw_catalogue``. The same Pillow and numpy draw
the same bytes.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tools.catalogue.shelf import write_catalogue, write_shot
from tools.catalogue.stock import PRODUCTS, QUERIES

DATA_FOLDER = Path(__file__).resolve().parent.parent / "data"


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw ``images/`` and ``queries/`` into the folder asked for."""
    options = _parser().parse_args(arguments)
    folder: Path = options.output
    count = write_catalogue(PRODUCTS, folder / "images", options.size)
    for shot in QUERIES:
        write_shot(shot, folder / "queries", options.size)
    print(f"Drew {count} pictures of {len(PRODUCTS)} products and {len(QUERIES)} queries: {folder}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="draw_catalogue", description=__doc__)
    parser.add_argument(
        "--output",
        type=Path,
        default=DATA_FOLDER,
        help="folder that gets images/ and queries/ (default: %(default)s)",
    )
    parser.add_argument(
        "--size",
        type=int,
        metavar="PIXELS",
        help="width and height of every picture (default: as planned for each category)",
    )
    return parser


if __name__ == "__main__":
    main()
