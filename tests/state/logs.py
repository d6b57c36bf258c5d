"""Topics to read on the embedded Kafka, and their writers."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from streams.broker.cluster import EmbeddedKafka
from streams.config import Settings
from streams.kafka.clients import admin_config, producer_config, reader_config
from streams.state.log_reader import At, LogReader
from tests.leaders import until_led


class Logs:
    """New topics of two partitions each, plain and transactional writers, and readers."""

    def __init__(self, kafka: EmbeddedKafka) -> None:
        self._settings = Settings(bootstrap_servers=kafka.bootstrap_servers)
        self._plain = Producer(producer_config(self._settings))
        self._writers: list[Transactions] = []
        self._readers: list[LogReader] = []
        self.admin = AdminClient(admin_config(self._settings))

    def topic(self) -> str:
        name = f"log-{secrets.token_hex(4)}"
        for created in self.admin.create_topics([NewTopic(name, 2, 1)]).values():
            created.result(60)
        until_led(self.admin, {name: 2})
        return name

    def append(self, at: At, *values: bytes | None, key: bytes | None = None) -> None:
        for value in values:
            self._plain.produce(at.topic, value, key, at.partition)
        assert self._plain.flush(60) == 0

    def transactions(self) -> Transactions:
        writer = Transactions(producer_config(self._settings, secrets.token_hex(4)))
        self._writers.append(writer)
        return writer

    def reader(self) -> LogReader:
        reader = LogReader(reader_config(self._settings))
        self._readers.append(reader)
        return reader

    def close(self) -> None:
        for reader in self._readers:
            reader.close()
        for writer in self._writers:
            writer.close()


class Transactions:
    """Writes in transactions, one open at a time."""

    def __init__(self, config: dict[str, object]) -> None:
        self._producer = Producer(config)
        self._producer.init_transactions(60)
        self._open = False

    def write(self, at: At, *values: bytes | None, key: bytes | None = None) -> None:
        """Append to the open transaction, beginning one if there is none."""
        if not self._open:
            self._producer.begin_transaction()
            self._open = True
        for value in values:
            self._producer.produce(at.topic, value, key, at.partition)
        assert self._producer.flush(60) == 0

    def commit(self) -> None:
        self._producer.commit_transaction(60)
        self._open = False

    def abort(self) -> None:
        self._producer.abort_transaction(60)
        self._open = False

    def close(self) -> None:
        if self._open:
            self.abort()


def fetch_until(reader: LogReader, condition: Callable[[], object], seconds: float = 60) -> None:
    """Fetch until the condition holds; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"fetched {seconds} s in vain"
        reader.fetch(0.05)


def values(messages: list) -> list[bytes | None]:
    return [message.value() for message in messages]
