"""A producer whose group coordinator answers late, or never. Pure: no Kafka."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streams.errors import Indefinite
from streams.gate import transaction
from streams.gate.transaction import HURRIED_SECONDS, Transactor

OFFSETS = [TopicPartition("sms.requested", 0, 7)]


class Cluster:
    """Makes producers, and lets the offsets of a transaction through when it is told to."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.entered = threading.Event()
        self.fails_with: list[KafkaException] = []
        self.sent: list[float] = []
        """The time-outs with which offsets were sent."""
        self.committed = 0
        self.made = 0

    def producer(self, _kind: object, _config: object) -> Any:
        self.made += 1
        return SlowProducer(self)


class SlowProducer:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def init_transactions(self, _timeout: float) -> None: ...

    def begin_transaction(self) -> None: ...

    def abort_transaction(self, _timeout: float) -> None: ...

    def poll(self, _timeout: float) -> None: ...

    def produce(self, *_: object) -> None: ...

    def send_offsets_to_transaction(self, _offsets: Any, _group: Any, timeout: float) -> None:
        self._cluster.sent.append(timeout)
        if self._cluster.fails_with:
            raise self._cluster.fails_with.pop()
        self._cluster.entered.set()
        self._cluster.answers.wait()

    def commit_transaction(self, _timeout: float) -> None:
        self._cluster.committed += 1


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    found = Cluster()
    monkeypatch.setattr(transaction, "opened", found.producer)
    yield found
    found.answers.set()


def started(timeout_seconds: float) -> Transactor:
    transactor = Transactor({"transactional.id": "gate"}, timeout_seconds=timeout_seconds)
    transactor.start()
    return transactor


def test_a_call_that_never_returns_is_given_up_and_the_next_producers_go_on(
    cluster: Cluster,
) -> None:
    transactor = started(0.3)
    with pytest.raises(Indefinite):
        transactor.run([], OFFSETS, None)
    assert cluster.committed == 0

    cluster.answers.set()
    transactor.restart()
    transactor.run([], OFFSETS, None)
    assert (cluster.made, cluster.committed) == (4, 1)


def test_a_slow_coordinator_is_waited_for_and_not_asked_in_slices(cluster: Cluster) -> None:
    transactor = started(60)
    threading.Timer(3 * transaction._SLICE_SECONDS, cluster.answers.set).start()

    transactor.run([], OFFSETS, None)

    (timeout,) = cluster.sent
    assert timeout > 50
    assert cluster.committed == 1


def test_what_may_be_called_again_is(cluster: Cluster) -> None:
    retriable = KafkaError(KafkaError._TIMED_OUT, "", False, True)
    cluster.fails_with = [KafkaException(retriable)]
    cluster.answers.set()
    transactor = started(60)

    transactor.run([], OFFSETS, None)

    assert len(cluster.sent) == 2
    assert cluster.committed == 1


def test_a_gate_that_stops_does_not_wait_for_it(cluster: Cluster) -> None:
    transactor = started(60)

    def stop() -> None:
        cluster.entered.wait()
        transactor.hurry()

    threading.Thread(target=stop).start()
    began = time.monotonic()
    with pytest.raises(Indefinite):
        transactor.run([], OFFSETS, None)
    assert HURRIED_SECONDS <= time.monotonic() - began < 30
