"""
A transaction that is decided and not yet visible, with another one behind it.

The gate's two producers take turns: the markers of one's transaction are written while the other's
is under way (ADR 0013). Here they are held back on their way, for as long as a test wants.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, TopicPartition

from streams.broker.cluster import EmbeddedKafka
from streams.gate.owned import Phase
from streams.gate.transaction import Output, Transactor
from streams.kafka.clients import consumer_config, producer_config
from tests.conftest import need_embedded_kafka
from tests.crash.gate_process import SECOND
from tests.crash.short_lived_gate import AFTER_OFFSETS, arm, hasty, killed, short_lived_gate
from tests.crash.test_kill import check_outcomes, check_state, play
from tests.gate.bed import Bed, wait_for
from tests.gate.lost_answers import WRITE_TXN_MARKERS, LossyWire, wired_kafka

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def wired() -> Iterator[tuple[EmbeddedKafka, LossyWire]]:
    need_embedded_kafka()
    with wired_kafka() as both:
        yield both


def stable_offset(bed: Bed) -> int | None:
    """The group's offset of requests partition 0; None while a transaction hides it."""
    group = bed.settings.group_id
    asked = ConsumerGroupTopicPartitions(group, [TopicPartition(bed.topics.requests, 0)])
    answer = bed.admin.list_consumer_group_offsets([asked], require_stable=True)[group]
    (found,) = answer.result().topic_partitions
    return None if found.error is not None else int(found.offset)


def java_hash(text: str) -> int:
    """Java's hash of a string without its sign: by it Kafka chooses a coordinator's partition."""
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & 0xFFFFFFFF
    return value & 0x7FFFFFFF


def test_offsets_do_not_go_back_when_the_earlier_markers_come_last(
    wired: tuple[EmbeddedKafka, LossyWire], topic_prefix: str, tmp_path: Path
) -> None:
    """The coordinator sends the second transaction's markers before those of the first."""
    kafka, wire = wired
    bed = Bed(kafka.bootstrap_servers, topic_prefix, tmp_path)
    # A coordinator sends what is due in the order of its partitions, here four: the second
    # producer's is to come before the first one's.
    name = next(n for n in map(str, range(100)) if java_hash(f"{topic_prefix}{n}-a") % 4 == 3)
    transactor = Transactor(
        producer_config(bed.settings, f"{topic_prefix}{name}"), timeout_seconds=5
    )
    transactor.start()
    consumer = Consumer(consumer_config(bed.settings, bed.settings.group_id))
    group = consumer.consumer_group_metadata()

    def commit(offset: int) -> None:
        transactor.run(
            [Output(bed.topics.allowed, 0, b"key", str(offset).encode())],
            [TopicPartition(bed.topics.requests, 0, offset)],
            group,
        )

    commit(1)
    commit(2)
    wait_for(lambda: stable_offset(bed) == 2, what="for both to be visible")
    held = wire.held
    wire.hold(WRITE_TXN_MARKERS)
    try:
        commit(3)
        commit(4)
        wait_for(lambda: wire.held > held, what="for markers to be on their way")
        assert stable_offset(bed) is None
    finally:
        wire.lose_held()
    wait_for(lambda: stable_offset(bed) is not None, what="for the markers")
    assert stable_offset(bed) == 4
    wait_for(lambda: len(bed.read(bed.topics.allowed)) == 4, what="for all records")
    assert [record.value() for record in bed.read(bed.topics.allowed)] == [b"1", b"2", b"3", b"4"]
    consumer.close()
    transactor.close()


def test_a_successor_waits_for_a_hidden_transaction_and_for_the_open_one_behind_it(
    wired: tuple[EmbeddedKafka, LossyWire], topic_prefix: str, tmp_path: Path
) -> None:
    """The dead gate had one transaction decided and hidden, and had sent all of the next."""
    kafka, wire = wired
    bed = hasty(
        Bed(
            kafka.bootstrap_servers,
            topic_prefix,
            tmp_path,
            transaction_timeout_ms=5_000,
            idle_tick_ms=60_000,  # no transaction but those with requests
        )
    )
    asked: list[str] = []
    with short_lived_gate(bed, "gate-1", AFTER_OFFSETS, SECOND) as dying:
        play(bed, 0, asked)
        bed.decided(len(asked))
        wire.hold(WRITE_TXN_MARKERS)
        try:
            held = wire.held
            arm(bed, "gate-1")
            play(bed, 1, asked)
            wait_for(lambda: wire.held > held, what="for a commit")
            play(bed, 2, asked)
            assert killed(dying)
            with bed.gate("gate-2") as successor:
                assignment = successor.gate._assignment
                wait_for(lambda: len(assignment.all()) == 2, what="for the partitions")
                assert {owned.phase for owned in assignment.all()} == {Phase.RESTORING}
                wire.lose_held()
                play(bed, 99, asked)
                bed.decided(len(asked))
                check_outcomes(bed, asked)
                check_state(bed, successor)
        finally:
            wire.lose_held()
