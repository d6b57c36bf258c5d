"""
Three brokers, of which some are away: a reply is done only once its withdrawal is on the replicas.

What is acknowledged is on two of three replicas at least; where only one is left, nothing is.
Together the two stories take half a minute.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from streams.broker.cluster import EmbeddedKafka
from streams.processors.replies import replies
from streams.records.inbound import event_of_reply
from streams.telemetry import metrics
from streams.testing.records import a_number, an_inbound_sms
from streams.topology import CONSENT_EVENTS, SMS_INBOUND, SMS_REQUESTED, Topic
from tests.gate.bed import Bed, now_ms, wait_for
from tests.gate.test_three_brokers import (
    OFFSETS,
    coordinators,
    java_hash,
    leader,
    patient_producer,
    whole,
)
from tests.processors.bed import RunningWorker, committed, ends, working

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

PATIENCE = 90
"""Seconds for what takes five on a quiet machine. A reply is answered for up to five minutes."""

PEOPLE = {0: a_number(1), 1: a_number(2)}
"""Somebody of each partition, by it."""


class Play:
    """An installation some of whose topics have the replicas that the story wants."""

    def __init__(
        self, kafka: EmbeddedKafka, prefix: str, folder: Path, placed: dict[Topic, list[list[int]]]
    ) -> None:
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
        made = [
            NewTopic(
                f"{prefix}{topic.name}",
                num_partitions=len(replicas),
                replica_assignment=replicas,
                config={
                    **topic.broker_settings(len(replicas[0])),
                    "min.insync.replicas": str(min(2, len(replicas[0]))),
                },
            )
            for topic, replicas in placed.items()
        ]
        for made_topic in admin.create_topics(made).values():
            made_topic.result(30)
        # A write that is not acknowledged is given up, and tried again, within seconds.
        self.bed = Bed(
            kafka.bootstrap_servers,
            prefix,
            folder,
            kafka={"socket.timeout.ms": "3000"},
            transaction_timeout_ms=4_000,
        )
        self.bed.producer = patient_producer(self.bed)

    def reply(self, partition: int) -> None:
        """Let the person of a partition say STOP."""
        number = PEOPLE[partition]
        assert self.bed.partition(number) == partition
        said = an_inbound_sms(
            message_id=f"m-{partition}",
            sender=number,
            recipient="36111",
            body="STOP",
            received_at=now_ms(),
        )
        topic = self.bed.settings.names.of(SMS_INBOUND)
        self.bed.write(topic, number.encode(), self.bed.codecs.inbound.encode(said), partition)
        self.bed.flush()

    def end(self, topic: Topic, partition: int) -> int:
        """Where a partition ends for whoever reads it."""
        return ends(self.bed, self.bed.settings.names.of(topic))[partition]

    def done(self, partition: int) -> bool:
        """Whether the one reply of a partition is marked as done."""
        return committed(self.bed, self.bed.settings.names.of(SMS_INBOUND))[partition] == 1

    def withdrawals(self) -> Counter[str]:
        """How often each withdrawal was written."""
        read = self.bed.read(self.bed.topics.consent)
        return Counter(self.bed.codecs.consent_events.decode(m.value()).event_id for m in read)

    def asked_for(self) -> Counter[str]:
        """How often each confirmation was asked for."""
        read = self.bed.read(self.bed.topics.requests)
        return Counter(self.bed.codecs.requests.decode(m.value()).recipient for m in read)


def answered(condition: Callable[[], object]) -> Callable[[], object]:
    """The condition, false as long as a broker is asked that is not there."""

    def asked() -> object:
        try:
            return condition()
        except KafkaException:
            return False

    return asked


def given_up(worker: RunningWorker) -> float:
    """How often a write of the worker was given up, to be tried again."""
    retries = worker.telemetry.values(metrics.WORKER_RETRIES)
    return retries.get(("replies", "KafkaUnavailable"), 0)


def brokers_beside_the_coordinator(kafka: EmbeddedKafka, prefix: str) -> Sequence[int]:
    """All brokers, the worker's coordinator first: what becomes of a group is another story."""
    leaders = coordinators(kafka)[OFFSETS]
    first = leaders[java_hash(f"{prefix}consent-gate.worker") % len(leaders)]
    return [first, *sorted(kafka.pids.keys() - {first})]


