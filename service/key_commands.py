"""`lookalike keys`: who may ask the service for what."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from core.errors import SettingsError

if TYPE_CHECKING:
    from service.guard.key_file import KeyFile
    from service.guard.keys import Key

app = typer.Typer(
    no_args_is_help=True, help="Make, list and revoke the keys of LOOKALIKE_KEYS_FILE."
)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whom or what the key is for; it shows in logs.")],
    scope: Annotated[
        list[str], typer.Option(help="search, ingest or admin; repeat it for several.")
    ],
) -> None:
    """Make a key and print it, once: only its hash is kept."""
    from service.guard.keys import Key, new_secret, parse_scopes

    if not name.strip() or not name.isprintable():
        raise typer.BadParameter("the name must be printable text", param_hint="NAME")
    try:
        scopes = parse_scopes("+".join(scope))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--scope") from error
    secret = new_secret()
    key = Key.of(name, scopes, secret.encode(), created_at=time.time())

    def add(before: tuple[Key, ...]) -> tuple[Key, ...]:
        if any(one.name == name for one in before):
            raise SettingsError(
                f"There is a key {name!r}; revoke it first, or give the new one another name."
            )
        return (*before, key)

    _file().change(add)
    typer.echo(secret)
    typer.echo("This is shown once. A service that reads the file takes it at once.", err=True)


@app.command(name="list")
def list_keys() -> None:
    """Show the keys' names, scopes and ages."""
    from rich.console import Console
    from rich.table import Table

    from core.reports import iso_time
    from service.guard.key_file import read_keys

    path = _file().path
    table = Table("name", "scopes", "created")
    for key in read_keys(path) if path.exists() else ():
        table.add_row(key.name, " ".join(sorted(key.scopes)), iso_time(key.created_at) or "")
    Console().print(table)


@app.command()
def revoke(name: Annotated[str, typer.Argument(help="The name it was made with.")]) -> None:
    """Take a key away; it stops working at once, without a restart."""

    def remove(before: tuple[Key, ...]) -> tuple[Key, ...]:
        kept = tuple(one for one in before if one.name != name)
        if len(kept) == len(before):
            raise SettingsError(f"There is no key {name!r}; `lookalike keys list` shows all.")
        return kept

    _file().change(remove)


def _file() -> KeyFile:
    from core.settings import Settings
    from service.guard.key_file import KeyFile

    path = Settings.load().keys_file
    if path is None:
        raise SettingsError("LOOKALIKE_KEYS_FILE names no file to keep keys in.")
    return KeyFile(path)
