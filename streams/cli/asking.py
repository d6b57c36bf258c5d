"""Asking for a phone number, which is never an argument and never shown."""

from __future__ import annotations

import sys

import typer


def number_asked_for() -> str:
    """
    Return the number that is typed, not shown, or the line that standard input has if it is none.

    An argument would stay in the shell's history and in the list of processes. What is returned is
    as it was typed, without spaces around it. Blocks on the person.
    """
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    return str(typer.prompt("Number (E.164, not shown)", hide_input=True, err=True)).strip()
