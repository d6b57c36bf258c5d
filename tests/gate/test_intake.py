"""What comes with a batch besides requests. Pure: no Kafka."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, Message
from prometheus_client import CollectorRegistry

from streams.errors import Fenced
from streams.gate.intake import CHUNK, Intake
from streams.gate.owned import Owned, Phase
from streams.records.subject import Position
from streams.telemetry.telemetry import Telemetry


class Assigned:
    """An assignment that a rebalance takes away."""

    epoch = 1
    group = None

    def live(self) -> list[Owned]:
        return []

    def owned(self, partition: int) -> Owned:
        return Owned(partition, phase=Phase.LIVE, position=Position(partition=partition))

    def rewind(self, partitions: object) -> None:
        pass


class RebalancedWith:
    """A consumer that hands these messages over in the call in which it rebalances."""

    def __init__(self, assigned: Assigned, *messages: Message) -> None:
        self._assigned = assigned
        self._messages = list(messages)

    def consume(self, most: int, timeout: float) -> list[Message]:
        self._assigned.epoch += 1
        messages, self._messages = self._messages, []
        return messages


def intake(*messages: Message) -> Intake:
    assigned = Assigned()
    return Intake(
        RebalancedWith(assigned, *messages),  # type: ignore[arg-type]
        assigned,  # type: ignore[arg-type]
        Telemetry(CollectorRegistry()),
        max_bytes=1_000,
        linger_seconds=0,
    )


def test_requests_that_come_with_a_rebalance_are_not_taken() -> None:
    taken = intake(Message(topic="requests", partition=0, offset=0, value=b"x")).take(0, 0, 10)
    assert taken.epoch > Assigned.epoch
    assert taken.requests == {}


def test_a_gate_that_is_fenced_in_the_same_moment_as_it_loses_its_partitions_ends() -> None:
    """Else it would go on for ever without partitions, and nobody would be told."""
    fenced = Message(error=KafkaError(KafkaError._FATAL))
    assert not fenced.error().fatal(), "confluent-kafka does not say so of a consumed error"
    with pytest.raises(Fenced, match="instance_id"):
        intake(fenced).take(0, 0, 10)


class Waiting:
    """A consumer with so many requests waiting, and one more for whoever waits."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._at = 0

    def consume(self, most: int, timeout: float) -> list[Message]:
        there = min(most, self._left)
        self._left -= there
        if there < most and self._at and timeout:
            there += 1
        first, self._at = self._at, self._at + there
        return [Message("requests", 0, at, value=b"x") for at in range(first, self._at)]


def taken_of(count: int, most: int = 10_000) -> int:
    took = Intake(
        Waiting(count),  # type: ignore[arg-type]
        Assigned(),  # type: ignore[arg-type]
        Telemetry(CollectorRegistry()),
        max_bytes=1_000_000,
        linger_seconds=60,
    )
    return took.take(0, 240, most).count


def test_a_few_requests_wait_for_no_more() -> None:
    assert taken_of(CHUNK // 2) == CHUNK // 2


def test_a_batch_that_meets_a_backlog_waits_for_more() -> None:
    # The bound ends it, not the time: a busy machine makes nothing of some milliseconds.
    assert taken_of(CHUNK + 1, most=CHUNK + 50) == CHUNK + 50


def test_no_more_is_taken_than_a_transaction_may_hold_just_now() -> None:
    assert taken_of(CHUNK, most=70) == 70
