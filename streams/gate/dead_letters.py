"""
Dead letters: records that nobody can judge, with their bytes untouched.

The headers are Kafka Connect's (``org.apache.kafka.connect.runtime.errors
.DeadLetterQueueReporter``), so that the tools that people have read them. They name the record and
the class of the error, never its content.
"""

from __future__ import annotations

from typing import cast

from streams.errors import DeadLetter
from streams.gate.transaction import Headers, Output
from streams.state.log_reader import Fetched

_PREFIX = "__connect.errors."
CAUSE_HEADER = "consent-gate-cause"


def headers_of(message: Fetched) -> Headers:
    """The record's own headers, as they can be written again."""
    return cast(Headers, message.headers() or [])


def dead_letter(
    message: Fetched, error: DeadLetter, *, topic: str, stage: str, group_id: str
) -> Output:
    """
    Return the record for ``topic`` that carries this message's key, value and own headers.

    It goes to the partition of the same number. ``stage`` says what was being done with it.
    """
    partition = message.partition() or 0
    about: list[tuple[str, str | bytes | None]] = [
        (_PREFIX + "topic", message.topic()),
        (_PREFIX + "partition", str(partition)),
        (_PREFIX + "offset", str(message.offset())),
        (_PREFIX + "connector.name", group_id),
        (_PREFIX + "task.id", str(partition)),
        (_PREFIX + "stage", stage),
        (_PREFIX + "class.name", "streams.gate"),
        (_PREFIX + "exception.class.name", type(error).__name__),
        (_PREFIX + "exception.message", str(error)),
        (CAUSE_HEADER, error.cause),
    ]
    headers = [*headers_of(message), *about]
    return Output(topic, partition, message.key(), message.value(), headers)
