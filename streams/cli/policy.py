"""``consent-gate policy``: look at the rules before a gate does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from streams.errors import PolicyInvalid
from streams.policy.facts import VOCABULARY
from streams.policy.policy import Policy, load_policy

policy_app = typer.Typer(help="Check the rules that decide what may be sent.", no_args_is_help=True)


@policy_app.callback()
def policy() -> None:
    """Check the rules that decide what may be sent."""


@policy_app.command()
def check(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The policy's folder.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """
    Make every check that a gate makes before it loads the policy in DIR.

    Prints its version, or every mistake with its place, and exits with 3.
    """
    try:
        loaded = load_policy(directory)
    except PolicyInvalid as invalid:
        mistakes = str(invalid).splitlines()
        if as_json:
            typer.echo(json.dumps({"valid": False, "mistakes": mistakes}, indent=2))
        else:
            count = "one mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
            typer.echo(f"{directory} cannot be used: {count}", err=True)
            for mistake in mistakes:
                typer.echo(mistake, err=True)
        raise typer.Exit(invalid.exit_code) from None
    summary = _summary(loaded)
    if as_json:
        typer.echo(json.dumps({"valid": True} | summary, indent=2))
        return
    for key, value in summary.items():
        typer.echo(f"{key:<9} {', '.join(value) if isinstance(value, list) else value}")


def _summary(loaded: Policy) -> dict[str, str | int | list[str]]:
    return {
        "policy": loaded.name,
        "edition": loaded.edition,
        "version": loaded.version,
        "purposes": sorted(loaded.purposes),
        "rules": len(loaded.rules),
        "facts": ["purpose", *VOCABULARY],
    }
