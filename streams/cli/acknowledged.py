"""Writing one record from a command: it counts once every replica in sync has it."""

from __future__ import annotations

from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streams.kafka.error_mapping import meaning_of
from streams.kafka.record_headers import Headers

ACKNOWLEDGED_WITHIN_SECONDS: Final = 15.0


def send(
    producer: Producer,
    topic: str,
    partition: int,
    key: bytes,
    value: bytes | None,
    headers: Headers,
) -> None:
    """
    Send one record and wait until it is acknowledged.

    ``topic`` is its name on the cluster. Raises what the failure means: a ``Retry`` where Kafka
    does not answer, a ``Stop`` where it refuses. It may have been written all the same.
    """
    failures: list[KafkaError] = []

    def note(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failures.append(error)

    doing = f"writing to {topic} partition {partition}"
    try:
        producer.produce(topic, value, key, partition=partition, headers=headers, on_delivery=note)
        left = producer.flush(ACKNOWLEDGED_WITHIN_SECONDS)
    except KafkaException as error:
        raise meaning_of(error, doing) from error
    if failures:
        raise meaning_of(failures[0], doing)
    if left:
        raise meaning_of(KafkaError(KafkaError._TIMED_OUT), doing)
