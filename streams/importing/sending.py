"""Consent events into ``consent.events``, each to the partition of its number, and acknowledged."""

from __future__ import annotations

import time
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streams.codec.codec import Codecs
from streams.config import Settings
from streams.errors import KafkaUnavailable, TopicsUnfit
from streams.kafka.clients import opened, producer_config
from streams.kafka.error_mapping import meaning_of
from streams.kafka.placement import partition_of
from streams.records.events import ConsentEvent
from streams.topology import CONSENT_EVENTS

_ANSWER_WITHIN_SECONDS: Final = 15.0


class Sending:
    """
    Sends events; for one thread. What :meth:`settle` returned from is on all replicas in sync.

    ``destination`` names the topic and its cluster. Making one blocks for the cluster's answer, and
    raises :class:`KafkaUnavailable`, :class:`TopicsUnfit` or :class:`ConfigError`.
    """

    def __init__(self, settings: Settings, codecs: Codecs) -> None:
        self._topic = settings.names.of(CONSENT_EVENTS)
        self._encode = codecs.consent_events.encode
        self._settle_seconds = settings.transaction_timeout_ms / 1_000 + 5
        self._producer = opened(Producer, producer_config(settings))
        self._sent = 0
        self._acknowledged = 0
        self._failure: KafkaError | None = None
        doing = f"asking for the partitions of {self._topic}"
        try:
            cluster = self._producer.list_topics(self._topic, _ANSWER_WITHIN_SECONDS)
        except KafkaException as error:
            raise meaning_of(error, doing) from error
        found = cluster.topics[self._topic]
        if found.error is not None:
            raise meaning_of(found.error, doing)
        self._partitions = len(found.partitions)
        if not self._partitions:
            raise TopicsUnfit(f"{doing}: it has none. Run `consent-gate topics check`.")
        self.destination: Final = f"{self._topic} on {cluster.cluster_id}"

    def send(self, event: ConsentEvent) -> None:
        """Hand an event over. Blocks only while librdkafka's queue is full."""
        key = event.subject.encode()
        value = self._encode(event)
        partition = partition_of(key, self._partitions)
        while True:
            try:
                self._producer.produce(
                    self._topic, value, key, partition=partition, on_delivery=self._delivered
                )
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                raise meaning_of(error, f"writing to {self._topic}") from error
            else:
                break
        self._sent += 1
        self._producer.poll(0)

    def wait(self, seconds: float) -> None:
        """Let time pass, and take in what Kafka acknowledges meanwhile."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._producer.poll(left)

    def settle(self) -> None:
        """
        Wait until Kafka has acknowledged everything. Blocks at most some transaction time-outs.

        Raises what the first failure means, and says how many events are not acknowledged: some of
        them may be in the topic all the same.
        """
        left = self._producer.flush(self._settle_seconds)
        unacknowledged = self._sent - self._acknowledged
        if not unacknowledged:
            return
        # What is still on its way is given up: the process must end.
        self._producer.purge()
        doing = f"writing to {self._topic}: {unacknowledged} events are not acknowledged"
        cause = self._failure or KafkaError(KafkaError._TIMED_OUT)
        raise meaning_of(cause, doing) if not left or self._failure else KafkaUnavailable(doing)

    @property
    def unacknowledged(self) -> int:
        """How many events were handed over and not acknowledged."""
        return self._sent - self._acknowledged

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self._acknowledged += 1
        elif self._failure is None:
            self._failure = error


class NotSending:
    """In place of :class:`Sending` for a dry run: nothing goes anywhere."""

    destination: Final = "nowhere"
    unacknowledged: Final = 0

    def send(self, event: ConsentEvent) -> None:
        pass

    def wait(self, seconds: float) -> None:
        pass

    def settle(self) -> None:
        pass


Sends = Sending | NotSending
