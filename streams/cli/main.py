"""
The command ``consent-gate``: its sub-commands, its global options, and how it ends.

A sub-command's module is imported when it is called, so that ``--help`` is quick and a production
installation without the extra ``demo`` never touches what only that extra brings.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

import streams
from streams.cli.context import remember_config
from streams.errors import Retry, Stop

TRY_AGAIN = 75
"""The exit status of what failed only because something did not answer (EX_TEMPFAIL)."""

INTERRUPTED = 130
"""The exit status that shells give a command ended by Ctrl-C: 128 and the signal's number."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One sub-command: what ``--help`` says of it, and where it is. ``attribute`` is a function
    or, for a group of commands, a :class:`typer.Typer`."""

    help: str
    module: str
    attribute: str


COMMANDS: dict[str, Entry] = {
    "init": Entry("Make keys and a commented configuration file.", "streams.cli.init", "init"),
    "topics": Entry("Create, check and list the topics.", "streams.cli.topics", "topics_app"),
    "policy": Entry(
        "Check, compare, try out and test a policy.", "streams.cli.policy", "policy_app"
    ),
    "gate": Entry("Run the gate.", "streams.cli.gate", "gate"),
    "worker": Entry("Run the worker.", "streams.cli.worker", "worker"),
    "status": Entry("Watch a running gate.", "streams.cli.status", "status"),
    "explain": Entry("Say in words why an SMS passed or not.", "streams.cli.explain", "explain"),
    "audit": Entry("Prove that no decision was changed.", "streams.cli.audit", "audit_app"),
    "replay": Entry(
        "Derive recorded decisions again, and compare.", "streams.cli.replay", "replay"
    ),
    "backtest": Entry(
        "Try another policy on recorded requests.", "streams.cli.backtest", "backtest"
    ),
    "subjects": Entry(
        "See and resolve people whose consent events could not be read.",
        "streams.cli.subjects",
        "subjects_app",
    ),
    "campaigns": Entry(
        "See, pause and resume campaigns and uploaders.",
        "streams.cli.campaigns",
        "campaigns_app",
    ),
    "state": Entry(
        "Let a held partition go on: rebuild its state, or pass over lost requests.",
        "streams.cli.state",
        "state_app",
    ),
    "import": Entry(
        "Bring in lists of consents and suppressions.", "streams.cli.imports", "imports_app"
    ),
    "inbound": Entry("See how replies are read.", "streams.cli.inbound", "inbound_app"),
    "config": Entry("Show the effective settings.", "streams.cli.config", "config_app"),
    "broker": Entry("Run a real Kafka here, for trying out.", "streams.cli.broker", "broker"),
    "demo": Entry("Play a day with the case in it.", "streams.cli.demo", "demo"),
}


class _Deferred(TyperCommand):
    """A sub-command known by name and help only, until it is called."""

    def __init__(self, name: str, entry: Entry) -> None:
        super().__init__(name, callback=None, help=entry.help)
        self._entry = entry

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        return self._load().make_context(info_name, args, parent, **extra)

    def _load(self) -> Any:
        found = getattr(import_module(self._entry.module), self._entry.attribute)
        if isinstance(found, typer.Typer):
            return typer.main.get_group(found)
        app = typer.Typer(**_LOOK)
        app.command(self.name)(found)
        return typer.main.get_command(app)


class _Commands(TyperGroup):
    """The sub-commands of :data:`COMMANDS`, in its order."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        entry = COMMANDS.get(cmd_name)
        return None if entry is None else _Deferred(cmd_name, entry)


# No traceback decoration: it prints local variables, which hold people's data.
_LOOK: dict[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": "markdown",
}

app = typer.Typer(
    name="consent-gate",
    cls=_Commands,
    no_args_is_help=True,
    help="Nothing reaches the carrier that the recipient's consent does not carry.",
    **_LOOK,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"consent-gate {streams.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            help="The settings' file. Default: CONSENT_GATE_CONFIG, else consent-gate.yaml here.",
            dir_okay=False,
        ),
    ] = None,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    remember_config(ctx, config)


def main(args: Sequence[str] | None = None) -> None:
    """
    Run the command line; never returns.

    A :class:`Stop` becomes its text on standard error and its ``exit_code``, a :class:`Retry` its
    text and 75, Ctrl-C 130. Wrong usage ends with 2, as typer has it.
    """
    try:
        app(list(args) if args is not None else None)
    except Stop as stop:
        sys.stderr.write(f"consent-gate: {stop}\n")
        sys.exit(stop.exit_code)
    except Retry as silence:
        sys.stderr.write(f"consent-gate: {silence}\n")
        sys.exit(TRY_AGAIN)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
