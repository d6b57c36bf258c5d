"""Asking a running gate one thing after the other, and waiting for just that answer."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from confluent_kafka import Consumer, TopicPartition

from streams.kafka.clients import reader_config
from streams.records.decisions import SmsDecision
from streams.testing.records import an_sms_requested
from tests.gate.bed import PATIENCE, Bed, Record, RunningGate, patiently

T = TypeVar("T")


class Following:
    """Everything committed in a topic, read on as it grows."""

    def __init__(self, bed: Bed, running: RunningGate, topic: str) -> None:
        self._running = running
        self._topic = topic
        self._consumer = Consumer({**reader_config(bed.settings), "fetch.wait.max.ms": 20})
        found = patiently(lambda: self._consumer.list_topics(topic, timeout=10))
        partitions = found.topics[topic].partitions
        self._consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        self.records: list[Record] = []

    def until(self, wanted: Callable[[Record], T | None], seconds: float = PATIENCE) -> T:
        """Return what ``wanted`` makes of the first record for which it is not None."""
        deadline = time.monotonic() + seconds
        seen = 0
        while True:
            for record in self.records[seen:]:
                found = wanted(record)
                if found is not None:
                    return found
            seen = len(self.records)
            if self._running.error is not None:
                raise self._running.error
            assert time.monotonic() < deadline, f"nothing like it came to {self._topic}"
            self.records += [m for m in self._consumer.consume(1, 0.05) if m.error() is None]
            self.records += [m for m in self._consumer.consume(1000, 0) if m.error() is None]

    def close(self) -> None:
        self._consumer.close()


class Asking:
    """A gate that is asked for messages one by one."""

    def __init__(self, bed: Bed, running: RunningGate) -> None:
        self.bed = bed
        self.running = running
        self._decisions = Following(bed, running, bed.topics.decisions)
        self._numbers = itertools.count()

    def ask(
        self,
        recipient: str,
        *,
        headers: Sequence[tuple[str, str | bytes | None]] = (),
        **changes: Any,
    ) -> SmsDecision:
        """Ask for a message to this person and return what was decided."""
        request_id = f"asked {next(self._numbers)}"
        wanted = {"request_id": request_id, "recipient": recipient, "valid_until": None, **changes}
        value = self.bed.codecs.requests.encode(an_sms_requested(**wanted))
        self.bed.write(self.bed.topics.requests, recipient.encode(), value, headers=[*headers])
        self.bed.flush()

        def answer(record: Record) -> SmsDecision | None:
            decision = self.bed.codecs.decisions.decode(record.value())
            return decision if decision.request_id == request_id else None

        return self._decisions.until(answer)

    def close(self) -> None:
        self._decisions.close()
