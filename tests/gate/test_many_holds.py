"""
On the real broker: very many holds due at the same moment end once each, and delay no password.

The small size is for every run, the large one for the long tests. What was written is counted while
it is read: so many decisions as objects would not fit beside the broker.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition

from streams.broker.cluster import EmbeddedKafka
from streams.codec.codec import RecordCodec
from streams.gate import holding
from streams.kafka.clients import reader_config
from streams.records.decisions import SmsDecision
from streams.records.requests import SmsRequested
from streams.testing.records import a_consent_event, a_number, an_sms_requested
from tests.gate.bed import PATIENCE, Bed, Record, RunningGate, extent, now_ms
from tests.gate.test_holds import ask_for_password, pause, resume
from tests.gate.test_sends import policy_with_caps

pytestmark = pytest.mark.kafka

EACH = 50
"""Messages to one person: fewer than the cap, so that all may go."""

MANY = 1_000_000

PASSWORD_SECONDS = 30
"""How long a password may take on a machine that tests are run on beside it: a batch of holds takes
a twentieth of a second."""


@pytest.fixture
def bed(kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path) -> Bed:
    return Bed(
        kafka.bootstrap_servers,
        topic_prefix,
        tmp_path,
        policy_dir=policy_with_caps(tmp_path / "policy", 2 * EACH, "1h"),
    )


def each_of(bed: Bed, topic: str, partition: int) -> Iterator[Record]:
    """What is committed in a partition now, one after the other."""
    at = TopicPartition(topic, partition, 0)
    consumer = Consumer(reader_config(bed.settings))
    try:
        _, high = extent(consumer, at)
        consumer.assign([at])
        until = time.monotonic() + PATIENCE
        while True:
            assert time.monotonic() < until, f"{topic} could not be read to its end"
            for message in consumer.consume(2_000, 0.1):
                until = time.monotonic() + PATIENCE
                error = message.error()
                if error is None:
                    yield message
                else:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    if (message.offset() or 0) >= high:
                        return
    finally:
        consumer.close()


def counted(
    bed: Bed, topic: str, size: int, codec: RecordCodec[SmsDecision] | RecordCodec[SmsRequested]
) -> bytearray:
    """How often each of the ``size`` numbered requests was written to ``topic``."""
    counts = bytearray(size)
    for partition in range(bed.settings.partitions):
        for message in each_of(bed, topic, partition):
            request_id = codec.decode(message.value()).request_id
            if request_id.isdecimal():
                counts[int(request_id)] += 1
    return counts


def hold(bed: Bed, size: int) -> None:
    """Ask for so many messages of a campaign, to people who agreed to it."""
    people = [f"+1202{2_000_000 + index}" for index in range(size // EACH)]
    for number in people:
        bed.consent(a_consent_event(subject=number, occurred_at=now_ms() - 1_000))
    bed.flush()
    for index in range(size):
        number = people[index % len(people)]
        bed.request(
            an_sms_requested(request_id=str(index), recipient=number, body="Hi", valid_until=None)
        )
        if index % 100_000 == 99_999:
            bed.flush()
    bed.flush()


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(5_000, id="5_000"),
        pytest.param(MANY, id="many", marks=[pytest.mark.soak, pytest.mark.timeout(5_400)]),
    ],
)
def test_holds_due_at_once_end_once_each_and_do_not_delay_a_password(
    bed: Bed, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Fifty batches at least: the password is asked for, and seen, while they are worked off.
    monkeypatch.setattr(holding, "MOST_AT_ONCE", min(holding.MOST_AT_ONCE, size // 100))
    patience = 60 + size / 500
    began = time.monotonic()

    def took(what: str) -> None:
        nonlocal began
        print(f"{what}: {time.monotonic() - began:.1f} s")
        began = time.monotonic()

    def held() -> int:
        return sum(map(len, running.gate._holding._holds.all()))

    pause(bed)
    hold(bed, size)
    took("asked for")
    with bed.ready_gate() as running:
        running.until(lambda: held() == size, patience, "for all to be held")
    took("held")
    # An empty disk: all of them are read back.
    with bed.gate(state_dir=bed.folder / "elsewhere") as running:
        running.until_ready(patience)
        took("taken over")
        assert held() == size
        resume(bed)
        running.until(lambda: held() < size, what="for the first to be decided again")
        password = ask_and_wait(bed, running)
        took("a password beside them")
        assert password < PASSWORD_SECONDS
        if size == MANY:
            assert held() > 0, "fewer may all be decided by then"
    # Another one, in the middle of it.
    with bed.gate(state_dir=bed.folder / "anywhere") as running:
        running.until_ready(patience)
        took("taken over again")
        running.until(lambda: held() == 0, patience, "for all to be decided again")
        took("decided again")
        last = ask_and_wait(bed, running, "afterwards")
        took("a password afterwards")
    assert last < PASSWORD_SECONDS
    decisions = counted(bed, bed.topics.decisions, size, bed.codecs.decisions)
    assert decisions.count(2) == size, "each is held once and passed once"
    allowed = counted(bed, bed.topics.allowed, size, bed.codecs.requests)
    assert allowed.count(1) == size
    took("counted")


def ask_and_wait(bed: Bed, running: RunningGate, request_id: str = "password") -> float:
    """Ask for a password; give the seconds until it is passed on."""
    number = a_number(60)
    at = TopicPartition(bed.topics.allowed, bed.partition(number))
    consumer = Consumer(reader_config(bed.settings))
    try:
        consumer.assign([TopicPartition(at.topic, at.partition, extent(consumer, at)[1])])
        asked_at = time.monotonic()
        ask_for_password(bed, request_id, number)
        bed.flush()

        def passed() -> bool:
            return any(
                message.error() is None
                and bed.codecs.requests.decode(message.value()).request_id == request_id
                for message in consumer.consume(2_000, 0.05)
            )

        running.until(passed, what="for the password")
        return time.monotonic() - asked_at
    finally:
        consumer.close()
