"""The map of topics: what must hold for every topic, whatever is added."""

from __future__ import annotations

import pytest

from streams.errors import ConfigError
from streams.topology import (
    BROADCAST,
    CONSENT_EVENTS,
    DAY_MS,
    DEAD_LETTERS,
    HOUR_MS,
    INPUT_MAX_BYTES,
    NAMES_CONSENTS,
    SMS_ALLOWED,
    SMS_QUARANTINED,
    SMS_REQUESTED,
    SUBJECTS_STATE,
    TOPICS,
    Cleanup,
    Partitions,
    Role,
    Topic,
    TopicNames,
    duration,
)

every_topic = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)


@every_topic
def test_segments_close_in_a_quarter_of_the_time_that_bounds_a_record(topic: Topic) -> None:
    bounds = [topic.retention_ms, topic.max_compaction_lag_ms]
    bound = min(found for found in bounds if found is not None)

    assert topic.segment_ms <= bound / 4


@every_topic
def test_a_compacted_topic_says_how_long_what_was_overwritten_may_stay(topic: Topic) -> None:
    assert topic.compacted == (topic.max_compaction_lag_ms is not None)
    assert topic.compacted == (topic.delete_retention_ms is not None)


@every_topic
def test_a_topic_of_phone_numbers_is_not_kept_beyond_the_window_of_consent(topic: Topic) -> None:
    if topic.plaintext and not topic.compacted:
        assert topic.retention_ms is not None
        assert topic.retention_ms <= 30 * DAY_MS


@every_topic
def test_what_the_gate_alone_writes_takes_larger_records_than_it_reads(topic: Topic) -> None:
    if topic.writers == (Role.GATE,):
        assert topic.max_message_bytes > INPUT_MAX_BYTES
    if topic is SMS_REQUESTED or topic is CONSENT_EVENTS:
        assert topic.max_message_bytes == INPUT_MAX_BYTES


@every_topic
def test_what_others_write_is_timed_by_the_broker(topic: Topic) -> None:
    if set(topic.writers) & {Role.SERVICES, Role.APP, Role.CARRIER}:
        assert topic.log_append_time


def test_dead_letters_and_holds_take_a_request_at_the_limit() -> None:
    for output in (DEAD_LETTERS, SMS_QUARANTINED, SMS_ALLOWED):
        assert output.max_message_bytes >= 2 * SMS_REQUESTED.max_message_bytes


def test_broadcast_topics_have_one_partition_and_never_forget_by_age() -> None:
    for topic in BROADCAST:
        assert topic.partitions is Partitions.ONE
        assert topic.cleanup is Cleanup.COMPACT


def test_a_withdrawn_name_is_gone_within_a_day() -> None:
    assert NAMES_CONSENTS.max_compaction_lag_ms == 24 * HOUR_MS


def test_two_replicas_must_have_a_record_where_there_are_three() -> None:
    assert SUBJECTS_STATE.broker_settings(3)["min.insync.replicas"] == "2"
    assert SUBJECTS_STATE.broker_settings(1)["min.insync.replicas"] == "1"


def test_a_shorter_retention_closes_segments_earlier() -> None:
    kept = SMS_REQUESTED.kept_for(4 * HOUR_MS)

    assert kept.broker_settings(1)["retention.ms"] == str(4 * HOUR_MS)
    assert kept.broker_settings(1)["segment.ms"] == str(HOUR_MS)


def test_a_name_given_beats_the_prefix() -> None:
    names = TopicNames("acme.", {"sms.requested": "outbound-sms-v2"})

    assert names.of(SMS_REQUESTED) == "outbound-sms-v2"
    assert names.of(CONSENT_EVENTS) == "acme.consent.events"
    assert names.topic("outbound-sms-v2") is SMS_REQUESTED


@pytest.mark.parametrize(
    ("prefix", "renamed"),
    [
        ("", {"sms.requested": "consent.events"}),
        ("", {"sms.requested": "consent_events"}),
        ("with space.", {}),
        ("", {"sms.requested": ""}),
        ("x" * 250, {}),
        ("", {"sms.request": "a"}),
    ],
    ids=["taken", "taken but for a dot", "a space", "empty", "too long", "of no topic"],
)
def test_a_name_that_kafka_or_another_topic_refuses_is_refused(
    prefix: str, renamed: dict[str, str]
) -> None:
    with pytest.raises(ConfigError):
        TopicNames(prefix, renamed)


@pytest.mark.parametrize(
    ("milliseconds", "written"),
    [(7 * DAY_MS, "7d"), (36 * HOUR_MS, "36h"), (1_500, "1500ms"), (90_000, "90s")],
)
def test_durations_are_written_in_the_largest_unit_that_divides_them(
    milliseconds: int, written: str
) -> None:
    assert duration(milliseconds) == written
