"""
Reading partitions by explicit offset, and knowing exactly how far one got.

The barrier (:mod:`streams.gate.barrier`) needs a reader that can say "everything below offset T has
been handed over" although offsets have gaps: compaction removes records, and the markers of
transactions take offsets and are never delivered. A partition is *reached* at T when a record at
T−1 or later was seen, or when the broker reported the partition's end at T or later.

Broker behaviour this rests on, seen on Apache Kafka 4.1 and 4.4 with librdkafka 2.16:

* with ``isolation.level=read_committed`` and ``enable.partition.eof=true``, PARTITION_EOF carries
  the offset *after* a trailing marker;
* it is not repeated while an open transaction keeps the last stable offset below the high
  watermark, so that such a partition is simply not reached;
* a partition that was paused stays so through every later assignment, one without it included,
  until it is resumed: nothing of it is delivered, and no error tells.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.errors import KafkaUnavailable
from streams.kafka.clients import opened

MOST_BUFFERED = 50_000
"""Records of one partition that wait here before its fetching is paused: a long outage leaves
millions. Must be more than what is folded in a turn, or one could wait for what is not fetched."""

_LOOKED_FOR_SECONDS = 1.0

FETCHED_AT_ONCE = 10_000
"""Messages taken from librdkafka in one call. Fewer cost more calls, more hold the loop longer."""


if TYPE_CHECKING:
    Fetched = Message[bytes, bytes]
    """A record as it was fetched, key and value raw."""
else:
    Fetched = Message  # generic in the type stubs only


class At(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


@dataclass(slots=True)
class _Reading:
    """What is known of one partition: fetched but not taken, next offset to fetch, end seen."""

    next_fetch: int
    bounded: bool = True
    buffered: deque[Fetched] = field(default_factory=deque)
    end_seen: int = -1
    fault: KafkaError | None = None


class LogReader:
    """
    Reads any number of partitions, each from an offset of its own.

    Guarantees: records of a partition are handed over in offset order, each once, none skipped,
    except where they are put back. Not guaranteed: any order between partitions. Not thread-safe.
    Commits nothing and joins no group.
    """

    def __init__(self, config: Mapping[str, object]) -> None:
        """``config`` is a librdkafka consumer configuration: read committed, end reported."""
        self._consumer = opened(Consumer, config)
        self._reading: dict[At, _Reading] = {}
        self._paused: set[At] = set()
        """What librdkafka has paused, whether or not it is read any more."""
        self._known: set[str] = set()

    def start(self, offsets: Mapping[At, int], *, bounded: bool = True) -> None:
        """
        Begin to read these partitions, each at its offset; one already read starts anew.

        Where they are ``bounded``, fetching pauses while :data:`MOST_BUFFERED` records wait to be
        taken: a target beyond them is not reached before some are.
        """
        for at, offset in offsets.items():
            self._get_to_know(at.topic)
            self._reading[at] = _Reading(next_fetch=offset, bounded=bounded)
        self._assign()

    def _get_to_know(self, topic: str) -> None:
        # librdkafka waits up to a second before it looks for a topic that it does not know.
        if topic in self._known:
            return
        try:
            self._consumer.list_topics(topic, timeout=_LOOKED_FOR_SECONDS)
        except KafkaException:
            return  # it is found by itself, only later
        self._known.add(topic)

    def stop(self, partitions: Iterable[At]) -> None:
        """Read these no more and forget what was fetched of them. Unknown ones are ignored."""
        found = [at for at in partitions if self._reading.pop(at, None) is not None]
        if found:
            self._assign()

    def _assign(self) -> None:
        # A new assignment drops what librdkafka fetched ahead; each partition goes on behind what
        # was handed to us, so that nothing is lost or doubled.
        self._resume(list(self._paused))
        if not self._reading:
            self._consumer.unassign()
            return
        self._consumer.assign(
            [
                TopicPartition(at.topic, at.partition, reading.next_fetch)
                for at, reading in self._reading.items()
            ]
        )

    def _pause(self, at: At) -> None:
        self._consumer.pause([TopicPartition(*at)])
        self._paused.add(at)

    def _resume(self, partitions: list[At]) -> None:
        if partitions:
            self._consumer.resume([TopicPartition(*at) for at in partitions])
            self._paused.difference_update(partitions)

    def fetch(self, timeout_seconds: float) -> int:
        """
        Take over what has arrived, waiting at most ``timeout_seconds`` for the first of it.

        Returns how many records came. Raises :class:`KafkaUnavailable` only for errors that name no
        partition; those that do are kept as that partition's :meth:`fault`.
        """
        try:
            # consume() waits until it has all it was asked for: one first, then what is there.
            messages = self._consumer.consume(1, timeout_seconds)
            if messages:
                messages += self._consumer.consume(FETCHED_AT_ONCE, 0)
        except KafkaException as error:
            raise KafkaUnavailable(f"Reading state failed: {error.args[0].name()}.") from error
        records = 0
        for message in messages:
            records += self._take_over(message)
        return records

    def _take_over(self, message: Fetched) -> int:
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        error = message.error()
        if topic is None or partition is None:
            return 0
        at = At(topic, partition)
        reading = self._reading.get(at)
        if reading is None:
            return 0
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                if offset is not None:
                    reading.end_seen = max(reading.end_seen, offset)
            elif error.code() in _FOR_GOOD:
                reading.fault = error
            return 0
        if offset is None or offset < reading.next_fetch:
            return 0
        reading.next_fetch = offset + 1
        reading.buffered.append(message)
        full = reading.bounded and len(reading.buffered) >= MOST_BUFFERED
        if full and at not in self._paused:
            self._pause(at)
        return 1

    def reached(self, at: At, target: int) -> bool:
        """Whether every record below ``target`` was fetched (taken already, or buffered)."""
        reading = self._reading.get(at)
        if reading is None or reading.fault is not None:
            return False
        return reading.next_fetch >= target or reading.end_seen >= target

    def waiting(self, at: At) -> int:
        """How many fetched records have not been taken."""
        return len(self._reading[at].buffered)

    def take_below(self, at: At, target: int, most: int | None = None) -> list[Fetched]:
        """Hand over the fetched records below ``target``, the first ``most``; others stay."""
        reading = self._reading[at]
        buffered = reading.buffered
        taken: list[Fetched] = []
        while buffered and (most is None or len(taken) < most):
            offset = buffered[0].offset()
            if offset is None or offset >= target:
                break
            taken.append(buffered.popleft())
        if at in self._paused and len(buffered) < MOST_BUFFERED // 2:
            self._resume([at])
        return taken

    def next_waiting(self, at: At) -> int | None:
        """The offset of the first record that was fetched and not taken; None if there is none."""
        buffered = self._reading[at].buffered
        return buffered[0].offset() if buffered else None

    def put_back(self, at: At, messages: Iterable[Fetched]) -> None:
        """Return records that were taken last, in their order: they will be taken again."""
        reading = self._reading.get(at)
        if reading is not None:
            reading.buffered.extendleft(reversed(list(messages)))

    def next_fetch(self, at: At) -> int:
        """The offset behind the newest record fetched."""
        return self._reading[at].next_fetch

    def fault(self, at: At) -> KafkaError | None:
        """The error that ended the reading of this partition, such as an offset out of range."""
        reading = self._reading.get(at)
        return reading.fault if reading is not None else None

    def close(self) -> None:
        """Release the consumer's threads and sockets."""
        self._consumer.close()


_FOR_GOOD = frozenset(
    {
        KafkaError._AUTO_OFFSET_RESET,
        KafkaError.OFFSET_OUT_OF_RANGE,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError._BAD_COMPRESSION,
    }
)

UNPACKED_TO_MORE = (
    "a batch in it cannot be unpacked. It unpacks to more than the client takes at once (a "
    "producer with zstd and a large batch.size), or is damaged. Nothing is lost: set "
    "receive.message.max.bytes under `kafka` to more than it unpacks to (default 100000000), "
    "and start the gate again."
)
"""
What people are told of ``_BAD_COMPRESSION``. Seen with librdkafka 2.16: a zstd batch is unpacked up
to ``receive.message.max.bytes`` only, one of gzip or lz4 whatever it comes to. The error comes
again at every fetch, and nothing behind the batch is read.
"""
