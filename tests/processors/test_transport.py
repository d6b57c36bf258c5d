"""What Faust and aiokafka leave out or get wrong is put right: a guard each."""

from __future__ import annotations

import pytest
from aiokafka.partitioner import murmur2
from confluent_kafka import Producer, TopicPartition

from streams.kafka.clients import producer_config
from streams.kafka.placement import partition_of
from streams.telemetry import metrics
from streams.topology import SMS_INBOUND
from tests.gate.bed import Bed
from tests.processors.bed import committed, ends, working
from tests.processors.counting import counting


def transactions(bed: Bed, topic: str, partition: int, *batches: tuple[int, bool]) -> None:
    """Write transactions of so many records each, committed or aborted, to one partition."""
    producer = Producer(producer_config(bed.settings, f"{topic}-test-{partition}"))
    producer.init_transactions()
    for count, kept in batches:
        producer.begin_transaction()
        for index in range(count):
            producer.produce(topic, b"kept" if kept else b"aborted", b"%d" % index, partition)
        producer.flush(60)
        if kept:
            producer.commit_transaction()
        else:
            producer.abort_transaction()


@pytest.mark.kafka
def test_aborted_records_are_never_seen_and_commits_reach_the_end(bed: Bed) -> None:
    topic = bed.settings.names.of(SMS_INBOUND)
    transactions(bed, topic, 0, *[(20, True), (4, False)] * 10)

    with working(bed, counting) as worker:
        worker.until(lambda: worker.handled("counting") >= 200)
        # The last four and both markers behind the last record are never handed out.
        worker.until(lambda: committed(bed, topic)[0] >= ends(bed, topic)[0] - 6)
        assert worker.handled("counting") == 200


@pytest.mark.kafka
def test_commits_go_on_behind_two_markers_after_the_first_record(bed: Bed) -> None:
    # Faust's own count of gaps begins only behind offset 0, and then waits for ever.
    topic = bed.settings.names.of(SMS_INBOUND)
    transactions(bed, topic, 0, (1, True), (1, False), (1, True))

    with working(bed, counting) as worker:
        worker.until(lambda: committed(bed, topic)[0] == 5)
        assert worker.handled("counting") == 2


@pytest.mark.kafka
def test_records_that_are_gone_before_they_were_handled_are_told(bed: Bed) -> None:
    topic = bed.settings.names.of(SMS_INBOUND)
    for index in range(10):
        bed.write(topic, b"%d" % index, b"a", 0)
    bed.flush()
    with working(bed, counting) as worker:
        worker.until(lambda: committed(bed, topic)[0] == 10)
    for index in range(6):
        bed.write(topic, b"%d" % index, b"b", 0)
    bed.flush()
    delete_below(bed, topic, 13)

    with working(bed, counting) as worker:
        worker.until(lambda: worker.handled("counting") == 3)
        lost = worker.telemetry.values(metrics.LOST_RECORDS)
        assert lost[(SMS_INBOUND.name,)] == 3


def delete_below(bed: Bed, topic: str, offset: int) -> None:

    answers = bed.admin.delete_records([TopicPartition(topic, 0, offset)])
    for answer in answers.values():
        answer.result(60)


def test_the_client_s_partitioner_is_ours_for_500_keys() -> None:
    keys = [f"+1202555{index:04d}".encode() for index in range(500)]

    assert [(murmur2(key) & 0x7FFFFFFF) % 12 for key in keys] == [
        partition_of(key, 12) for key in keys
    ]
