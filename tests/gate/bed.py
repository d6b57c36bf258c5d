"""A test's own installation on a real Kafka: topics, keys, a gate or two, and what they wrote."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from streams.codec.codec import Codecs, open_codecs
from streams.config import Settings
from streams.errors import KafkaUnavailable
from streams.gate.assembly import assembled
from streams.gate.gate import Gate
from streams.gate.topics import GateTopics
from streams.kafka.clients import admin_config, producer_config, reader_config
from streams.kafka.placement import partition_of
from streams.kafka.topics import apply
from streams.records.decisions import LedgerRecord, QuarantinedSms, SmsDecision
from streams.records.events import ConsentEvent
from streams.records.requests import SmsRequested
from streams.resources import data_dir
from streams.sealing.keyring import KeyRing, open_keyring
from streams.sealing.secrets_folder import init_secrets
from streams.state.log_reader import Fetched
from streams.telemetry.health import Health
from streams.telemetry.telemetry import Telemetry

Record = Fetched
T = TypeVar("T")

PLAIN_POLICY = data_dir("policies") / "plain"
"""
What a test's gate decides by if it says no other: one for everybody, without quiet hours, so that
no outcome depends on the time of day at which the test runs.
"""

QUICK_TAKEOVER: Mapping[str, object] = {
    "transaction_timeout_ms": 4_000,
    "session_timeout_ms": 6_000,
}
"""Settings with which a gate that was killed is not waited for long."""


def now_ms() -> int:
    """The clock that Kafka's append times are compared with."""
    return int(time.time() * 1000)


PATIENCE = 60
"""Seconds for what takes one or two on a quiet machine: a failure takes that long to be told."""


def wait_for(condition: Callable[[], object], seconds: float = PATIENCE, what: str = "") -> None:
    """Wait until ``condition`` is true; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain {what}"
        time.sleep(0.02)


class Bed:
    """Topics, keys and clients of one test."""

    def __init__(
        self, bootstrap_servers: str, prefix: str, folder: Path, **changes: object
    ) -> None:
        self.folder = folder
        secrets = folder / "secrets"
        init_secrets(secrets)
        values: dict[str, object] = {
            "bootstrap_servers": bootstrap_servers,
            "topic_prefix": prefix,
            "partitions": 2,
            "state_dir": folder / "state",
            "secrets_dir": secrets,
            "policy_dir": PLAIN_POLICY,
            "http_port": 0,
            **changes,
        }
        self.settings = Settings.model_validate(values)
        self.topics = GateTopics.of(self.settings.names)
        self.codecs: Codecs = open_codecs()
        self.keyring: KeyRing = open_keyring(secrets)
        self.admin = AdminClient(admin_config(self.settings))
        patiently(lambda: apply(self.settings, self.admin))
        self.producer = Producer(producer_config(self.settings))
        self._running: list[RunningGate] = []

    # ------------------------------------------------------------------------------------- writing

    def partition(self, key: str) -> int:
        """Where this number's records belong."""
        return partition_of(key.encode(), self.settings.partitions)

    def write(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None = None,
        headers: list[tuple[str, str | bytes | None]] | None = None,
    ) -> None:
        """Produce one record; :meth:`flush` waits for all."""
        where = {} if partition is None else {"partition": partition}
        self.producer.produce(topic, value, key, headers=headers or [], **where)
        self.producer.poll(0)

    def flush(self) -> None:
        """Wait until everything written is acknowledged."""
        assert self.producer.flush(PATIENCE) == 0

    def request(self, request: SmsRequested) -> None:
        """Ask for one SMS."""
        value = self.codecs.requests.encode(request)
        self.write(self.topics.requests, request.recipient.encode(), value)

    def consent(self, event: ConsentEvent) -> None:
        """Append one consent event."""
        value = self.codecs.consent_events.encode(event)
        self.write(self.topics.consent, event.subject.encode(), value)

    # ------------------------------------------------------------------------------------- reading

    def read(self, topic: str) -> list[Record]:
        """Everything committed in a topic now, partition by partition, in offset order."""
        consumer = Consumer(reader_config(self.settings))
        try:
            found = patiently(lambda: consumer.list_topics(topic, timeout=10))
            metadata = found.topics[topic]
            waiting = {}
            for number in metadata.partitions:
                low, high = extent(consumer, TopicPartition(topic, number))
                if high > low:
                    waiting[number] = high
            consumer.assign([TopicPartition(topic, number, 0) for number in waiting])
            records: list[Record] = []
            deadline = time.monotonic() + PATIENCE
            while waiting:
                assert time.monotonic() < deadline, f"{topic} could not be read to its end"
                for message in consumer.consume(1000, 0.1):
                    error = message.error()
                    number = message.partition() or 0
                    if error is None:
                        records.append(message)
                    else:
                        assert error.code() == KafkaError._PARTITION_EOF, error
                        if (message.offset() or 0) >= waiting.get(number, 0):
                            waiting.pop(number, None)
            return sorted(records, key=lambda m: (m.partition() or 0, m.offset() or 0))
        finally:
            consumer.close()

    def decisions(self) -> list[SmsDecision]:
        """Every committed decision."""
        return [self.codecs.decisions.decode(m.value()) for m in self.read(self.topics.decisions)]

    def ledger(self) -> list[LedgerRecord]:
        """Every committed ledger record."""
        return [self.codecs.ledger.decode(m.value()) for m in self.read(self.topics.ledger)]

    def held(self) -> list[QuarantinedSms]:
        """Every committed hold."""
        found = self.read(self.topics.quarantined)
        return [self.codecs.quarantined.decode(m.value()) for m in found if m.value()]

    def allowed(self) -> list[SmsRequested]:
        """Every request that was passed on."""
        return [self.codecs.requests.decode(m.value()) for m in self.read(self.topics.allowed)]

    def decided(self, count: int, seconds: float = PATIENCE) -> dict[str, SmsDecision]:
        """Wait for this many decisions; return the last of each request id."""
        found: list[SmsDecision] = []

        def enough() -> bool:
            found[:] = self.decisions()
            for running in self._running:
                if running.error is not None:
                    raise running.error
            return len(found) >= count

        wait_for(enough, seconds, f"for {count} decisions")
        return {decision.request_id: decision for decision in found}

    # --------------------------------------------------------------------------------------- gates

    @contextmanager
    def gate(self, instance_id: str = "gate-1", **changes: object) -> Iterator[RunningGate]:
        """
        Run a gate in a thread until the block ends. Its failure fails the test.

        So does a Kafka that does not answer at its start: a gate itself would wait for ever.
        """
        settings = self.settings.model_copy(update={"instance_id": instance_id, **changes})
        telemetry = Telemetry()
        health = Health(telemetry)
        start_until = time.monotonic() + PATIENCE
        with assembled(
            settings, telemetry, health, stopping=lambda: time.monotonic() > start_until
        ) as gate:
            running = RunningGate(gate, telemetry, health)
            self._running.append(running)
            running.thread.start()
            try:
                yield running
            finally:
                gate.stop()
                running.thread.join(PATIENCE)
                self._running.remove(running)
                assert not running.thread.is_alive(), "the gate did not stop"
        if running.error is not None:
            raise running.error

    @contextmanager
    def ready_gate(self, instance_id: str = "gate-1", **changes: object) -> Iterator[RunningGate]:
        """The same, from the moment it is ready."""
        with self.gate(instance_id, **changes) as running:
            running.until_ready()
            yield running


