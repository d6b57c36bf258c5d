"""``consent-gate state rebuild|skip-lost``: let a held partition go on, and file what was lost."""

from __future__ import annotations

import typer

from streams.cli.state_rebuild import rebuild
from streams.cli.state_skip_lost import skip_lost

state_app = typer.Typer(no_args_is_help=True, help="Let a held partition go on.")
state_app.command()(rebuild)
state_app.command("skip-lost")(skip_lost)
