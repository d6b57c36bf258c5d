"""
What a dead letter says of itself, whichever engine put it aside.

The headers are Kafka Connect's (``org.apache.kafka.connect.runtime.errors
.DeadLetterQueueReporter``), so that the tools that people have read them. They name the record and
the class of the error, never its content.
"""

from __future__ import annotations

from typing import Final

from streams.errors import DeadLetter

_PREFIX: Final = "__connect.errors."
CAUSE_HEADER: Final = "consent-gate-cause"
LEFT_OUT_HEADER: Final = "consent-gate-left-out"
"""How many bytes a record had that was too large to be written untouched; they are left where they
stand, and the dead letter has no key, no value and no own headers."""


def headers_about(
    error: DeadLetter,
    *,
    topic: str | None,
    partition: int,
    offset: int | None,
    group_id: str,
    stage: str,
    engine: str,
) -> list[tuple[str, str | bytes | None]]:
    """Name the record, what was being done with it (``stage``) and why it is put aside."""
    return [
        (_PREFIX + "topic", topic),
        (_PREFIX + "partition", str(partition)),
        (_PREFIX + "offset", str(offset)),
        (_PREFIX + "connector.name", group_id),
        (_PREFIX + "task.id", str(partition)),
        (_PREFIX + "stage", stage),
        (_PREFIX + "class.name", engine),
        (_PREFIX + "exception.class.name", type(error).__name__),
        (_PREFIX + "exception.message", str(error)),
        (CAUSE_HEADER, error.cause),
    ]
