"""
The worker's dead letters: like the gate's, with stage ``worker``.

The headers are Kafka Connect's (``org.apache.kafka.connect.runtime.errors
.DeadLetterQueueReporter``), as on what the gate puts aside: one tool reads both. Key, value and own
headers are untouched. What is too large to be written untouched is left where it stands.
"""

from __future__ import annotations

from typing import Final

from streams.errors import DeadLetter
from streams.processors.agent import Headers
from streams.processors.message import Message
from streams.processors.outbox import Written
from streams.topology import OUTPUT_MAX_BYTES

STAGE: Final = "worker"
LARGEST_BYTES: Final = OUTPUT_MAX_BYTES - 64 * 1024
"""What ``dead-letters`` takes, with room for these headers. Uploads may be larger: compressed, they
fit their topic."""

_PREFIX: Final = "__connect.errors."
_CAUSE: Final = "consent-gate-cause"
_LEFT_OUT: Final = "consent-gate-left-out"


def dead_letter(message: Message, error: DeadLetter, *, topic: str, group_id: str) -> Written:
    """Return the record for ``topic`` that carries this message; its partition is the same."""
    partition = str(message.partition)
    about: list[tuple[str, bytes | str | None]] = [
        (_PREFIX + "topic", message.topic),
        (_PREFIX + "partition", partition),
        (_PREFIX + "offset", str(message.offset)),
        (_PREFIX + "connector.name", group_id),
        (_PREFIX + "task.id", partition),
        (_PREFIX + "stage", STAGE),
        (_PREFIX + "class.name", "streams.processors"),
        (_PREFIX + "exception.class.name", type(error).__name__),
        (_PREFIX + "exception.message", str(error)),
        (_CAUSE, error.cause),
    ]
    size = size_of(message.key, message.value, message.headers)
    if size > LARGEST_BYTES:
        about.append((_LEFT_OUT, str(size)))
        return Written(topic, message.partition, None, None, about)
    return Written(topic, message.partition, message.key, message.value, [*message.headers, *about])


def size_of(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """Return how many bytes a record has before compression, framing left out."""
    named = sum(len(name) + len(said or b"") for name, said in headers)
    return len(key or b"") + len(value or b"") + named
