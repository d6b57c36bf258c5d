"""librdkafka configurations: what is fixed stays fixed, what is passed through arrives."""

from __future__ import annotations

import logging
import time

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from streams.config import FIXED_KAFKA, Settings
from streams.errors import ConfigError, KafkaUnavailable
from streams.kafka.clients import (
    admin_config,
    administering,
    consumer_config,
    opened,
    producer_config,
    reader_config,
)

NOBODY_LISTENS = "127.0.0.1:1"


def test_what_the_guarantees_rest_on_is_set() -> None:
    producer = producer_config(Settings(), "gate-1")
    consumer = consumer_config(Settings(), "gates", "gate-1")

    assert producer["acks"] == "all"
    assert producer["enable.idempotence"] is True
    assert producer["partitioner"] == "murmur2_random"
    assert producer["transactional.id"] == "gate-1"
    assert consumer["isolation.level"] == "read_committed"
    assert consumer["enable.auto.commit"] is False
    assert consumer["auto.offset.reset"] == "error"
    assert consumer["group.instance.id"] == "gate-1"


@pytest.mark.parametrize(
    ("settings", "milliseconds"),
    [
        (Settings(), 60_000),
        (Settings(session_timeout_ms=90_000), 90_000),
        (Settings(transaction_timeout_ms=100_000), 200_000),
    ],
)
def test_a_member_may_be_away_for_a_turn_and_joins_for_no_longer(
    settings: Settings, milliseconds: int
) -> None:
    config = consumer_config(settings, "gates", "gate-1")
    assert config["max.poll.interval.ms"] == milliseconds
    opened(Consumer, config).close()


def test_every_setting_that_we_fix_is_refused_from_outside() -> None:
    fixed = {
        *producer_config(Settings(), "gate-1"),
        *consumer_config(Settings(), "gates", "gate-1"),
    }
    overridable = {key for key in fixed if key not in FIXED_KAFKA and key != "client.id"}

    for key in overridable:
        settings = Settings(kafka={key: "77"})
        assert "77" in (
            producer_config(settings, "gate-1").get(key),
            consumer_config(settings, "gates").get(key),
        ), f"{key} is fixed, but settings for it are taken without a word"


def test_a_company_s_own_settings_reach_every_client() -> None:
    settings = Settings(kafka={"linger.ms": "20", "security.protocol": "ssl"})

    for config in (
        admin_config(settings),
        producer_config(settings),
        producer_config(settings, "gate-1"),
        reader_config(settings),
    ):
        assert config["security.protocol"] == "ssl"
    assert producer_config(settings)["linger.ms"] == "20"


@pytest.mark.parametrize("timeout_ms", [1_000, 10_000, 60_000])
def test_librdkafka_takes_every_configuration(timeout_ms: int) -> None:
    settings = Settings(bootstrap_servers=NOBODY_LISTENS, transaction_timeout_ms=timeout_ms)

    opened(AdminClient, admin_config(settings))
    opened(Producer, producer_config(settings))
    opened(Producer, producer_config(settings, "gate-1"))
    opened(Consumer, reader_config(settings)).close()
    opened(Consumer, consumer_config(settings, "gates", "gate-1")).close()


@pytest.mark.parametrize(
    ("key", "value"),
    [("no.such.setting", "hush"), ("security.protocol", "hush"), ("socket.timeout.ms", "-9")],
)
def test_a_setting_that_librdkafka_refuses_is_named_and_its_value_is_not(
    key: str, value: str
) -> None:
    config = producer_config(Settings(kafka={key: value}))

    with pytest.raises(ConfigError, match=f"kafka: {key}") as caught:
        opened(Producer, config)

    assert value not in str(caught.value)


def test_a_command_says_why_kafka_does_not_answer() -> None:
    def ask() -> None:
        with administering(Settings(bootstrap_servers=NOBODY_LISTENS)) as admin:
            try:
                admin.list_topics(timeout=1)
            except KafkaException as error:
                raise KafkaUnavailable("asking for topics") from error

    with pytest.raises(KafkaUnavailable, match="Connection refused"):
        ask()


def test_librdkafka_logs_at_debug_and_not_to_standard_error(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG, logger="streams.kafka.librdkafka")
    producer = opened(Producer, producer_config(Settings(bootstrap_servers=NOBODY_LISTENS)))

    deadline = time.monotonic() + 60
    while not caplog.records and time.monotonic() < deadline:
        producer.poll(0.05)

    assert "Connection refused" in caplog.text
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}
    assert capfd.readouterr().err == ""
