"""
Reading a partition from one offset to another, as any committed reader sees it.

For audits: nothing is followed, no group is joined, nothing is committed. The end of a reading is
fixed when it begins, as the last stable offset: no transaction is cut in two by it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from streams.config import Settings
from streams.errors import ConsentGateError, KafkaUnavailable
from streams.kafka.clients import Complaints, admin_config, opened, reader_config
from streams.kafka.error_mapping import meaning_of
from streams.topology import Topic

_ANSWER_WITHIN_SECONDS = 15.0
_SILENT_AT_MOST_SECONDS = 30.0
"""Longer than a leader election takes. A shorter one would end an audit of hours for a hiccup."""

_TAKEN_AT_ONCE = 10_000

_QUICK_AT_THE_END = {"fetch.wait.max.ms": 10}
"""How long a fetch at a partition's end waits at the broker: by default 500 ms, in which the same
broker answers for no other partition. Nothing is followed here, so nothing is waited for."""

Progress = Callable[[int], None]
"""Called with how many offsets further a reading got."""

Watch = Callable[[str, int], Progress]
"""Told what will be read and how many offsets; gives who to tell how far it got."""


@dataclass(frozen=True, slots=True)
class Extent:
    """A partition's offsets when it was asked: first one there is, and the one after the last."""

    start: int
    end: int


class TopicLog:
    """
    Reads partitions one after the other. For one thread; close it, or use it as a context.

    Every method raises :class:`KafkaUnavailable` when Kafka does not answer, saying what was heard
    of its brokers, and a ``Stop`` when it refuses or lacks something.
    """

    def __init__(self, settings: Settings) -> None:
        self._names = settings.names
        self._complaints = Complaints()
        heard = {"error_cb": self._complaints}
        self._admin = opened(AdminClient, admin_config(settings) | heard)
        self._consumer = opened(Consumer, reader_config(settings) | _QUICK_AT_THE_END | heard)
        self._known: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release threads and sockets."""
        self._consumer.close()

    def partitions(self, topic: Topic) -> int:
        """Give the number of partitions that a topic has."""
        name = self._names.of(topic)
        doing = f"looking for {name}"
        try:
            metadata = self._admin.list_topics(name, timeout=_ANSWER_WITHIN_SECONDS).topics[name]
        except KafkaException as error:
            raise self._meaning(error, doing) from error
        if metadata.error is not None:
            raise self._meaning(metadata.error, doing)
        return len(metadata.partitions)

    def extent(self, topic: Topic, partition: int) -> Extent:
        """Give a partition's offsets: up to the last stable one."""
        return Extent(
            self._offset(topic, partition, OffsetSpec.earliest()),
            self._offset(topic, partition, OffsetSpec.latest()),
        )

    def offset_at(self, topic: Topic, partition: int, time_ms: int) -> int:
        """Give the first offset whose record is of that time or later; past the end if none is."""
        found = self._offset(topic, partition, OffsetSpec.for_timestamp(time_ms))
        # Kafka answers -1 where every record is older.
        return found if found >= 0 else self._offset(topic, partition, OffsetSpec.latest())

    def read(
        self,
        topic: Topic,
        partition: int,
        start: int,
        end: int,
        progress: Progress = lambda offsets: None,
    ) -> Iterator[Message]:
        """
        Give the committed records from ``start`` on and before ``end``, in order.

        ``start`` must not be below the extent's. One reading at a time: a new one ends the old.
        """
        at, name = start, self._names.of(topic)
        doing = f"reading {name} partition {partition}"
        if at >= end:
            return
        self._get_to_know(name, doing)
        self._consumer.assign([TopicPartition(name, partition, start)])
        heard_at = time.monotonic()
        while at < end:
            # consume() waits until it has all it was asked for: one first, then what is there.
            messages = self._consumer.consume(1, 1.0)
            if messages:
                messages += self._consumer.consume(_TAKEN_AT_ONCE, 0)
                heard_at = time.monotonic()
            elif time.monotonic() > heard_at + _SILENT_AT_MOST_SECONDS:
                raise self._complaints.explaining(
                    KafkaUnavailable(f"{doing}: nothing came for {_SILENT_AT_MOST_SECONDS:.0f} s")
                )
            before = at
            for message in messages:
                error, offset = message.error(), message.offset()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:
                    raise self._meaning(error, doing)
                if message.topic() != name or message.partition() != partition:
                    continue  # fetched for the reading before this one
                if error is not None or offset is None or offset >= end:
                    # The end was reached: what is left below it are markers of transactions.
                    at = end
                    break
                at = offset + 1
                yield message
            progress(at - before)

    def _get_to_know(self, name: str, doing: str) -> None:
        """Ask for a topic once: librdkafka waits a second before it looks for an unknown one."""
        if name in self._known:
            return
        try:
            self._consumer.list_topics(name, timeout=_ANSWER_WITHIN_SECONDS)
        except KafkaException as error:
            raise self._meaning(error, doing) from error
        self._known.add(name)

    def first_from(self, topic: Topic, partition: int, start: int, end: int) -> Message | None:
        """Give the first committed record at ``start`` or later and before ``end``, if any."""
        return next(self.read(topic, partition, start, end), None)

    def _offset(self, topic: Topic, partition: int, wanted: OffsetSpec) -> int:
        at = TopicPartition(self._names.of(topic), partition)
        try:
            answers = self._admin.list_offsets(
                {at: wanted},
                isolation_level=IsolationLevel.READ_COMMITTED,
                request_timeout=_ANSWER_WITHIN_SECONDS,
            )
            return int(answers[at].result().offset)
        except KafkaException as error:
            raise self._meaning(error, f"asking for offsets of {at.topic}") from error

    def _meaning(self, error: KafkaError | KafkaException, doing: str) -> ConsentGateError:
        meaning = meaning_of(error, doing)
        if not isinstance(meaning, KafkaUnavailable):
            return meaning
        self._admin.poll(0)
        return self._complaints.explaining(meaning)
