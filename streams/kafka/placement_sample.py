"""
Looks at recent records: are their keys where murmur2 puts them?

A company's producer with another partitioner places requests where their person's STOP is not. The
gate catches each such record; this says which producer setting to change.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from streams.config import Settings
from streams.errors import Retry
from streams.kafka.clients import opened, reader_config
from streams.kafka.error_mapping import meaning_of
from streams.kafka.placement import (
    crc32_partition_of,
    fnv1a_partition_of,
    fnv1a_reference_partition_of,
    partition_of,
)
from streams.topology import CONSENT_EVENTS, SMS_REQUESTED, Topic

SAMPLED_TOPICS: tuple[Topic, ...] = (SMS_REQUESTED, CONSENT_EVENTS)

_ANSWER_WITHIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class OtherRule:
    """A partitioner that producers have by default, and what to change in them."""

    place: Callable[[bytes, int], int]
    remedy: str


OTHER_RULES: tuple[OtherRule, ...] = (
    OtherRule(
        crc32_partition_of,
        "They lie where librdkafka's default (consistent_random) puts them: set "
        "partitioner=murmur2_random in that producer.",
    ),
    OtherRule(
        fnv1a_partition_of,
        "They lie where Sarama's default (NewHashPartitioner) or kafka-go's kafka.Hash puts them: "
        "set Producer.Partitioner to sarama.NewMurmur2Partitioner, or Balancer to "
        "kafka.Murmur2Balancer{}, in that producer. A Sarama that has none yet (before 2026) takes "
        "a murmur2 hash through NewCustomPartitioner, with WithAbsFirst; its "
        "NewReferenceHashPartitioner is not murmur2.",
    ),
    OtherRule(
        fnv1a_reference_partition_of,
        "They lie where Sarama's NewReferenceHashPartitioner puts them, which is FNV-1a for all "
        "its name: set Producer.Partitioner to sarama.NewMurmur2Partitioner in that producer, or "
        "before 2026 give NewCustomPartitioner a murmur2 hash and WithAbsFirst.",
    ),
)


@dataclass(frozen=True, slots=True)
class PlacementSample:
    """
    What a look at one topic found: records with a key, those in another partition than murmur2
    says, the one rule that explains all of these (None: there is none), and records without a key.
    """

    topic: str
    keyed: int
    misplaced: int
    explained_by: OtherRule | None
    keyless: int

    @property
    def complaint(self) -> str | None:
        """What is wrong and what to change, or None. Names no key."""
        wrong = []
        if self.misplaced:
            producer = (
                "Their producer neither uses murmur2 (Java's default; librdkafka: "
                "partitioner=murmur2_random) nor the default of librdkafka or Sarama: it chooses "
                "partitions by a rule of its own, there are several such producers, or partitions "
                "were added."
                if self.explained_by is None
                else self.explained_by.remedy
            )
            wrong.append(
                f"{self.misplaced} of {self.keyed} sampled records lie in another partition than "
                f"murmur2 puts their key. {producer}"
            )
        if self.keyless:
            wrong.append(
                f"{self.keyless} sampled records have no key: set the E.164 number as the key."
            )
        return f"{self.topic}: {' '.join(wrong)}" if wrong else None


def sample_placement(
    settings: Settings,
    admin: AdminClient,
    records_per_partition: int = 200,
    within_seconds: float = 5.0,
) -> list[PlacementSample]:
    """
    Read the last records of each partition of the sampled topics and compare their keys' places.

    Blocks up to ``within_seconds`` a topic and judges what came until then; an empty topic gives a
    sample of no records. Commits nothing. Raises :class:`KafkaUnavailable`, or
    :class:`TopicsUnfit` when a topic is not there.
    """
    consumer = opened(Consumer, reader_config(settings))
    try:
        samples = []
        for topic in SAMPLED_TOPICS:
            name = settings.names.of(topic)
            deadline = time.monotonic() + within_seconds
            ends = _ends(admin, name, deadline)
            records = _recent(consumer, name, ends, records_per_partition, deadline)
            samples.append(_judged(name, records, len(ends)))
        return samples
    except KafkaException as error:
        raise meaning_of(error, "sampling the placement of keys") from error
    finally:
        consumer.close()


def _ends(admin: AdminClient, name: str, deadline: float) -> list[tuple[int, int]]:
    """Return the first offset of each partition and the one after its last."""
    while True:
        try:
            metadata = admin.list_topics(name, timeout=_ANSWER_WITHIN_SECONDS).topics[name]
            if metadata.error is not None:
                raise KafkaException(metadata.error)
            partitions = [TopicPartition(name, number) for number in sorted(metadata.partitions)]
            first, after = (
                admin.list_offsets(
                    dict.fromkeys(partitions, spec), request_timeout=_ANSWER_WITHIN_SECONDS
                )
                for spec in (OffsetSpec.earliest(), OffsetSpec.latest())
            )
            return [
                (first[partition].result().offset, after[partition].result().offset)
                for partition in partitions
            ]
        except KafkaException as error:
            # A topic that was just made has no leader for a moment.
            meaning = meaning_of(error, f"looking for the ends of {name}")
            if not isinstance(meaning, Retry) or time.monotonic() > deadline:
                raise meaning from error
            admin.poll(0.1)


def _recent(
    consumer: Consumer,
    name: str,
    ends: Sequence[tuple[int, int]],
    records_per_partition: int,
    deadline: float,
) -> list[Message]:
    """Return the newest records of each partition, as many as come until the deadline."""
    unread = {partition: after for partition, (first, after) in enumerate(ends) if after > first}
    consumer.assign(
        [
            TopicPartition(name, partition, max(ends[partition][0], after - records_per_partition))
            for partition, after in unread.items()
        ]
    )
    records: list[Message] = []
    while unread and time.monotonic() < deadline:
        for message in consumer.consume(1_000, timeout=0.1):
            partition, offset, error = message.partition(), message.offset(), message.error()
            if partition is None or offset is None:
                continue  # An error of the client, not of a partition: it reconnects by itself.
            if error is None:
                records.append(message)
                done = offset >= unread.get(partition, 0) - 1
            else:
                done = error.code() == KafkaError._PARTITION_EOF
            if done:
                unread.pop(partition, None)
    consumer.unassign()
    return records


def _judged(topic: str, records: Iterable[Message], partitions: int) -> PlacementSample:
    keyed = misplaced = keyless = 0
    explaining = list(OTHER_RULES)
    for record in records:
        key = record.key()
        if key is None:
            keyless += 1
            continue
        keyed += 1
        if partition_of(key, partitions) != record.partition():
            misplaced += 1
            explaining = [
                rule for rule in explaining if rule.place(key, partitions) == record.partition()
            ]
    explained_by = explaining[0] if misplaced and explaining else None
    return PlacementSample(topic, keyed, misplaced, explained_by, keyless)
