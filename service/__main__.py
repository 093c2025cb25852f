"""`lookalike`: serve the catalogue, or ask a service from the command line.

Exit codes: 0 done, 1 something went wrong, 2 wrong usage or settings.
"""

from __future__ import annotations

import sys
from pathlib import Path  # typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from core.errors import LookalikeError, SettingsError
from service import evaluate_command, key_commands

if TYPE_CHECKING:
    from core.settings import Settings
    from service.calls import Wanted
    from service.client import LookalikeClient
    from service.rank import Ranking

DONE, FAILED, USAGE = range(3)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Search a shop's photos by looks.",
    epilog="Exit codes: 0 done, 1 failed, 2 usage or settings.",
)

app.add_typer(key_commands.app, name="keys")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Url = Annotated[
    str | None,
    typer.Option(help="Address of the service.", show_default="from LOOKALIKE_HOST and _PORT"),
]

Elsewhere = Annotated[
    str | None, typer.Option(help="Address of a service to ask; without, the model runs here.")
]


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free one.")
    ] = None,
    *,
    no_ingest: Annotated[
        bool, typer.Option("--no-ingest", help="Leave ingesting to a daemon elsewhere.")
    ] = False,
) -> None:
    """Answer searches, and keep an ingest daemon at work beside them."""
    from core.logs import configure_logs

    chosen = {"host": host, "port": port}
    settings = _settings(**{name: value for name, value in chosen.items() if value is not None})
    configure_logs(settings)
    from service.server import serve as serve_until_told

    serve_until_told(settings, _announce, ingest=not no_ingest)


@app.command()
def search(
    image: Annotated[
        Path | None, typer.Argument(exists=True, dir_okay=False, readable=True)
    ] = None,
    text: Annotated[str | None, typer.Option(help="Words to look for, without IMAGE.")] = None,
    top: Annotated[int, typer.Option(min=1, max=100, help="Most matches.")] = 10,
    threshold: Annotated[
        float | None, typer.Option(min=-1, max=1, help="Least score of a match.")
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", help="key:value; any of a key's values, and every key."),
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for the service to come up.")
    ] = 0,
    url: Url = None,
    *,
    by_product: Annotated[bool, typer.Option("--by-product", help="One row a product.")] = False,
    facets: Annotated[bool, typer.Option("--facets", help="Count attribute values.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find the photos that look like IMAGE, or show what a text says."""
    from service.tables import console, show_matches

    if (image is None) == (text is None):
        raise typer.BadParameter("give either IMAGE or --text", param_hint="IMAGE")
    wanted = _wanted(filters, by_product=by_product, facets=facets)
    with _client(url) as client:
        client.wait_until_ready(wait)
        if image is not None:
            answer = client.find_similar(image, top, threshold, **wanted)
        else:
            answer = client.search_text(text or "", top, threshold, **wanted)
    if as_json:
        typer.echo(answer.model_dump_json(indent=2, exclude_none=True))
    else:
        show_matches(console(), answer)


@app.command()
def rank(
    reference: Annotated[
        Path,
        typer.Option(
            "--reference",
            "--ref_image",
            "--ref-image",
            help="Picture to compare with: a name in the folder, or any path.",
        ),
    ] = Path("cat.png"),
    folder: Annotated[
        Path,
        typer.Option(
            "--folder",
            "--images_folder",
            "--images-folder",
            exists=True,
            file_okay=False,
            help="Folder of pictures; folders in it count.",
        ),
    ] = Path("images"),
    top: Annotated[int, typer.Option(min=1, help="Rows to show.")] = 10,
    url: Elsewhere = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Rank the pictures of a folder by their likeness to one picture."""
    import json
    from dataclasses import asdict

    from service.tables import console, show_ranking

    ranking = _rank(_reference(reference, folder), folder, top, url)
    if as_json:
        typer.echo(json.dumps(asdict(ranking), indent=2))
    else:
        show_ranking(console(), ranking)
    for name, reason in ranking.skipped.items():
        typer.echo(f"skipped {name}: {reason}", err=True)
    if not ranking.rows:
        raise typer.Exit(FAILED)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    second: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    url: Elsewhere = None,
) -> None:
    """Print the score of two pictures: the cosine of their vectors, 1 for the same."""
    if url is not None:
        with _client(url) as client:
            typer.echo(f"{client.compare(first, second).similarity_score:.6f}")
        return
    from service.pair_model import load_pair_model
    from service.rank import LocalEyes, compare_files

    settings = _settings()
    eyes = LocalEyes(settings, load_pair_model(settings), name_classes=False)
    typer.echo(f"{compare_files(first, second, eyes):.6f}")


@app.command()
def status(url: Url = None, *, as_json: AsJson = False) -> None:
    """Show how the service is and what its last runs did."""
    import json

    from service.tables import console, show_status

    with _client(url) as client:
        health, stats, runs = client.health(), client.stats(), client.runs(limit=5).runs
    if as_json:
        facts = {
            **health.model_dump(mode="json"),
            **stats.model_dump(mode="json"),
            "runs": [run.model_dump(mode="json") for run in runs],
        }
        typer.echo(json.dumps(facts, indent=2))
    else:
        show_status(console(), health, stats, runs)


app.command()(evaluate_command.evaluate)


def main() -> None:
    """Run the command line; an error is a sentence, never a traceback."""
    try:
        app()
    except LookalikeError as error:
        typer.echo(f"lookalike: {error}", err=True)
        sys.exit(USAGE if isinstance(error, SettingsError) else FAILED)


def _settings(**overrides: object) -> Settings:
    from core.settings import Settings

    return Settings.load(**overrides)


def _client(url: str | None) -> LookalikeClient:
    from service.client import LookalikeClient

    settings = _settings()
    if url is None:
        host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104
        url = f"http://{host}:{settings.port}"
    key = settings.client_key
    return LookalikeClient(url, api_key=key.get_secret_value() if key else None)


def _wanted(filters: list[str] | None, *, by_product: bool, facets: bool) -> Wanted:
    """The options of a search as the client takes them."""
    from service.questions import parse_filters

    return {
        "filters": parse_filters(filters or ()),
        "group_by": "product" if by_product else None,
        "facets": facets,
    }


def _reference(reference: Path, folder: Path) -> Path:
    """A name in the folder, or else any file."""
    for file in (folder / reference, reference):
        if file.is_file():
            return file
    message = f"there is no {reference} in {folder}, nor is it a file"
    raise typer.BadParameter(message, param_hint="--reference")


def _rank(reference: Path, folder: Path, top: int, url: str | None) -> Ranking:
    from service.rank import LocalEyes, RemoteEyes, rank

    if url is not None:
        with _client(url) as client:
            return rank(reference, folder, top, RemoteEyes(client))
    from core.vision.models import ModelSource, load_embedder

    settings = _settings()
    eyes = LocalEyes(settings, load_embedder(ModelSource.from_settings(settings)))
    return rank(reference, folder, top, eyes)


def _announce(url: str) -> None:
    typer.echo(f"Lookalike answers at {url}", err=False)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
