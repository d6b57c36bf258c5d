"""
Dead letters: records that nobody can judge, with their bytes untouched.

What they say of themselves is in :mod:`streams.kafka.dead_letter_headers`.

What is too large to be written untouched (2 MiB) is left where it stands: its dead letter has no
key, no value and no own headers, and says so (``consent-gate-left-out``: how many bytes).
"""

from __future__ import annotations

from streams.errors import DeadLetter
from streams.gate.transaction import Output
from streams.kafka.bounds import DEAD_LETTER_MAX_BYTES
from streams.kafka.dead_letter_headers import LEFT_OUT_HEADER, headers_about
from streams.kafka.record_headers import headers_of
from streams.kafka.record_size import size_of
from streams.state.log_reader import Fetched


def dead_letter(
    message: Fetched, error: DeadLetter, *, topic: str, stage: str, group_id: str
) -> Output:
    """
    Return the record for ``topic`` that carries this message's key, value and own headers.

    It goes to the partition of the same number. ``stage`` says what was being done with it.
    """
    partition = message.partition() or 0
    about = headers_about(
        error,
        topic=message.topic(),
        partition=partition,
        offset=message.offset(),
        group_id=group_id,
        stage=stage,
        engine="streams.gate",
    )
    key, value, own = message.key(), message.value(), headers_of(message)
    size = size_of(key, value, own)
    if size > DEAD_LETTER_MAX_BYTES:
        return Output(topic, partition, None, None, [*about, (LEFT_OUT_HEADER, str(size))])
    return Output(topic, partition, key, value, [*own, *about])
