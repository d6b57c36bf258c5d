"""Topics on a real Kafka: created, compared, and never changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from streams.broker.cluster import EmbeddedKafka
from streams.config import Settings
from streams.errors import KafkaUnavailable, TopicsUnfit
from streams.kafka import topics
from streams.kafka.clients import admin_config, opened, producer_config
from streams.kafka.placement import (
    crc32_partition_of,
    fnv1a_partition_of,
    fnv1a_reference_partition_of,
    partition_of,
)
from streams.kafka.topic_differences import Severity
from streams.kafka.topics import apply, check, ensure_fit
from streams.topology import CAMPAIGNS, CONSENT_EVENTS, SMS_REQUESTED, TOPICS, Topic
from tests.leaders import until_led

pytestmark = pytest.mark.kafka

PARTITIONS = 3

NUMBERS = [f"+4915112{number:06}".encode() for number in range(60)]


@pytest.fixture
def settings(kafka: EmbeddedKafka, topic_prefix: str) -> Settings:
    return Settings(
        bootstrap_servers=kafka.bootstrap_servers, topic_prefix=topic_prefix, partitions=PARTITIONS
    )


@pytest.fixture
def admin(settings: Settings) -> AdminClient:
    return opened(AdminClient, admin_config(settings))


Create = Callable[..., None]


@pytest.fixture
def create(settings: Settings, admin: AdminClient) -> Create:
    """Create one topic before `apply` does, with settings of its own (`_` stands for `.`)."""

    def created(topic: Topic, partitions: int = PARTITIONS, **changed: str) -> None:
        wanted = topic.broker_settings(1)
        wanted |= {key.replace("_", "."): value for key, value in changed.items()}
        name = settings.names.of(topic)
        admin.create_topics([NewTopic(name, partitions, 1, config=wanted)])[name].result()
        until_led(admin, {name: partitions})

    return created


def test_apply_creates_every_topic_as_the_map_has_it(
    settings: Settings, admin: AdminClient
) -> None:
    report = apply(settings, admin)

    assert [topic.created for topic in report.topics] == [True] * len(TOPICS)
    assert [topic.name for topic in report.topics if topic.differences] == []
    assert not report.unfit
    assert {topic.topic.name: topic.found.partitions for topic in report.topics if topic.found} == {
        topic.name: 1 if topic.partitions.value == "1" else PARTITIONS for topic in TOPICS
    }


def test_a_second_apply_creates_nothing(settings: Settings, admin: AdminClient) -> None:
    apply(settings, admin)

    report = apply(settings, admin)

    assert not any(topic.created for topic in report.topics)


def test_a_topic_that_is_there_is_reported_and_left_as_it_is(
    settings: Settings, admin: AdminClient, create: Create
) -> None:
    create(SMS_REQUESTED, cleanup_policy="compact", segment_ms="604800000")

    report = apply(settings, admin)

    requests = next(topic for topic in report.topics if topic.topic.name == SMS_REQUESTED.name)
    assert [(found.setting, found.severity) for found in requests.differences] == [
        ("cleanup.policy", Severity.ERROR),
        ("segment.ms", Severity.WARNING),
    ]
    resource = ConfigResource(ResourceType.TOPIC, settings.names.of(SMS_REQUESTED))
    kept: dict[str, Any] = admin.describe_configs([resource])[resource].result()
    assert kept["cleanup.policy"].value == "compact"


def test_new_topics_get_the_partitions_that_requests_have(
    settings: Settings, admin: AdminClient, create: Create
) -> None:
    create(SMS_REQUESTED, partitions=5)

    report = apply(settings, admin)

    events = next(topic for topic in report.topics if topic.topic.name == CONSENT_EVENTS.name)
    assert events.found is not None
    assert events.found.partitions == 5
    assert any("has 5 partitions, the setting partitions says 3" in note for note in report.notes)
    assert not report.unfit


def test_a_company_s_own_names_are_used(settings: Settings, admin: AdminClient) -> None:
    own = f"{settings.topic_prefix}outbound"
    renamed = settings.model_copy(update={"topic_names": {SMS_REQUESTED.name: own}})

    apply(renamed, admin)

    assert own in admin.list_topics(timeout=60).topics
    assert settings.names.of(SMS_REQUESTED) not in admin.list_topics(timeout=60).topics


@pytest.mark.parametrize(
    ("topic", "partitions", "changed", "told"),
    [
        (SMS_REQUESTED, PARTITIONS, {"cleanup_policy": "compact"}, "cleanup.policy is compact"),
        (CONSENT_EVENTS, PARTITIONS + 1, {}, "partitions is 4, must be 3"),
        (CONSENT_EVENTS, PARTITIONS, {"message_timestamp_type": "CreateTime"}, "CreateTime"),
        (CONSENT_EVENTS, PARTITIONS, {"retention_ms": "604800000"}, "retention.ms is 604800000"),
        (CAMPAIGNS, 2, {}, "partitions is 2, must be 1"),
    ],
)
def test_a_gate_does_not_start_on_topics_that_cannot_carry_the_guarantees(
    settings: Settings,
    admin: AdminClient,
    create: Create,
    topic: Topic,
    partitions: int,
    changed: dict[str, str],
    told: str,
) -> None:
    if topic is not SMS_REQUESTED:
        create(SMS_REQUESTED)
    create(topic, partitions, **changed)
    apply(settings, admin)

    with pytest.raises(TopicsUnfit) as caught:
        ensure_fit(settings, admin)

    assert settings.names.of(topic) in str(caught.value)
    assert told in str(caught.value)


def test_a_gate_does_not_start_where_topics_are_missing(
    settings: Settings, admin: AdminClient
) -> None:
    with pytest.raises(TopicsUnfit, match="topics apply"):
        ensure_fit(settings, admin)


def test_one_broker_is_a_warning(settings: Settings, admin: AdminClient) -> None:
    apply(settings, admin)

    (warning,) = ensure_fit(settings, admin)

    assert "1 broker" in warning


def write_numbers(settings: Settings, topic: Topic, place: Callable[[bytes], int]) -> None:
    """Write a record for each number into the partition that `place` gives."""
    producer = opened(Producer, producer_config(settings))
    for number in NUMBERS:
        producer.produce(settings.names.of(topic), b"", number, place(number))
    assert producer.flush(60) == 0


def test_keys_placed_by_murmur2_raise_no_complaint(settings: Settings, admin: AdminClient) -> None:
    apply(settings, admin)
    write_numbers(settings, SMS_REQUESTED, lambda number: partition_of(number, PARTITIONS))

    report = check(settings, admin)

    assert report.complaints == []
    assert [(sample.keyed, sample.misplaced) for sample in report.placement] == [(60, 0), (0, 0)]


def test_a_producer_with_librdkafka_s_default_is_told_its_setting(
    settings: Settings, admin: AdminClient
) -> None:
    apply(settings, admin)
    write_numbers(settings, CONSENT_EVENTS, lambda number: crc32_partition_of(number, PARTITIONS))

    (complaint,) = check(settings, admin).complaints

    assert complaint.startswith(settings.names.of(CONSENT_EVENTS))
    assert "partitioner=murmur2_random" in complaint
    assert "consistent_random" in complaint
    assert not any(number.decode() in complaint for number in NUMBERS)


@pytest.mark.parametrize("place", [fnv1a_partition_of, fnv1a_reference_partition_of])
def test_a_producer_with_sarama_s_hash_is_told_its_partitioner(
    settings: Settings, admin: AdminClient, place: Callable[[bytes, int], int]
) -> None:
    apply(settings, admin)
    write_numbers(settings, SMS_REQUESTED, lambda number: place(number, PARTITIONS))

    (complaint,) = check(settings, admin).complaints

    assert "NewMurmur2Partitioner" in complaint
    assert "consistent_random" not in complaint


def test_a_producer_with_a_rule_of_its_own_is_told_so(
    settings: Settings, admin: AdminClient
) -> None:
    apply(settings, admin)
    write_numbers(settings, SMS_REQUESTED, lambda _: 0)

    (complaint,) = check(settings, admin).complaints

    assert "rule of its own" in complaint


def test_records_without_a_key_are_complained_of(settings: Settings, admin: AdminClient) -> None:
    apply(settings, admin)
    producer = opened(Producer, producer_config(settings))
    producer.produce(settings.names.of(SMS_REQUESTED), b"")
    assert producer.flush(60) == 0

    (complaint,) = check(settings, admin).complaints

    assert "1 sampled records have no key" in complaint


def test_a_cluster_that_does_not_answer_is_worth_another_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(topics, "_ANSWER_WITHIN_SECONDS", 1.0)
    silent = Settings(bootstrap_servers="127.0.0.1:1")

    with pytest.raises(KafkaUnavailable, match=r"127\.0\.0\.1:1"):
        check(silent, opened(AdminClient, admin_config(silent)))


@pytest.mark.slow
def test_three_brokers_hold_three_replicas(kafka3: EmbeddedKafka, topic_prefix: str) -> None:
    settings = Settings(
        bootstrap_servers=kafka3.bootstrap_servers, topic_prefix=topic_prefix, partitions=2
    )
    admin = opened(AdminClient, admin_config(settings))

    report = apply(settings, admin)

    assert {topic.found.replicas for topic in report.topics if topic.found} == {3}
    assert ensure_fit(settings, admin) == []


@pytest.mark.slow
def test_a_single_replica_among_three_brokers_is_a_warning(
    kafka3: EmbeddedKafka, topic_prefix: str
) -> None:
    settings = Settings(
        bootstrap_servers=kafka3.bootstrap_servers,
        topic_prefix=topic_prefix,
        partitions=1,
        replication_factor=1,
    )
    admin = opened(AdminClient, admin_config(settings))
    apply(settings, admin)

    warnings = ensure_fit(settings, admin)

    assert sum("replication is 1, should be at least 3" in line for line in warnings) == len(TOPICS)
