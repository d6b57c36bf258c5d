"""
The worker's dead letters: like the gate's, with stage ``worker``.

They have the headers of what the gate puts aside (:mod:`streams.kafka.dead_letter_headers`): one
tool reads both. Key, value and own headers are untouched. What is too large for that is left where
it stands.
"""

from __future__ import annotations

from typing import Final

from streams.errors import DeadLetter
from streams.kafka.dead_letter_headers import LEFT_OUT_HEADER, headers_about
from streams.kafka.record_size import size_of
from streams.processors.message import Message
from streams.processors.outbox import Written
from streams.topology import OUTPUT_MAX_BYTES

STAGE: Final = "worker"
LARGEST_BYTES: Final = OUTPUT_MAX_BYTES - 64 * 1024
"""What ``dead-letters`` takes, with room for these headers. Uploads may be larger: compressed, they
fit their topic."""


def dead_letter(message: Message, error: DeadLetter, *, topic: str, group_id: str) -> Written:
    """Return the record for ``topic`` that carries this message; its partition is the same."""
    about = headers_about(
        error,
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        group_id=group_id,
        stage=STAGE,
        engine="streams.processors",
    )
    size = size_of(message.key, message.value, message.headers)
    if size > LARGEST_BYTES:
        about.append((LEFT_OUT_HEADER, str(size)))
        return Written(topic, message.partition, None, None, about)
    return Written(topic, message.partition, message.key, message.value, [*message.headers, *about])