@contextmanager
def dead(kafka: EmbeddedKafka, play: Play, victim: int) -> Iterator[None]:
    """A broker is dead, and leads nothing any more."""
    bed = play.bed
    topics = [bed.settings.names.of(each) for each in (CONSENT_EVENTS, SMS_INBOUND, SMS_REQUESTED)]
    kafka.kill_broker(victim)
    try:
        wait_for(
            lambda: all(
                leader(bed, topic, partition) not in (victim, -1)
                for topic in topics
                for partition in (0, 1)
            ),
            PATIENCE,
            "for other leaders",
        )
        yield
    finally:
        kafka.start_broker(victim)
        wait_for(lambda: whole(bed), PATIENCE, "for all brokers to be in step again")


def in_sync(bed: Bed, topic: Topic, partition: int) -> set[int]:
    """The brokers that have all that a partition has."""
    name = bed.settings.names.of(topic)
    return set(bed.admin.list_topics(name, timeout=5).topics[name].partitions[partition].isrs)


@contextmanager
def hanging(kafka: EmbeddedKafka, play: Play) -> Iterator[list[int]]:
    """Brokers that are added to the list after they were paused, until the end of the block."""
    paused: list[int] = []
    try:
        yield paused
    finally:
        for broker in paused:
            kafka.resume_broker(broker)
        wait_for(lambda: whole(play.bed), PATIENCE, "for all brokers to be in step again")


def test_a_withdrawal_that_kafka_refuses_is_written_once_when_the_replica_is_back(
    kafka3: EmbeddedKafka, topic_prefix: str, tmp_path: Path
) -> None:
    """Two replicas must have it. A broker dies that has one of partition 1, and none of 0."""
    stays, dies, other = brokers_beside_the_coordinator(kafka3, topic_prefix)
    play = Play(kafka3, topic_prefix, tmp_path, {CONSENT_EVENTS: [[stays, other], [stays, dies]]})
    with working(play.bed, replies) as worker:
        with dead(kafka3, play, dies):
            for partition in (0, 1):
                play.reply(partition)
            worker.until(answered(lambda: play.done(0)), PATIENCE, "for the one beside")
            worker.until(lambda: given_up(worker) > 0, PATIENCE, "for a write to be refused")
            nothing = answered(
                lambda: (
                    (play.end(CONSENT_EVENTS, 1), play.end(SMS_REQUESTED, 1)) == (0, 0)
                    and not play.done(1)
                )
            )
            worker.until(nothing, PATIENCE, "for brokers to tell that nothing was written")
        worker.until(answered(lambda: play.done(1)), PATIENCE, "for the reply to be done")
        assert play.withdrawals() == {event_of_reply(f"m-{n}"): 1 for n in (0, 1)}
        assert play.asked_for() == dict.fromkeys(PEOPLE.values(), 1)


def test_two_of_three_replicas_are_enough_and_one_is_not(
    kafka3: EmbeddedKafka, topic_prefix: str, tmp_path: Path
) -> None:
    """What the worker reads and asks for is on the broker that goes on; withdrawals are on all."""
    stays, first, second = brokers_beside_the_coordinator(kafka3, topic_prefix)
    alone = [[stays]] * 2
    everywhere = [[stays, first, second]] * 2
    play = Play(
        kafka3,
        topic_prefix,
        tmp_path,
        {SMS_INBOUND: alone, SMS_REQUESTED: alone, CONSENT_EVENTS: everywhere},
    )
    with working(play.bed, replies) as worker:
        with hanging(kafka3, play) as paused:
            paused.append(first)
            kafka3.pause_broker(first)
            left = answered(lambda: in_sync(play.bed, CONSENT_EVENTS, 0) == {stays, second})
            worker.until(left, PATIENCE, "for two to go on without the third")
            play.reply(0)
            worker.until(answered(lambda: play.done(0)), PATIENCE, "for two replicas to have it")
            asked = answered(lambda: play.end(SMS_REQUESTED, 0) == 1)
            worker.until(asked, PATIENCE, "for its confirmation")

            before = given_up(worker)
            paused.append(second)
            kafka3.pause_broker(second)
            play.reply(1)
            worker.until(lambda: given_up(worker) > before, PATIENCE, "for a write to be given up")
            nothing = answered(lambda: play.end(SMS_REQUESTED, 1) == 0 and not play.done(1))
            worker.until(nothing, PATIENCE, "for the broker that is left")
        worker.until(answered(lambda: play.done(1)), PATIENCE, "for the reply to be done")
        # It may stand there more than once, since nobody knew what became of the first: with one
        # id, by which it counts once.
        assert play.withdrawals().keys() == {event_of_reply(f"m-{n}") for n in (0, 1)}
        assert play.asked_for() == dict.fromkeys(PEOPLE.values(), 1)
