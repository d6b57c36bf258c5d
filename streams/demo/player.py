"""Plays acts: writes them in order at a pace, and notes what Kafka said to each."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from confluent_kafka import KafkaError, Message, Producer

from streams.config import Settings
from streams.demo.acts import Act
from streams.errors import KafkaUnavailable
from streams.kafka.clients import opened, producer_config
from streams.records.record import Record

_AT_ONCE: Final = 500
"""Records handed to librdkafka before the player lets others do something."""

_BY_KEY: Final = -1
"""librdkafka's RD_KAFKA_PARTITION_UA: the partitioner decides."""


@dataclass(frozen=True, slots=True, repr=False)
class Played(Record):
    """
    One act and where it came to stand.

    ``appended_at`` is the broker's time. ``sent_ns`` was taken before the record was handed over,
    ``acknowledged_ns`` after its acknowledgement had come (one monotonic clock, nanoseconds): what
    was acknowledged before another was sent was in Kafka before it, for certain.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("partition", "offset", "appended_at")

    act: Act
    partition: int
    offset: int
    appended_at: int
    sent_ns: int
    acknowledged_ns: int


class Player:
    """
    Writes acts with ``acks=all`` and murmur2 placement, as every producer should.

    For one thread. :meth:`begin` says what comes next, :meth:`step` is called until all has its
    outcome. An act that waits for another's acknowledgement lets the rest go by; what is not the
    player's own to acknowledge is told to :meth:`release`.
    """

    def __init__(self, settings: Settings) -> None:
        self.played: list[Played] = []
        self._names = settings.names
        self._producer = opened(Producer, producer_config(settings))
        self._coming: deque[Act] = deque()
        self._waiting: dict[str, list[Act]] = {}
        self._acknowledged: set[str] = set()
        self._per_second: float | None = None
        self._began = 0.0
        self._handed_over = 0
        self._in_flight = 0
        self._failed: KafkaError | None = None

    def begin(self, acts: Iterable[Act], per_second: float | None = None) -> None:
        """Take up the next acts, at an even pace or, without one, as fast as Kafka takes them."""
        self._coming.extend(acts)
        self._per_second = per_second
        self._began = time.monotonic()
        self._handed_over = 0

    @property
    def writing(self) -> bool:
        """Whether something is still to be written or acknowledged that waits for nothing else."""
        return bool(self._coming or self._in_flight)

    def release(self, label: str) -> None:
        """Write those next that waited for this, whatever else is due."""
        self._acknowledged.add(label)
        self._coming.extendleft(self._waiting.pop(label, ()))

    def step(self) -> None:
        """
        Write what is due and hear what was acknowledged. Does not block.

        Raises :class:`KafkaUnavailable` when a record could not be written.
        """
        due = self._due()
        while due > 0 and self._coming:
            act = self._coming.popleft()
            due -= 1
            if act.after is not None and act.after not in self._acknowledged:
                self._waiting.setdefault(act.after, []).append(act)
                continue
            self._write(act)
        self._producer.poll(0)
        if self._failed is not None:
            raise KafkaUnavailable(f"Kafka did not take a record: {self._failed.name()}.")

    def _due(self) -> int:
        if self._per_second is None:
            return _AT_ONCE
        return int((time.monotonic() - self._began) * self._per_second) - self._handed_over

    def _write(self, act: Act) -> None:
        sent_ns = time.monotonic_ns()

        def delivered(error: KafkaError | None, message: Message) -> None:
            self._delivered(act, sent_ns, error, message)

        self._producer.produce(
            self._names.of(act.topic),
            act.value,
            act.key,
            _BY_KEY if act.partition is None else act.partition,
            on_delivery=delivered,
        )
        self._in_flight += 1
        self._handed_over += 1

    def _delivered(
        self, act: Act, sent_ns: int, error: KafkaError | None, message: Message
    ) -> None:
        acknowledged_ns = time.monotonic_ns()
        self._in_flight -= 1
        if error is not None:
            self._failed = error
            return
        self.played.append(
            Played(
                act=act,
                partition=message.partition() or 0,
                offset=message.offset() or 0,
                appended_at=message.timestamp()[1],
                sent_ns=sent_ns,
                acknowledged_ns=acknowledged_ns,
            )
        )
        if act.label is not None:
            self.release(act.label)
