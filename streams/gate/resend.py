"""
Re-sending: misplaced records go to where they belong, and stay there.

Not part of the gate's transaction: nobody reads ``consent.events`` behind a transaction, because an
open one would stall every gate. It is acknowledged *before* the transaction that passes the
original commits. A crash between the two sends it twice, which the fold does not mind.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from confluent_kafka import KafkaError, KafkaException, Producer

from streams.errors import KafkaUnavailable
from streams.gate.transaction import Output
from streams.kafka.clients import opened
from streams.state.log_reader import Fetched


class Resender:
    """A plain producer with ``acks=all``. Blocks until everything is acknowledged."""

    def __init__(self, config: Mapping[str, object], *, timeout_seconds: float) -> None:
        self._config = dict(config)
        self._producer = opened(Producer, self._config)
        self._timeout = timeout_seconds

    def send(self, records: Iterable[Output]) -> None:
        """
        Write these records; return when all in-sync replicas have them.

        Raises :class:`KafkaUnavailable` if one of them is not acknowledged in time; some may be.
        """
        failures: list[str] = []

        def delivered(error: KafkaError | None, _: Fetched) -> None:
            if error is not None:
                failures.append(error.name())

        sent = 0
        try:
            for topic, partition, key, value, headers in records:
                self._producer.produce(
                    topic, value, key, partition, delivered, headers=headers or []
                )
                sent += 1
        except (BufferError, KafkaException) as error:
            self._producer.purge()
            raise KafkaUnavailable("Misplaced records could not be re-sent.") from error
        if not sent:
            return
        deadline = time.monotonic() + self._timeout
        while self._producer.flush(max(0.1, deadline - time.monotonic())):
            if time.monotonic() >= deadline:
                self._producer.purge()
                self._producer.flush(1.0)
                failures.append("timed out")
                break
        if failures:
            # An idempotent producer that failed once may never write again.
            self._producer = opened(Producer, self._config)
            raise KafkaUnavailable(
                f"{len(failures)} misplaced records could not be re-sent ({failures[0]})."
            )
