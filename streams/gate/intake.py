"""Intake: taking requests, as many as are there, and only those of partitions that are LIVE."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException

from streams.errors import Fenced, PartitionLost, StateLost
from streams.gate.assignment import Assignment
from streams.gate.owned import Phase
from streams.state.log_reader import UNPACKED_TO_MORE, Fetched
from streams.telemetry.catalogue import KafkaErrorSeen, RecordsLost
from streams.telemetry.labels import StallCause
from streams.telemetry.telemetry import Telemetry
from streams.topology import SMS_REQUESTED

CHUNK: Final = 1_000
"""Messages asked of librdkafka at once. The bound in bytes is checked between two chunks, so that a
batch may exceed it by one chunk; that is also bounded by ``queued.max.messages.kbytes``."""


@dataclass(slots=True)
class Taken:
    """Requests by partition, in offset order, and the epoch and group under which they came."""

    epoch: int
    group: object
    requests: dict[int, list[Fetched]] = field(default_factory=dict)
    count: int = 0
    bytes: int = 0
    first_at: float = 0.0
    """Monotonic time at which the first request was there."""


class Intake:
    """Takes batches from the consumer; rebalance callbacks run inside :meth:`take`."""

    def __init__(
        self,
        consumer: Consumer,
        assignment: Assignment,
        telemetry: Telemetry,
        *,
        max_bytes: int,
        linger_seconds: float,
    ) -> None:
        self._consumer = consumer
        self._assignment = assignment
        self._telemetry = telemetry
        self._max_bytes = max_bytes
        self._most_linger = linger_seconds

    def take(self, wait_seconds: float, commit_seconds: float, max_records: int) -> Taken:
        """
        Return what is there, waiting at most ``wait_seconds`` for the first request.

        Then it takes what else is there. While that is less than a chunk it waits for no more: what
        comes during this batch is the next one, and waiting would only add to the latency of
        both. Behind a full chunk there is a backlog: then it gathers what comes in a quarter of the
        time that a commit takes just now, at most the linger time, up to the bounds. What a commit
        takes depends on the partitions it touches more than on anything else. A rebalance in the
        middle voids what was taken.
        """
        epoch = self._assignment.epoch
        try:
            messages = self._consumer.consume(1, wait_seconds)
            first_at = time.monotonic()
            if messages:
                linger = min(commit_seconds / 4, self._most_linger)
                self._gather(messages, first_at + linger, max_records)
        except KafkaException as error:
            raise _for_people(error.args[0]) from error
        if self._assignment.epoch != epoch:
            # That this gate was fenced comes together with the loss of its partitions.
            for told in filter(None, (message.error() for message in messages)):
                self._failed(told, None)
            # Some of it may belong to the old assignment and some to the new one, and what was
            # taken of the new one would be skipped: begin again from the positions.
            self._assignment.rewind(owned.partition for owned in self._assignment.live())
            return Taken(self._assignment.epoch, self._assignment.group)
        taken = Taken(epoch, self._assignment.group, first_at=first_at)
        self._sort(messages, taken)
        return taken

    def _gather(self, messages: list[Fetched], until: float, max_records: int) -> None:
        size = _size(messages)
        while len(messages) < max_records and size < self._max_bytes:
            backlog = len(messages) >= CHUNK
            left = max(until - time.monotonic(), 0.0) if backlog else 0.0
            wanted = min(CHUNK, max_records - len(messages))
            more = self._consumer.consume(wanted, left)
            size += _size(more)
            messages += more
            if len(more) < wanted and not left:
                return

    def _sort(self, messages: list[Fetched], taken: Taken) -> None:
        next_offsets: dict[int, int] = {}
        for message in messages:
            error = message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                self._ended(message, next_offsets)
                continue
            if error is not None:
                # What lies before a batch that cannot be unpacked is decided first: it comes again.
                first = message.partition() not in taken.requests
                if first or error.code() != KafkaError._BAD_COMPRESSION:
                    self._failed(error, message.partition())
                continue
            partition, offset, value = message.partition(), message.offset(), message.value()
            if partition is None or offset is None:
                continue
            expected = next_offsets.get(partition)
            if expected is None:
                owned = self._assignment.owned(partition)
                if owned is None or owned.phase is not Phase.LIVE:
                    continue
                expected = owned.next_request
                taken.requests[partition] = []
            if offset < expected:
                continue
            next_offsets[partition] = offset + 1
            taken.requests[partition].append(message)
            taken.count += 1
            taken.bytes += len(value) if value is not None else 0

    def _ended(self, message: Fetched, next_offsets: dict[int, int]) -> None:
        """
        Note that nothing is left to take below this offset, though no request may lie just below.

        librdkafka (2.16, ``rdkafka_fetcher.c``) tells it in the order of the records: once for each
        offset since the last seek, where what it would fetch next is the last stable offset.
        """
        partition, end = message.partition(), message.offset()
        owned = None if partition is None else self._assignment.owned(partition)
        if owned is None or end is None or owned.phase is not Phase.LIVE:
            return
        if end > next_offsets.get(owned.partition, owned.next_request):
            owned.end = end

    def _failed(self, error: KafkaError, partition: int | None) -> None:
        code = error.code()
        if code in _GONE and partition is not None:
            owned = self._assignment.owned(partition)
            # Of one that waits the error is of before, and comes again once it is read again.
            if owned is not None and owned.phase is Phase.LIVE:
                self._telemetry.emit(RecordsLost(SMS_REQUESTED, partition, 1))  # at least
                self._assignment.hold(
                    owned,
                    StallCause.OUT_OF_RANGE,
                    StateLost(
                        f"Requests of partition {partition} are gone from their topic before they "
                        "were decided."
                    ),
                )
            return
        if code == KafkaError._BAD_COMPRESSION and partition is not None:
            owned = self._assignment.owned(partition)
            if owned is not None and owned.phase is Phase.LIVE:
                text = f"{SMS_REQUESTED.name} partition {partition}: {UNPACKED_TO_MORE}"
                self._assignment.hold(owned, StallCause.BATCH_UNREADABLE, PartitionLost(text))
            return
        if error.fatal() or code == KafkaError._FATAL:
            # confluent-kafka (2.16) does not set fatal() on the error of a consumed message, which
            # is how a fenced instance_id is told: that error's code is _FATAL.
            raise _for_people(error)
        self._telemetry.emit(KafkaErrorSeen(error.name(), False))


_GONE = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE})


def _for_people(error: KafkaError) -> Exception:
    if error.code() in (KafkaError.FENCED_INSTANCE_ID, KafkaError._FENCED, KafkaError._FATAL):
        return Fenced(
            "Another gate joined with this instance_id, and Kafka gave the partitions to it. Give "
            "each gate an instance_id of its own. If there is no other: Kafka's group coordinator "
            "was silent for longer than session_timeout_ms; start this gate again."
        )
    return StateLost(f"The consumer of requests cannot go on: {error.name()}.")


def _size(messages: list[Fetched]) -> int:
    return sum(len(value) for message in messages if (value := message.value()) is not None)