class InThread:
    """A gate or a worker in a thread of the test: what it tells, and what ended it."""

    def __init__(self, run: Callable[[], None], telemetry: Telemetry, health: Health) -> None:
        self.telemetry = telemetry
        self.health = health
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._keep_error, args=(run,), daemon=True)

    def _keep_error(self, run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as error:  # the test's thread raises it again
            self.error = error

    def until(
        self, condition: Callable[[], object], seconds: float = PATIENCE, what: str = ""
    ) -> None:
        """Wait for it, and raise what ended the thread if something did."""

        def held() -> object:
            if self.error is not None:
                raise self.error
            return condition()

        wait_for(held, seconds, what)

    def until_ready(self, seconds: float = PATIENCE) -> None:
        """Wait until every condition of being ready holds."""
        what = f"for it to be ready: {self.health.readyz()}"
        self.until(lambda: self.health.readyz().ready, seconds, what)


class RunningGate(InThread):
    """A gate in its thread."""

    def __init__(self, gate: Gate, telemetry: Telemetry, health: Health) -> None:
        super().__init__(gate.run, telemetry, health)
        self.gate = gate


def extent(consumer: Consumer, at: TopicPartition, seconds: float = PATIENCE) -> tuple[int, int]:
    """Return a partition's first offset and its next."""
    low, high = patiently(lambda: consumer.get_watermark_offsets(at, 10), seconds)
    return low, high


def patiently(ask: Callable[[], T], seconds: float = PATIENCE) -> T:
    """Ask Kafka until it answers: a leader that was just elected, or is slow, is asked again."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except (KafkaException, KafkaUnavailable):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def by_partition(records: Iterable[Record]) -> Mapping[int, list[Record]]:
    """Records by their partition, in offset order."""
    found: dict[int, list[Record]] = {}
    for record in records:
        found.setdefault(record.partition() or 0, []).append(record)
    return found
