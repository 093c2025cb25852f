"""`lookalike`: serve the catalogue, or ask a service from the command line.

Exit codes: 0 done, 1 something went wrong, 2 wrong usage or settings.
"""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003  # typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from core.errors import LookalikeError, SettingsError

if TYPE_CHECKING:
    from core.settings import Settings
    from service.client import LookalikeClient

DONE, FAILED, USAGE = range(3)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Search a shop's photos by looks.",
    epilog="Exit codes: 0 done, 1 failed, 2 usage or settings.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Url = Annotated[
    str | None,
    typer.Option(help="Address of the service.", show_default="from LOOKALIKE_HOST and _PORT"),
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
    image: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    top: Annotated[int, typer.Option(min=1, max=100, help="Most matches.")] = 10,
    threshold: Annotated[
        float | None, typer.Option(min=-1, max=1, help="Least score of a match.")
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for the service to come up.")
    ] = 0,
    url: Url = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Find the photos that look like IMAGE."""
    from rich.console import Console

    from service.tables import show_matches

    with _client(url) as client:
        client.wait_until_ready(wait)
        answer = client.find_similar(image, top, threshold)
    if as_json:
        typer.echo(answer.model_dump_json(indent=2, exclude_none=True))
    else:
        show_matches(Console(), answer)


@app.command()
def status(url: Url = None, *, as_json: AsJson = False) -> None:
    """Show how the service is and what its last runs did."""
    import json

    from rich.console import Console

    from service.tables import show_status

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
        show_status(Console(), health, stats, runs)


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

    if url is None:
        settings = _settings()
        host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104
        url = f"http://{host}:{settings.port}"
    return LookalikeClient(url)


def _announce(url: str) -> None:
    typer.echo(f"Lookalike answers at {url}", err=False)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
