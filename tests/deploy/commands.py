"""Whether a command line of consent-gate, as a file or a page shows it, is one that exists."""

from __future__ import annotations

from typing import Any

from typer.main import get_command

from streams.cli.main import app


def unknown(words: list[str]) -> set[str]:
    """Return the sub-commands and options among ``words``, without the program, that are none."""
    command: Any = get_command(app)
    rest = list(words)
    while rest and hasattr(command, "get_command"):
        found = command.get_command(None, rest[0])
        if found is None:
            return {rest[0]}
        command, rest = _loaded(found), rest[1:]
    options = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    return {word for word in rest if word.startswith("--")} - options


def _loaded(command: Any) -> Any:
    """Load a command that is imported when it is called."""
    load = getattr(command, "_load", None)
    return command if load is None else load()
