"""``consent-gate config show``: the effective settings, and where each came from."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from streams.cli.context import settings_of
from streams.config import shown

config_app = typer.Typer(no_args_is_help=True, help="Show the effective settings.")


@config_app.callback()
def _config() -> None:
    """Keep ``show`` a sub-command: a lone command would take its group's place."""


@config_app.command()
def show(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Print every setting, its value and where it came from. Secrets are shown as ***."""
    loaded = settings_of(ctx)
    values = shown(loaded.settings)
    if as_json:
        report = {
            name: {"value": value, "source": loaded.sources[name]} for name, value in values.items()
        }
        typer.echo(json.dumps(report, indent=2, ensure_ascii=False))
        return
    table = Table("setting", "value", "from", box=None, pad_edge=False)
    for name, value in values.items():
        written = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        table.add_row(name, written, loaded.sources[name])
    # Piped output has no width of its own: never cut a value off there.
    width = None if sys.stdout.isatty() else 200
    Console(width=width, markup=False, highlight=False).print(table)
