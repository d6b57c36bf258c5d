"""``consent-gate explain``: why an SMS passed or not, in plain words."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from enum import Enum
from typing import Annotated, Any

import typer

from streams.audit.explain import Explanation
from streams.audit.explain import explain as explained
from streams.audit.finding import (
    DecisionId,
    archived_policy,
    find_by_id,
    find_by_request,
    find_by_subject,
    ledger_of,
    read_decision_id,
)
from streams.audit.meanings import reason_meaning
from streams.audit.since import moment
from streams.audit.topic_log import TopicLog, Watch
from streams.audit.words import in_a_line, in_words
from streams.cli.asking import number_asked_for
from streams.cli.context import settings_of
from streams.cli.progress import watching
from streams.codec.codec import Codecs, open_codecs
from streams.config import Settings
from streams.errors import ConfigError
from streams.kafka.placement import partition_of
from streams.records.decisions import PolicyArchived, SmsDecision
from streams.records.e164 import is_e164
from streams.sealing.keyring import open_subject_ids
from streams.topology import SMS_DECISIONS, SMS_REQUESTED

NOT_FOUND = 1
"""The exit status when there is no such decision."""

_DEFAULT_SINCE = "24h"


def explain(
    ctx: typer.Context,
    identifier: Annotated[
        str | None,
        typer.Argument(
            metavar="ID", help="A decision id (sms.requested-3-12345-0) or a request id."
        ),
    ] = None,
    recipient: Annotated[
        bool,
        typer.Option(
            "--recipient", help="All decisions about one number, which is asked for, never given."
        ),
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(
            help="How far back to look: 24h, 7d, or a day (2026-01-31). Default: 24h for a "
            "request id, everything for --recipient; a decision id needs none.",
            metavar="WHEN",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """
    Say in words why an SMS was allowed, held or dropped.

    Verdict, every reason with the rule's text and its source, the facts, the offsets that were
    seen, and the consent event that counted, and what came since. No number is ever printed.
    """
    if (identifier is None) is not recipient:
        raise typer.BadParameter("give either an ID or --recipient")
    settings = settings_of(ctx).settings
    now = int(time.time() * 1000)
    number = _asked_for() if identifier is None else ""
    with watching() as watch, TopicLog(settings) as log:
        codecs = _codecs(settings)
        if identifier is None:
            begin = moment(since, now) if since is not None else 0
            found = _of_recipient(settings, log, codecs, number, begin, watch)
        elif (decision_id := _decision_id(identifier, settings)) is not None:
            one = find_by_id(log, codecs, decision_id, watch)
            found = [one] if one is not None else []
        else:
            begin = moment(since or _DEFAULT_SINCE, now)
            found = find_by_request(settings, lambda: _codecs(settings), identifier, begin, watch)
        # All are of one person or of one request id: the newest are explained in full.
        explanations = list(_explained(log, codecs, found if as_json else found[-1:], watch))
    if as_json:
        typer.echo(json.dumps([_plain(each) for each in explanations], indent=2))
    elif found:
        _print(found, explanations[-1])
    if not found:
        typer.echo(_nothing(identifier, settings, since), err=True)
        raise typer.Exit(NOT_FOUND)


def _asked_for() -> str:
    number = number_asked_for()
    if not is_e164(number):
        raise ConfigError("That is not an E.164 number: write + and the digits, without spaces.")
    return number


def _of_recipient(
    settings: Settings, log: TopicLog, codecs: Codecs, number: str, since: int, watch: Watch
) -> list[SmsDecision]:
    subject_id = open_subject_ids(settings.secrets_dir).of(number)
    partition = partition_of(number.encode(), log.partitions(SMS_DECISIONS))
    return find_by_subject(log, codecs, partition, subject_id, since, watch)


def _decision_id(identifier: str, settings: Settings) -> DecisionId | None:
    return read_decision_id(identifier, settings.names.of(SMS_REQUESTED))


def _codecs(settings: Settings) -> Codecs:
    return open_codecs(settings.schema_registry_url, settings.schema_registry, settings.names)


def _explained(
    log: TopicLog, codecs: Codecs, decisions: Iterable[SmsDecision], watch: Watch
) -> Iterator[Explanation]:
    policies: dict[str, PolicyArchived | None] = {}
    ledgers: dict[tuple[int, bytes], Any] = {}
    for decision in decisions:
        version, person = (
            decision.policy_version,
            (decision.request_partition, decision.subject_id),
        )
        if version not in policies:
            policies[version] = archived_policy(log, codecs, version)
        if person not in ledgers:
            ledgers[person] = ledger_of(log, codecs, *person, watch)
        yield explained(decision, policies[version], ledgers[person])


def _print(found: list[SmsDecision], newest: Explanation) -> None:
    if len(found) > 1:
        for decision in found:
            typer.echo(in_a_line(decision))
        typer.echo("\nThe last one in full; for another, `consent-gate explain` its id.\n")
    typer.echo(in_words(newest), nl=False)


def _nothing(identifier: str | None, settings: Settings, since: str | None) -> str:
    if identifier is None:
        return "There is no decision about this number" + (f" within {since}." if since else ".")
    if _decision_id(identifier, settings) is not None:
        return (
            f"There is no decision {identifier}. The request may be undecided yet, or a dead "
            "letter, or the decision is gone by retention."
        )
    return (
        f"There is no decision about request {identifier} within {since or _DEFAULT_SINCE}: look "
        "further back with --since. It may also be undecided yet, or a dead letter."
    )


def _plain(explanation: Explanation) -> dict[str, Any]:
    def factory(fields: list[tuple[str, Any]]) -> dict[str, Any]:
        return {name: _value(value) for name, value in fields}

    plain = asdict(explanation, dict_factory=factory)
    for reason in plain["reasons"]:
        reason["meaning"] = reason_meaning(reason["code"])
    changes = explanation.smallest_change
    plain["smallest_change"] = None if changes is None else [each._asdict() for each in changes]
    return plain | {"changed_since": explanation.changed_since}


def _value(value: Any) -> Any:
    match value:
        case Enum():
            return value.value
        case bytes():
            return value.hex()
        case _:
            return value
