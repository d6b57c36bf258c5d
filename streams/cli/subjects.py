"""
``consent-gate subjects list|resolve``: people who are held because an event could not be read.

A consent event that cannot be read may have been a STOP, so that its subject is held
(STATE_UNDECODABLE) until a person has looked at it. What is written here is a record in
``consent.events`` with the subject's key, no value, and two headers: which offset is resolved (or
that all are), and a signed statement that this tool said so. The gate takes the hold back when it
folds it.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import typer
from confluent_kafka import Message, Producer
from rich.console import Console
from rich.table import Table

from streams.audit.topic_log import TopicLog
from streams.cli.acknowledged import send
from streams.cli.asking import number_asked_for
from streams.cli.context import settings_of
from streams.codec.codec import Codecs, open_codecs
from streams.config import Settings
from streams.errors import Stop, Undecodable
from streams.kafka.clients import opened, producer_config
from streams.kafka.placement import partition_of
from streams.kafka.record_headers import Headers, headers_of
from streams.records.e164 import is_e164
from streams.records.subject import OLDER_UNDECODABLE, POSITION_KEY
from streams.sealing.keyring import KeyRing, open_keyring
from streams.sealing.signatures import Statement
from streams.state.arrivals import (
    RESOLVED_HEADER,
    RESOLVES_ALL,
    RESOLVES_HEADER,
    goes_nowhere,
    signed_of,
)
from streams.topology import CONSENT_EVENTS, SUBJECTS_STATE

subjects_app = typer.Typer(
    no_args_is_help=True, help="See and resolve people whose consent events could not be read."
)

_EVENT = re.compile(r"(\d{1,5})-(\d{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class HeldSubject:
    """
    A subject that is held, and the events of ``consent.events`` that hold it.

    ``older``: there are more than its state names; only all together can they be resolved.
    """

    subject_id: bytes
    partition: int
    offsets: tuple[int, ...]
    older: bool


@subjects_app.command("list")
def list_held(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Print who is held, by subject id, and which events hold them. No number is ever printed."""
    settings = settings_of(ctx).settings
    with TopicLog(settings) as log:
        held = held_subjects(log, _codecs(settings))
    if as_json:
        rows = [
            {
                "subject_id": each.subject_id.hex(),
                "events": [f"{each.partition}-{offset}" for offset in each.offsets],
                "older": each.older,
            }
            for each in held
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    if not held:
        typer.echo("Nobody is held.")
        return
    table = Table("subject id", "events (partition-offset)", box=None, pad_edge=False)
    for each in held:
        events = " ".join(f"{each.partition}-{offset}" for offset in each.offsets)
        older = " and older ones: resolve with --all" if each.older else ""
        table.add_row(each.subject_id.hex(), events + older)
    Console(markup=False, highlight=False).print(table)
    typer.echo("\nLook at the events in dead-letters; then `consent-gate subjects resolve EVENT`.")


@subjects_app.command()
def resolve(
    ctx: typer.Context,
    event: Annotated[
        str | None,
        typer.Argument(help="The event, as `subjects list` names it: partition-offset."),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Resolve all events that hold the same subject, also those that are not named "
            "any more. Without EVENT the number is asked for.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
) -> None:
    """
    Let a subject go on whose consent event could not be read.

    An event that this version can read is sent again first, so that nothing in it is lost. Where
    the event is gone already the number is asked for. The gate takes the hold back within a moment.
    """
    settings = settings_of(ctx).settings
    if event is None and not everything:
        raise typer.BadParameter("name an event, or --all")
    named = None if event is None else _EVENT.fullmatch(event)
    if event is not None and named is None:
        raise typer.BadParameter("an event is named by its partition and offset, such as 2-4711")
    codecs, keyring = _codecs(settings), open_keyring(settings.secrets_dir)
    with TopicLog(settings) as log:
        partitions = log.partitions(CONSENT_EVENTS)
        if named is None:
            key = _asked_for("Whose events are to be resolved?")
            if not is_e164(key.decode(errors="replace")):
                raise Stop("That is no E.164 number.")
            partition, offsets = partition_of(key, partitions), []
        else:
            partition, offsets = int(named[1]), [int(named[2])]
            if partition >= partitions:
                raise Stop(f"{settings.names.of(CONSENT_EVENTS)} has {partitions} partitions.")
            key = _subject_of(log, partition, offsets[0], partitions)
        if everything:
            subject_id = keyring.subject_ids.of(key.decode())
            offsets = [
                offset
                for each in held_subjects(log, codecs, [partition])
                if each.subject_id == subject_id
                for offset in each.offsets
            ]
        records = [_record_at(log, partition, offset) for offset in offsets]
    again = [each for each in records if each is not None and _is_readable(codecs, each)]
    what = event if event is not None and not everything else None
    if not yes:
        typer.confirm(_consequence(what, len(records), len(again)), abort=True, err=True)
    producer = opened(Producer, producer_config(settings))
    name = settings.names.of(CONSENT_EVENTS)
    for record in again:
        # Acknowledged before the hold ends: in between the person is held, not forgotten.
        headers = [h for h in headers_of(record) if h[0] not in _OWN_HEADERS]
        send(producer, name, partition, key, record.value(), headers)
    said = RESOLVES_ALL if everything else str(offsets[0]).encode()
    send(producer, name, partition, key, None, resolution(keyring, key, said))
    typer.echo(f"Resolved {what or 'all events of this subject'}.")


def _subject_of(log: TopicLog, partition: int, offset: int, partitions: int) -> bytes:
    """Return the key of this event; where the event is gone already, ask whose it was."""
    record = _record_at(log, partition, offset)
    key = _asked_for("The event is gone: whose was it?") if record is None else record.key()
    if key is None or not is_e164(key.decode(errors="replace")):
        raise Stop(f"The event {partition}-{offset} has no number as its key: it holds nobody.")
    if partition_of(key, partitions) != partition:
        raise Stop(
            f"The number does not belong to partition {partition}: {partition}-{offset} holds "
            "nobody."
        )
    return key


def held_subjects(
    log: TopicLog, codecs: Codecs, partitions: Iterable[int] | None = None
) -> list[HeldSubject]:
    """
    Read ``subjects.state`` and return who is held, by partition; of all partitions unless given.

    Reads every subject's state: a minute for some millions. Raises as :class:`TopicLog` does, and
    :class:`Undecodable` for a state that another version wrote.
    """
    held: list[HeldSubject] = []
    for partition in range(log.partitions(SUBJECTS_STATE)) if partitions is None else partitions:
        newest: dict[bytes, HeldSubject] = {}
        extent = log.extent(SUBJECTS_STATE, partition)
        for message in log.read(SUBJECTS_STATE, partition, extent.start, extent.end):
            key, value = message.key(), message.value()
            if key is None or key == POSITION_KEY:
                continue
            newest.pop(key, None)
            if value is not None:
                state = codecs.subject_states.decode(value)
                if state.undecodable:
                    offsets = tuple(o for o in state.undecodable if o != OLDER_UNDECODABLE)
                    older = len(offsets) < len(state.undecodable)
                    newest[key] = HeldSubject(state.subject_id, partition, offsets, older)
        held += newest.values()
    return held


def resolution(keyring: KeyRing, key: bytes, said: bytes) -> Headers:
    """
    Return the headers that tell the gate to take back a hold on the subject with this key.

    ``said`` is the offset of the event that put it, in digits, or :data:`RESOLVES_ALL`.
    """
    now_ms = time.time_ns() // 1_000_000
    statement = keyring.signer.sign_header(Statement.RESOLVED, signed_of(key, said), now_ms)
    return [(RESOLVES_HEADER, said), (RESOLVED_HEADER, statement)]


_OWN_HEADERS = frozenset({RESOLVES_HEADER, RESOLVED_HEADER})


def _codecs(settings: Settings) -> Codecs:
    return open_codecs(settings.schema_registry_url, settings.schema_registry, settings.names)


def _record_at(log: TopicLog, partition: int, offset: int) -> Message | None:
    """Return the event at this offset, or None if its retention has passed."""
    extent = log.extent(CONSENT_EVENTS, partition)
    if offset >= extent.end:
        raise Stop(f"Partition {partition} has no offset {offset} yet.")
    if offset < extent.start:
        return None
    return log.first_from(CONSENT_EVENTS, partition, offset, offset + 1)


def _is_readable(codecs: Codecs, record: Message) -> bool:
    """Whether this version would fold the event: a schema may have been added since."""
    try:
        event = codecs.consent_events.decode(record.value())
    except Undecodable:
        return False
    return bool(is_e164(event.subject)) and not goes_nowhere(event)


def _asked_for(question: str) -> bytes:
    typer.echo(question, err=True)
    return number_asked_for().encode()


def _consequence(event: str | None, events: int, readable: int) -> str:
    if event is None:
        return (
            f"{events} events that are named hold this subject; {readable} can be read now and "
            "are sent again. If one of the others, or one that is not named any more, was a STOP, "
            "it will not count unless it was sent again. Let the subject go on?"
        )
    if readable:
        return f"The event {event} can be read now. Send it again and let its subject go on?"
    return (
        f"The event {event} cannot be read. If it was a STOP, it will not count unless it was sent "
        "again. Let its subject go on?"
    )
