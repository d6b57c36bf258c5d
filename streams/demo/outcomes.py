"""Follows what the gates write, from now on, and notes when each outcome could first be read."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Final, NamedTuple, Self

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from streams.audit.topic_log import TopicLog
from streams.codec.codec import Codecs
from streams.config import Settings
from streams.errors import Undecodable
from streams.kafka.clients import opened, reader_config
from streams.kafka.error_mapping import meaning_of
from streams.topology import (
    CONSENT_LEDGER,
    DEAD_LETTERS,
    SMS_DECISIONS,
    SMS_REQUESTED,
    TOPICS,
    Topic,
)

_FOLLOWED: Final = (SMS_DECISIONS, DEAD_LETTERS, CONSENT_LEDGER)
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


class Outcomes:
    """
    Reads decisions, dead letters and the ledger, committed records only, from where they end now.

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
        self._codecs = codecs
        self._own: dict[str, Topic] = {settings.names.of(topic): topic for topic in _FOLLOWED}
        self._own_names = {settings.names.of(topic): topic.name for topic in TOPICS}
        self._arrived: list[tuple[Message, float]] = []
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
        arrived_at = time.time() * 1000
        for message in messages:
            error = message.error()
            if error is None:
                self._arrived.append((message, arrived_at))
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
        for message, at in arrived:
            topic = self._own[message.topic() or ""]
            if topic is DEAD_LETTERS:
                place = place_of_dead_letter(message, self._own_names)
                self.dead.setdefault(place, at)
                continue
            try:
                if topic is SMS_DECISIONS:
                    decision = self._codecs.decisions.decode(message.value())
                    place = Place(
                        SMS_REQUESTED.name, decision.request_partition, decision.request_offset
                    )
                    self.decided.setdefault(place, at)
                else:
                    self.ledgered.add(self._codecs.ledger.decode(message.value()).event_id)
            except Undecodable:
                continue  # no decision of ours; the chain's verification names it
