"""
Writing: records go to Kafka, and whoever sent them learns when every in-sync replica has them.

One librdkafka producer for the whole worker (``acks=all``, idempotent, explicit partitions) and one
thread that serves it. Records of one :meth:`Outbox.deliver` to one partition are appended in their
order.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Producer

from streams.errors import ConsentGateError, KafkaUnavailable, Retry, Stop
from streams.kafka.clients import opened
from streams.kafka.error_mapping import meaning_of
from streams.processors.agent import Headers
from streams.state.log_reader import Fetched

_POLL_SECONDS: Final = 0.1
_AT_ONCE: Final = 100
"""More records than this are handed over in a thread: an upload's 50,000 would hold up the loop."""
_QUEUE_FULL_SECONDS: Final = 0.05


class Written(NamedTuple):
    """A record by its topic's name on the cluster."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    def __repr__(self) -> str:
        return f"Written({self.topic}, partition {self.partition})"


class Outbox:
    """The worker's producer. :meth:`deliver` may be called by many tasks of one event loop."""

    def __init__(self, config: Mapping[str, object]) -> None:
        """``config`` is a librdkafka producer configuration; its ``message.timeout.ms`` bounds how
        long a delivery takes at most."""
        self._config = dict(config)
        self._serving = _Serving(self._config)

    async def deliver(self, records: Sequence[Written]) -> None:
        """
        Write these and return once all of them are acknowledged.

        Raises :class:`KafkaUnavailable` where some are not, and may or may not have been written;
        or the :class:`streams.errors.Stop` of what will never be taken. Cancelled, it leaves those
        under way to their fate.
        """
        if not records:
            return
        if self._serving.broken:
            # An idempotent producer that failed once may never write again.
            self._serving.retire()
            self._serving = _Serving(self._config)
        delivery = _Delivery(len(records))
        serving = self._serving
        if len(records) > _AT_ONCE:
            await asyncio.to_thread(serving.hand_over, records, delivery)
        else:
            serving.hand_over(records, delivery)
        await asyncio.wrap_future(delivery.done)

    def close(self) -> None:
        """Give up what was not acknowledged, and end the thread. Takes up to a second."""
        self._serving.retire()
        self._serving.join()


class _Delivery:
    """Counts what is still to be acknowledged. Its callbacks come on the serving thread."""

    def __init__(self, records: int) -> None:
        self.done: Future[None] = Future()
        self._left = records
        self._failure: KafkaError | None = None

    def acknowledged(self, error: KafkaError | None, _message: Fetched) -> bool:
        """Note one record's fate; true if it was not written."""
        self._failure = self._failure or error
        self._left -= 1
        if self._left == 0 and self.done.set_running_or_notify_cancel():
            if self._failure is None:
                self.done.set_result(None)
            else:
                self.done.set_exception(_meaning(self._failure))
        return error is not None

    def refused(self, error: KafkaException | BufferError) -> None:
        """Note that what is left was not even taken."""
        if not self.done.done() and self.done.set_running_or_notify_cancel():
            self.done.set_exception(
                _meaning(error)
                if isinstance(error, KafkaException)
                else KafkaUnavailable("The worker's producer takes no more records.")
            )


def _meaning(error: KafkaError | KafkaException) -> ConsentGateError:
    meaning = meaning_of(error, "writing the worker's records")
    if isinstance(meaning, Stop | Retry):
        return meaning
    # Whether it was written is not known; written again by another producer it changes nothing.
    return KafkaUnavailable(str(meaning))


class _Serving:
    """One producer and the thread that polls it, so that callbacks come at once."""

    def __init__(self, config: Mapping[str, object]) -> None:
        self._producer = opened(Producer, config)
        self.broken = False
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="worker-outbox", daemon=True)
        self._thread.start()

    def hand_over(self, records: Sequence[Written], delivery: _Delivery) -> None:
        """Give the records to the producer; waits only where its queue is full."""

        def delivered(error: KafkaError | None, message: Fetched) -> None:
            if delivery.acknowledged(error, message):
                self.broken = True

        for topic, partition, key, value, headers in records:
            if not self._produce(topic, partition, key, value, headers, delivered, delivery):
                return

    def _produce(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        delivered: Callable[[KafkaError | None, Fetched], None],
        delivery: _Delivery,
    ) -> bool:
        while True:
            try:
                self._producer.produce(
                    topic, value, key, partition, delivered, headers=list(headers)
                )
                return True
            except BufferError as error:
                if self._ending.wait(_QUEUE_FULL_SECONDS):
                    delivery.refused(error)
                    return False
            except KafkaException as error:
                self.broken = True
                delivery.refused(error)
                return False

    def retire(self) -> None:
        """Send nothing more; what is in flight fails by itself."""
        self._ending.set()

    def join(self) -> None:
        """Wait for the thread."""
        self._thread.join(2.0)

    def _poll(self) -> None:
        while not self._ending.is_set():
            self._producer.poll(_POLL_SECONDS)
        self._producer.purge()
        self._producer.flush(1.0)
