"""`lookalike evaluate`: how well a model finds photos of one's own."""

from __future__ import annotations

from pathlib import Path  # typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from core.settings import Settings
    from service.evaluation.run import Evaluator

Folder = Annotated[Path, typer.Argument(exists=True, file_okay=False)]
Gallery = Annotated[
    Path | None,
    typer.Option(
        exists=True, file_okay=False, help="Folder to search in; without, the rest of FOLDER."
    ),
]
Column = Annotated[
    str | None,
    typer.Option(
        help="Column of the product data that says what a photo shows, for instance product_id; "
        "without, its folder says it."
    ),
]
Metadata = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="Product data; without, products.csv or products.json in each folder.",
    ),
]
Only = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="File of the labels to ask about, one a line."),
]
Model = Annotated[str | None, typer.Option(help="Model spec.", show_default="LOOKALIKE_MODEL")]
Weights = Annotated[
    Path | None,
    typer.Option(help="Its local weights.", show_default="LOOKALIKE_MODEL_WEIGHTS"),
]
Sheet = Annotated[
    Path | None, typer.Option(dir_okay=False, help="Picture file to draw the worst misses into.")
]
Rows = Annotated[int, typer.Option(min=1, max=200, help="Queries on the sheet.")]
Sample = Annotated[bool, typer.Option("--sample", help="Draw queries picked evenly, not misses.")]
Robustness = Annotated[bool, typer.Option("--robustness", help="Distort the queries, too.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def evaluate(
    folder: Folder,
    gallery: Gallery = None,
    column: Column = None,
    metadata: Metadata = None,
    only: Only = None,
    model: Model = None,
    weights: Weights = None,
    sheet: Sheet = None,
    rows: Rows = 30,
    *,
    sample: Sample = False,
    robustness: Robustness = False,
    as_json: AsJson = False,
) -> None:
    """Measure how well a model finds the photos of FOLDER that show the same."""
    import json

    from core.vision.decode import DecodeLimits
    from service.evaluation.labelled import read_labelled, read_labels_file
    from service.evaluation.sheet import check_suffix, draw_misses, draw_sample, save_sheet
    from service.evaluation.tables import as_data, show_evaluation
    from service.tables import console

    if sheet is not None:
        check_suffix(sheet)
    settings = _settings(model, weights)
    queries = read_labelled(folder, column, metadata)
    searched = None if gallery is None else read_labelled(gallery, column, metadata)
    labels = None if only is None else read_labels_file(only)
    evaluation = _evaluator(settings).evaluate(queries, searched, labels, robustness=robustness)
    if as_json:
        typer.echo(json.dumps(as_data(evaluation), indent=2))
    else:
        show_evaluation(console(), evaluation)
    if sheet is not None:
        draw = draw_sample if sample else draw_misses
        save_sheet(draw(evaluation, rows, DecodeLimits.for_catalogue(settings)), sheet)


def _settings(model: str | None, weights: Path | None) -> Settings:
    """The settings; a model named here comes with the weights named here, or its own."""
    from core.settings import Settings

    if model is not None:
        return Settings.load(model=model, model_weights=weights)
    return Settings.load() if weights is None else Settings.load(model_weights=weights)


def _evaluator(settings: Settings) -> Evaluator:
    from core.vision.models import ModelSource, load_embedder
    from service.evaluation.run import Evaluator

    return Evaluator(settings, load_embedder(ModelSource.from_settings(settings)))
