"""Write the README's tables of settings, routes and commands from the code that defines them.

`python -m tools.readme_tables` rewrites the parts between the markers; a test compares.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer.core
import typer.main
from pydantic_core import PydanticUndefined

from core.settings import Settings
from ingest.__main__ import app as ingest_app
from service.__main__ import app as service_app
from service.app import create_app

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

README: Final = Path(__file__).parents[1] / "README.md"


def settings_table() -> str:
    """Every setting, its default and what it is for."""
    rows = [
        f"| `LOOKALIKE_{name.upper()}` | {_default(field)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(("| variable | default | what |", "|---|---|---|", *rows))


def routes_table() -> str:
    """Every route of the service and its summary."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Settings.load(store_dir=Path(folder)))
        paths = app.openapi()["paths"]
    rows = [
        f"| `{method.upper()} {path}` | {operation['description'].splitlines()[0]} |"
        for path, operations in paths.items()
        for method, operation in operations.items()
    ]
    return "\n".join(("| route | what |", "|---|---|", *rows))


def commands_table() -> str:
    """Every command of the two programs."""
    rows = [
        row
        for program, app in (("lookalike", service_app), ("lookalike-ingest", ingest_app))
        for row in _commands(program, typer.main.get_group(app))
    ]
    return "\n".join(("| command | what |", "|---|---|", *rows))


def _commands(program: str, group: typer.core.TyperGroup) -> list[str]:
    rows = list[str]()
    for name, command in group.commands.items():
        if isinstance(command, typer.core.TyperGroup):
            rows += _commands(f"{program} {name}", command)
            continue
        arguments = [
            f" {parameter.name.upper()}"
            for parameter in command.params
            if parameter.param_type_name == "argument" and parameter.name
        ]
        usage = f"{program} {name}{''.join(arguments)}"
        rows.append(f"| `{usage}` | {command.get_short_help_str(limit=200)} |")
    return rows


def with_tables(text: str) -> str:
    """The README with its tables as the code has them."""
    for name, table in (
        ("settings", settings_table()),
        ("routes", routes_table()),
        ("commands", commands_table()),
    ):
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{table}\n{end}{rest.partition(end)[2]}"
    return text


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined or value in (None, "", ()):
        return ""
    if isinstance(value, tuple):
        value = ",".join(value)
    if isinstance(value, bool):
        value = str(value).lower()
    return f"`{value}`"


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
