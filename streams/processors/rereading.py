"""
Reading single records of a topic once more, by their offsets.

What an agent must not keep, a number above all, it need not keep where the record that has it is
kept anyway: its offset is enough.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

from confluent_kafka import KafkaError

from streams.config import Settings
from streams.errors import KafkaUnavailable
from streams.kafka.clients import reader_config
from streams.state.log_reader import At, LogReader
from streams.topology import Topic

ANSWER_SECONDS: Final = 10.0
"""For each record. Longer only keeps what waits behind the agent's timer waiting."""

_LITTLE: Final = {"queued.min.messages": 1, "fetch.message.max.bytes": 64 * 1024}
"""A record here and there: without this librdkafka fetches a megabyte behind each."""

_GONE: Final = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE})


def reread(
    settings: Settings, topic: Topic, partition: int, offsets: Iterable[int]
) -> dict[int, bytes]:
    """
    Return the values of these records by offset; those that are gone, or were empty, are left out.

    Opens a client and closes it: for what is done now and then. Blocks. Raises
    :class:`KafkaUnavailable` where one cannot be read now.
    """
    at = At(settings.names.of(topic), partition)
    found: dict[int, bytes] = {}
    reader = LogReader({**reader_config(settings), **_LITTLE})
    started = False
    try:
        for offset in sorted(set(offsets)):
            if not started or offset > reader.next_fetch(at):
                reader.start({at: offset})
                started = True
            if _has_come(reader, at, offset):
                for message in reader.take_below(at, offset + 1):
                    value = message.value()
                    if message.offset() == offset and value is not None:
                        found[offset] = value
            else:
                started = False
    finally:
        reader.close()
    return found


def _has_come(reader: LogReader, at: At, offset: int) -> bool:
    """Wait for a record; false if it is gone."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while not reader.reached(at, offset + 1):
        fault = reader.fault(at)
        if fault is not None and fault.code() in _GONE:
            return False
        if fault is not None or time.monotonic() > deadline:
            raise KafkaUnavailable(f"A record of partition {at.partition} cannot be read again.")
        reader.fetch(0.1)
    return True
