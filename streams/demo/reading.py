"""Reads what gates and workers wrote, after the day: committed records only, to a fixed end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from confluent_kafka import Message

from streams.audit.finding import read_decision_id
from streams.audit.topic_log import TopicLog
from streams.audit.verify import PartitionReport
from streams.audit.verify_topics import verify_topics
from streams.codec.codec import Codecs
from streams.config import Settings
from streams.demo.outcomes import Place, header, place_of_dead_letter
from streams.errors import Undecodable
from streams.gate.deciding import OUR_HEADERS
from streams.kafka.dead_letter_headers import CAUSE_HEADER
from streams.records.decisions import QuarantinedSms, SmsDecision
from streams.records.record import Record
from streams.records.requests import SmsRequested
from streams.sealing.signatures import Verifier
from streams.topology import (
    DEAD_LETTERS,
    SMS_ALLOWED,
    SMS_DECISIONS,
    SMS_QUARANTINED,
    SMS_REQUESTED,
    TOPICS,
    Role,
    Topic,
)

OPAQUE: tuple[Topic, ...] = tuple(
    topic
    for topic in TOPICS
    if not topic.plaintext and {Role.GATE, Role.WORKER} & set(topic.writers)
)
"""Topics that gate and worker write and in which nobody's number, name or text may be readable."""

_READ = tuple(dict.fromkeys((*OPAQUE, SMS_ALLOWED, DEAD_LETTERS)))

_SLACK_MS = 60_000
"""How far the gates' clocks may be behind ours for the chain to be verified from before the day."""

Starts = Mapping[tuple[Topic, int], int]
"""Where each partition ended before the day."""


@dataclass(frozen=True, slots=True, repr=False)
class PassedOn(Record):
    """One record of ``sms.allowed``; ``place`` is its request's, by the decision id it carries."""

    SHOWN: ClassVar[tuple[str, ...]] = ("place",)

    place: Place | None
    key: bytes | None
    value: bytes | None
    request: SmsRequested | None


@dataclass(frozen=True, slots=True, repr=False)
class DeadLettered(Record):
    """One record of ``dead-letters``; ``place`` is where it came from, ``cause`` why."""

    SHOWN: ClassVar[tuple[str, ...]] = ("place", "cause")

    place: Place
    cause: str
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True, repr=False)
class Written(Record):
    """
    What gates and workers wrote since the day began, other people's included.

    ``opaque`` are keys and values of every topic of :data:`OPAQUE` with the place they stand at.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ()

    decisions: tuple[SmsDecision, ...]
    passed_on: tuple[PassedOn, ...]
    held: tuple[QuarantinedSms, ...]
    dead_letters: tuple[DeadLettered, ...]
    opaque: tuple[tuple[Place, bytes], ...]
    chains: tuple[PartitionReport, ...]


def starts(settings: Settings) -> Starts:
    """Note where everything that will be read ends now."""
    with TopicLog(settings) as log:
        return {
            (topic, number): log.extent(topic, number).end
            for topic in _READ
            for number in range(log.partitions(topic))
        }


def read_written(
    settings: Settings,
    codecs: Codecs,
    verifier: Verifier,
    since: Starts,
    since_ms: int,
    progress: Callable[[str], None] = lambda what: None,
) -> Written:
    """
    Read everything behind ``since``, and verify the chains from ``since_ms`` on.

    Blocks: some 20,000 records a second.
    """
    messages: dict[Topic, list[Message]] = {topic: [] for topic in _READ}
    with TopicLog(settings) as log:
        for (topic, number), start in since.items():
            progress(topic.name)
            end = log.extent(topic, number).end
            messages[topic] += log.read(topic, number, start, end)
    progress("the chains")
    chains = tuple(verify_topics(settings, codecs, verifier, since=since_ms - _SLACK_MS))
    own_names = {settings.names.of(topic): topic.name for topic in TOPICS}
    return Written(
        decisions=tuple(_decisions(codecs, messages[SMS_DECISIONS])),
        passed_on=tuple(_passed_on(codecs, message) for message in messages[SMS_ALLOWED]),
        held=tuple(_held(codecs, messages[SMS_QUARANTINED])),
        dead_letters=tuple(
            DeadLettered(
                place_of_dead_letter(message, own_names),
                header(message, CAUSE_HEADER),
                message.key(),
                message.value(),
            )
            for message in messages[DEAD_LETTERS]
        ),
        opaque=tuple(
            (Place(topic.name, message.partition() or 0, message.offset() or 0), part)
            for topic in OPAQUE
            for message in messages[topic]
            for part in (message.key(), message.value())
            if part is not None
        ),
        chains=chains,
    )


def place_of_decision(decision_id: str) -> Place | None:
    """Read from a decision id where its request stood; None if it is none."""
    read = read_decision_id(decision_id, SMS_REQUESTED.name)
    return None if read is None else Place(SMS_REQUESTED.name, read.partition, read.offset)


def _decisions(codecs: Codecs, messages: list[Message]) -> Iterator[SmsDecision]:
    for message in messages:
        with suppress(Undecodable):  # the chain's verification names it
            yield codecs.decisions.decode(message.value())


def _held(codecs: Codecs, messages: list[Message]) -> Iterator[QuarantinedSms]:
    for message in messages:
        if message.value() is not None:
            with suppress(Undecodable):
                yield codecs.quarantined.decode(message.value())


def _passed_on(codecs: Codecs, message: Message) -> PassedOn:
    request = None
    with suppress(Undecodable):
        request = codecs.requests.decode(message.value())
    place = place_of_decision(header(message, OUR_HEADERS + "decision-id"))
    return PassedOn(place, message.key(), message.value(), request)
