"""A batch that unpacks to more than the client takes: its partition is held, and says why."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import Producer

from streams.broker.cluster import EmbeddedKafka
from streams.kafka.clients import producer_config
from streams.records.decisions import Outcome
from streams.telemetry import metrics
from tests.gate.bed import Bed, RunningGate, wait_for
from tests.gate.test_missing_keys import HOLDING, ask, ask_later, two_people

pytestmark = pytest.mark.kafka

VALUE_BYTES = 3_000_000
VALUES = 40
"""120 MB together, which zstd packs into some kilobytes; the client unpacks up to 100 MB."""


@pytest.fixture
def bed(kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path) -> Bed:
    return Bed(kafka.bootstrap_servers, topic_prefix, tmp_path, idle_tick_ms=50)


def write_one_large_batch(bed: Bed, topic: str) -> None:
    """Append a batch to partition 0 as a careless or a hostile producer does."""
    settings = bed.settings.model_copy(
        update={
            "kafka": {
                "compression.type": "zstd",
                "batch.size": 2**31 - 1,
                "linger.ms": 5_000,
            }
        }
    )
    config = {**producer_config(settings), "message.max.bytes": 1_000_000_000}
    producer = Producer(config)
    producer.list_topics(topic, timeout=60)
    failures: list[object] = []
    for _ in range(VALUES):
        producer.produce(
            topic,
            bytes(VALUE_BYTES),
            b"nobody",
            partition=0,
            on_delivery=lambda error, _: failures.append(error) if error else None,
        )
    assert producer.flush(60) == 0
    assert failures == []


def held(running: RunningGate) -> bool:
    assert running.error is None, running.error
    stalled = running.telemetry.members(metrics.STALLED_PARTITIONS)
    return stalled == {0: ("batch_unreadable",)}


@pytest.mark.parametrize("of", ["requests", "consent"])
def test_a_batch_too_large_to_unpack_holds_its_partition_until_more_may_be_unpacked(
    bed: Bed, of: str
) -> None:
    here, elsewhere = two_people(bed)
    with bed.ready_gate() as running:
        before = ask_later(bed, here, purpose=HOLDING)
        if of == "consent":
            bed.decided(1)
        write_one_large_batch(bed, getattr(bed.topics, of))
        behind = ask_later(bed, here, purpose=HOLDING)
        wait_for(lambda: held(running), what="for the partition to be held")
        assert ask(bed, running, elsewhere, purpose=HOLDING).verdict is Outcome.QUARANTINED
        assert held(running)
        assert before in bed.decided(2)
        assert behind not in bed.decided(2)
    with bed.ready_gate(kafka={"receive.message.max.bytes": 300_000_000}):
        decided = bed.decided(3)
    assert decided[behind].verdict is Outcome.QUARANTINED
    dead = [dict(each.headers() or []) for each in bed.read(bed.topics.dead_letters)]
    assert len(dead) == VALUES
    assert {each["consent-gate-cause"] for each in dead} == {b"too_large"}
