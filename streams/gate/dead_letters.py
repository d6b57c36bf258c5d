"""
Dead letters: records that nobody can judge, with their bytes untouched.

The headers are Kafka Connect's (``org.apache.kafka.connect.runtime.errors
.DeadLetterQueueReporter``), so that the tools that people have read them. They name the record and
the class of the error, never its content.

What is too large to be written untouched (2 MiB) is left where it stands: its dead letter has no
key, no value and no own headers, and says so (``consent-gate-left-out``: how many bytes).
"""

from __future__ import annotations

from operator import methodcaller
from typing import cast

from streams.errors import DeadLetter
from streams.gate.bounds import DEAD_LETTER_MAX_BYTES, size_of
from streams.gate.transaction import Headers, Output
from streams.state.log_reader import Fetched

_PREFIX = "__connect.errors."
CAUSE_HEADER = "consent-gate-cause"
LEFT_OUT_HEADER = "consent-gate-left-out"

_headers_checked = methodcaller("headers")
"""Not ``message.headers()``: once that line is hot CPython (3.11) calls the C function without
looking whether it failed, so that no SystemError is raised."""


def headers_of(message: Fetched) -> Headers:
    """
    The record's own headers, as they can be written again.

    None where a header's name is not UTF-8: confluent-kafka (2.16) cannot read such headers. It
    leaves half-made tuples behind, which end the process when they are touched, and are therefore
    replaced.
    """
    try:
        headers = _headers_checked(message)
    except SystemError:
        headers = []
        message.set_headers(headers)
    return cast(Headers, headers or [])


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
    key, value, own = message.key(), message.value(), headers_of(message)
    size = size_of(key, value, own)
    if size > DEAD_LETTER_MAX_BYTES:
        return Output(topic, partition, None, None, [*about, (LEFT_OUT_HEADER, str(size))])
    return Output(topic, partition, key, value, [*own, *about])
