"""Follows what gates and workers write, from now on: when each of it could first be read."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import ClassVar, Final, NamedTuple, Self

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from streams.audit.topic_log import TopicLog
from streams.codec.codec import Codecs
from streams.config import Settings
from streams.errors import Undecodable
from streams.kafka.clients import opened, reader_config
from streams.kafka.error_mapping import meaning_of
from streams.records.events import ConsentEvent
from streams.records.record import Record
from streams.topology import (
    CONSENT_EVENTS,
    CONSENT_LEDGER,
    CONTACTS_ENTRIES,
    DEAD_LETTERS,
    SMS_DECISIONS,
    SMS_REQUESTED,
    TOPICS,
    Topic,
)

_FOLLOWED: Final = (SMS_DECISIONS, DEAD_LETTERS, CONSENT_LEDGER, CONSENT_EVENTS, CONTACTS_ENTRIES)
_TAKEN_AT_ONCE: Final = 1_000

_TOPIC_HEADER: Final = "__connect.errors.topic"
_PARTITION_HEADER: Final = "__connect.errors.partition"
_OFFSET_HEADER: Final = "__connect.errors.offset"


class Place(NamedTuple):
    """Where a record stood, by the topic's own name."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic} {self.partition} offset {self.offset}"


def header(message: Message, wanted: str) -> str:
    """Give a header's text; the last one's, as a connector takes it; "" if there is none."""
    value = dict(message.headers() or {}).get(wanted)
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""


def place_of_dead_letter(message: Message, own_names: Mapping[str, str]) -> Place:
    """
    Read from a dead letter's headers where it came from.

    ``own_names`` are the project's names by the cluster's. Without such headers it is somebody
    else's, and its place is none of ours.
    """
    topic = header(message, _TOPIC_HEADER)
    partition, offset = header(message, _PARTITION_HEADER), header(message, _OFFSET_HEADER)
    if not (partition.isdigit() and offset.isdigit()):
        return Place("", 0, 0)
    return Place(own_names.get(topic, topic), int(partition), int(offset))


@dataclass(frozen=True, slots=True, repr=False)
class Heard(Record):
    """
    A consent event as it could be read: it is on all replicas that Kafka waits for.

    ``appended_at`` is the broker's time, ``heard_at`` ours, both in milliseconds since the epoch;
    ``heard_ns`` is on the player's monotonic clock.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("partition", "offset")

    event: ConsentEvent
    key: bytes | None
    value: bytes | None
    partition: int
    offset: int
    appended_at: int
    heard_at: float
    heard_ns: int


class Outcomes:
    """
    Reads what gates and workers write, committed records only, from where it ends now.

    For one thread; a context. Records are stamped when they arrive and decoded when somebody asks,
    so that decoding does not delay what is measured.
    """

    def __init__(self, settings: Settings, codecs: Codecs) -> None:
        self.decided: dict[Place, float] = {}
        """When a request's outcome could first be read: milliseconds since the epoch."""
        self.ledgered: set[str] = set()
        """The ids of the consent events that the gates have folded or refused."""
        self.dead: dict[Place, float] = {}
        """The same as ``decided`` for dead letters of every topic."""
        self.entries: set[str] = set()
        """The ids of the entries that workers have made of address books."""
        self.heard: dict[str, Heard] = {}
        """The consent events that came, by their ids."""
        self._codecs = codecs
        self._own: dict[str, Topic] = {settings.names.of(topic): topic for topic in _FOLLOWED}
        self._own_names = {settings.names.of(topic): topic.name for topic in TOPICS}
        self._arrived: list[tuple[Message, float, int]] = []
        with TopicLog(settings) as log:
            ends = [
                TopicPartition(name, number, log.extent(topic, number).end)
                for name, topic in self._own.items()
                for number in range(log.partitions(topic))
            ]
        self._consumer = opened(Consumer, reader_config(settings) | {"enable.partition.eof": False})
        self._consumer.assign(ends)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._consumer.close()

    def take(self, seconds: float) -> int:
        """Take what is there, waiting so long for a first record; return how many there were."""
        messages = self._consumer.consume(1, seconds)
        if not messages:
            return 0
        # More would only be waited for: a batch is consumed when it is full or the time is over.
        messages += self._consumer.consume(_TAKEN_AT_ONCE, 0)
        arrived_at, arrived_ns = time.time() * 1000, time.monotonic_ns()
        for message in messages:
            error = message.error()
            if error is None:
                self._arrived.append((message, arrived_at, arrived_ns))
            elif error.code() != KafkaError._PARTITION_EOF:
                raise meaning_of(error, "following what the gates write")
        return len(messages)

    @property
    def unread(self) -> int:
        """How many records have arrived that :meth:`read` has not looked into."""
        return len(self._arrived)

    def read(self) -> None:
        """Look into what has arrived."""
        arrived, self._arrived = self._arrived, []
        for message, at, at_ns in arrived:
            with suppress(Undecodable):  # none of ours; the chain's verification names it
                self._note(message, at, at_ns)

    def _note(self, message: Message, at: float, at_ns: int) -> None:
        topic, value = self._own[message.topic() or ""], message.value()
        if topic is DEAD_LETTERS:
            self.dead.setdefault(place_of_dead_letter(message, self._own_names), at)
        elif topic is SMS_DECISIONS:
            decision = self._codecs.decisions.decode(value)
            place = Place(SMS_REQUESTED.name, decision.request_partition, decision.request_offset)
            self.decided.setdefault(place, at)
        elif topic is CONSENT_LEDGER:
            self.ledgered.add(self._codecs.ledger.decode(value).event_id)
        elif topic is CONTACTS_ENTRIES:
            self.entries.add(self._codecs.contact_entries.decode(value).entry_id)
        else:
            event = self._codecs.consent_events.decode(value)
            heard = Heard(
                event=event,
                key=message.key(),
                value=value,
                partition=message.partition() or 0,
                offset=message.offset() or 0,
                appended_at=message.timestamp()[1],
                heard_at=at,
                heard_ns=at_ns,
            )
            self.heard.setdefault(event.event_id, heard)
