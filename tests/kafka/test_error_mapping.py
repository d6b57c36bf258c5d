"""Which branch of the error tree a Kafka error takes."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.errors import (
    Aborted,
    ConfigError,
    ConsentGateError,
    Fenced,
    Indefinite,
    KafkaUnavailable,
    StateLost,
    TopicsUnfit,
)
from streams.kafka.error_mapping import meaning_of


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (KafkaError(KafkaError._TIMED_OUT), KafkaUnavailable),
        (KafkaError(KafkaError._TRANSPORT), KafkaUnavailable),
        (KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION), KafkaUnavailable),
        (KafkaError(KafkaError._STATE, retriable=True), KafkaUnavailable),
        (KafkaError(KafkaError.ILLEGAL_GENERATION, txn_requires_abort=True), Aborted),
        (KafkaError(KafkaError._TIMED_OUT, txn_requires_abort=True), Aborted),
        (KafkaError(KafkaError._FENCED, fatal=True), Indefinite),
        (KafkaError(KafkaError.INVALID_PRODUCER_EPOCH, fatal=True), Indefinite),
        (KafkaError(KafkaError._TIMED_OUT, fatal=True, retriable=True), Indefinite),
        (KafkaError(KafkaError.FENCED_INSTANCE_ID, fatal=True), Fenced),
        (KafkaError(KafkaError.FENCED_INSTANCE_ID), Fenced),
        (KafkaError(KafkaError.OFFSET_OUT_OF_RANGE), StateLost),
        (KafkaError(KafkaError._AUTO_OFFSET_RESET), StateLost),
        (KafkaError(KafkaError._AUTHENTICATION), ConfigError),
        (KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), ConfigError),
        (KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART), TopicsUnfit),
        (KafkaError(KafkaError.INVALID_TXN_STATE), Indefinite),
    ],
    ids=lambda value: value.name() if isinstance(value, KafkaError) else value.__name__,
)
def test_an_error_means_what_the_caller_must_do(
    error: KafkaError, meaning: type[ConsentGateError]
) -> None:
    for raised in (error, KafkaException(error)):
        assert type(meaning_of(raised, "committing")) is meaning


def test_the_text_says_what_failed_and_how() -> None:
    error = KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer from node 2"))

    assert str(meaning_of(error, "committing")) == "committing: no answer from node 2 (_TIMED_OUT)"


def test_an_exception_without_a_kafka_error_is_not_taken_for_harmless() -> None:
    assert type(meaning_of(KafkaException("closed"), "committing")) is Indefinite
