"""What the commands that let a held partition go on ask a person for, and how."""

from __future__ import annotations

import re

import typer
from confluent_kafka.admin import AdminClient

from streams.audit.topic_log import TopicLog
from streams.config import Settings
from streams.errors import Stop
from streams.gate.rewriting import members, still_members
from streams.topology import SUBJECTS_STATE

_LOOKS_LIKE_A_NUMBER = re.compile(r"\+?\d[\d ()/.-]{6,}\d")
_LONGEST_REASON = 500


def checked_reason(reason: str) -> str:
    """
    Give a reason that may be kept for three years.

    Raises :class:`typer.BadParameter` when it is empty, very long, or seems to hold a phone number.
    """
    reason = " ".join(reason.split())
    if not reason:
        raise typer.BadParameter("say in a few words why; it is filed, signed, for three years")
    if len(reason) > _LONGEST_REASON:
        raise typer.BadParameter(f"at most {_LONGEST_REASON} characters, please")
    if _LOOKS_LIKE_A_NUMBER.search(reason):
        raise typer.BadParameter("a reason names nobody: this one seems to hold a phone number")
    return reason


def partitions_of(log: TopicLog, wanted: list[int], *, every: bool) -> list[int]:
    """Give the partitions that were asked for. Raises where none, or one that is not there, was."""
    if bool(wanted) == every:
        raise typer.BadParameter("say --partition N, once or more, or --all")
    count = log.partitions(SUBJECTS_STATE)
    if every:
        return list(range(count))
    absent = [number for number in wanted if number >= count]
    if absent:
        raise Stop(f"There are {count} partitions, from 0 on: there is no {absent[0]}.")
    return sorted(set(wanted))


def until_stopped(admin: AdminClient, settings: Settings) -> None:
    """Ask for the gates to be stopped, as often as it takes. Blocks on the person."""
    if members(admin, settings.group_id):
        typer.echo("Waiting for stopped gates to leave the group.", err=True)
    while at_work := still_members(admin, settings):
        typer.confirm(
            f"Still at work: {', '.join(at_work)}. Stop every gate now. Stopped?",
            abort=True,
            err=True,
        )
