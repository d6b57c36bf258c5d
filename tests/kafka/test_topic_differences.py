"""What is said of a topic that is not as the map has it, and whether the gate would start."""

from __future__ import annotations

import pytest

from streams.kafka.topic_differences import FoundTopic, Severity, differences, missing
from streams.topology import (
    CAMPAIGNS,
    CONSENT_EVENTS,
    CONTACTS_UPLOADED,
    DAY_MS,
    DEAD_LETTERS,
    NAMES_CONSENTS,
    SMS_ALLOWED,
    SMS_DECISIONS,
    SMS_QUARANTINED,
    SMS_REQUESTED,
    SUBJECTS_STATE,
    TOPICS,
    Partitions,
    Topic,
)

KAFKA_DEFAULTS = {
    "cleanup.policy": "delete",
    "retention.ms": str(7 * DAY_MS),
    "max.compaction.lag.ms": str(2**63 - 1),
    "delete.retention.ms": str(DAY_MS),
}


def found(topic: Topic, partitions: int = 4, replicas: int = 3, **changed: str) -> FoundTopic:
    """The topic just as it should be, but for what is changed (`_` stands for `.`)."""
    count = 1 if topic.partitions is Partitions.ONE else partitions
    settings = KAFKA_DEFAULTS | topic.broker_settings(replicas)
    return FoundTopic(
        count, replicas, settings | {key.replace("_", "."): v for key, v in changed.items()}
    )


REQUESTS = found(SMS_REQUESTED)


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_topic_as_apply_makes_it_has_no_difference(topic: Topic) -> None:
    assert differences(topic, found(topic), REQUESTS, replicas=3) == []


@pytest.mark.parametrize(
    ("topic", "changed", "severity"),
    [
        (SMS_REQUESTED, {"cleanup_policy": "compact"}, Severity.ERROR),
        (SMS_REQUESTED, {"cleanup_policy": "compact,delete"}, Severity.ERROR),
        (SMS_DECISIONS, {"cleanup_policy": "delete,compact"}, Severity.ERROR),
        (SUBJECTS_STATE, {"cleanup_policy": "delete"}, Severity.ERROR),
        (SUBJECTS_STATE, {"cleanup_policy": "compact,delete"}, Severity.ERROR),
        (SMS_QUARANTINED, {"cleanup_policy": "compact"}, Severity.WARNING),
        (CONSENT_EVENTS, {"retention_ms": str(29 * DAY_MS)}, Severity.ERROR),
        (CONSENT_EVENTS, {"retention_ms": str(31 * DAY_MS)}, Severity.WARNING),
        (CONSENT_EVENTS, {"retention_ms": "-1"}, Severity.WARNING),
        (CONSENT_EVENTS, {"retention_bytes": "1000000000"}, Severity.ERROR),
        (SMS_DECISIONS, {"retention_ms": str(30 * DAY_MS)}, Severity.WARNING),
        (SMS_DECISIONS, {"retention_bytes": "1000000000"}, Severity.WARNING),
        (CONSENT_EVENTS, {"message_timestamp_type": "CreateTime"}, Severity.ERROR),
        (CAMPAIGNS, {"message_timestamp_type": "CreateTime"}, Severity.ERROR),
        (SMS_REQUESTED, {"message_timestamp_type": "CreateTime"}, Severity.WARNING),
        (SMS_REQUESTED, {"segment_ms": str(7 * DAY_MS)}, Severity.WARNING),
        (NAMES_CONSENTS, {"max_compaction_lag_ms": str(2 * DAY_MS)}, Severity.WARNING),
        (NAMES_CONSENTS, {"delete_retention_ms": str(DAY_MS)}, Severity.WARNING),
        (SMS_ALLOWED, {"max_message_bytes": str(1024 * 1024)}, Severity.ERROR),
        (SMS_ALLOWED, {"max_message_bytes": str(1536 * 1024)}, Severity.WARNING),
        (DEAD_LETTERS, {"max_message_bytes": str(1536 * 1024)}, Severity.ERROR),
        (SMS_REQUESTED, {"max_message_bytes": str(1536 * 1024)}, Severity.WARNING),
        (CONTACTS_UPLOADED, {"max_message_bytes": "1048588"}, Severity.WARNING),
        (CONSENT_EVENTS, {"min_insync_replicas": "1"}, Severity.WARNING),
        (CONSENT_EVENTS, {"min_insync_replicas": "4"}, Severity.ERROR),
        (CONSENT_EVENTS, {"unclean_leader_election_enable": "true"}, Severity.WARNING),
    ],
    ids=lambda value: value.name if isinstance(value, Topic) else None,
)
def test_one_setting_that_differs_is_one_difference(
    topic: Topic, changed: dict[str, str], severity: Severity
) -> None:
    (difference,) = differences(topic, found(topic, **changed), REQUESTS, replicas=3)

    assert difference.setting == next(iter(changed)).replace("_", ".")
    assert difference.severity is severity
    assert difference.breaks


def test_what_is_safer_than_asked_for_is_no_difference() -> None:
    state = found(SUBJECTS_STATE, segment_ms="1000", max_message_bytes=str(8 * 1024 * 1024))
    requests = found(SMS_REQUESTED, max_message_bytes="1000000")
    kafkas_default = found(SMS_REQUESTED, max_message_bytes="1048588")

    assert differences(SUBJECTS_STATE, state, requests, replicas=3) == []
    assert differences(SMS_REQUESTED, requests, requests, replicas=3) == []
    assert differences(SMS_REQUESTED, kafkas_default, kafkas_default, replicas=3) == []


def test_uneven_partitions_keep_the_gate_from_starting() -> None:
    (difference,) = differences(
        CONSENT_EVENTS, found(CONSENT_EVENTS, partitions=6), REQUESTS, replicas=3
    )

    assert (difference.setting, difference.expected, difference.found) == ("partitions", "4", "6")
    assert difference.severity is Severity.ERROR


def test_a_broadcast_topic_has_one_partition() -> None:
    six = FoundTopic(6, 3, found(CAMPAIGNS).settings)

    (difference,) = differences(CAMPAIGNS, six, REQUESTS, replicas=3)

    assert difference.severity is Severity.ERROR


def test_outputs_do_not_grow_with_what_the_requests_topic_takes() -> None:
    requests = found(SMS_REQUESTED, max_message_bytes=str(8 * 1024 * 1024))

    assert differences(SMS_ALLOWED, found(SMS_ALLOWED), requests, replicas=3) == []
    assert differences(DEAD_LETTERS, found(DEAD_LETTERS), requests, replicas=3) == []


def test_too_few_replicas_are_a_warning() -> None:
    (difference,) = differences(
        CONSENT_EVENTS, found(CONSENT_EVENTS, replicas=1), REQUESTS, replicas=3
    )

    assert (difference.setting, difference.severity) == ("replication", Severity.WARNING)


def test_errors_come_first() -> None:
    bad = found(CONSENT_EVENTS, segment_ms=str(30 * DAY_MS), message_timestamp_type="CreateTime")

    severities = [found.severity for found in differences(CONSENT_EVENTS, bad, REQUESTS, 3)]

    assert severities == [Severity.ERROR, Severity.WARNING]


def test_the_gate_starts_without_a_topic_that_it_neither_reads_nor_writes() -> None:
    assert missing(CONTACTS_UPLOADED).severity is Severity.WARNING
    assert missing(SMS_REQUESTED).severity is Severity.ERROR
