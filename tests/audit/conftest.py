"""Chained topics on the embedded Kafka, written as the gate writes them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from streams.audit.chain import body_hash, with_signature
from streams.broker.cluster import EmbeddedKafka
from streams.codec.codec import Codecs, RecordCodec, open_codecs
from streams.config import Settings
from streams.kafka.clients import admin_config, producer_config
from streams.records.decisions import LedgerRecord, PolicyArchived, SmsDecision
from streams.sealing.keyring import KeyRing, open_keyring
from streams.sealing.secrets_folder import init_secrets
from streams.topology import CONSENT_LEDGER, POLICIES, SMS_DECISIONS, Topic
from tests.audit.recorded_day import RecordedDay, policy_folder, record_a_day
from tests.gate.bed import Bed
from tests.leaders import until_led

PARTITIONS = 2


@dataclass
class GateLike:
    """Writes chained records in transactions, as the gate does, but whatever a test wants."""

    settings: Settings
    ring: KeyRing
    codecs: Codecs

    def __post_init__(self) -> None:
        self._producer = Producer(
            producer_config(self.settings, f"{self.settings.topic_prefix}gate-like")
        )
        self._producer.init_transactions(60)
        self._tails: dict[tuple[str, int], tuple[int, bytes]] = {}

    def decisions(self, partition: int, records: Sequence[SmsDecision]) -> list[SmsDecision]:
        """Chain, sign and commit these in one transaction."""
        return self._commit(SMS_DECISIONS, self.codecs.decisions, partition, records)

    def ledger(self, partition: int, records: Sequence[LedgerRecord]) -> list[LedgerRecord]:
        """Chain, sign and commit these in one transaction."""
        return self._commit(CONSENT_LEDGER, self.codecs.ledger, partition, records)

    def policy(self, archived: PolicyArchived) -> None:
        """Archive a policy."""
        key, value = archived.version.encode(), self.codecs.policies.encode(archived)
        self.raw(POLICIES, 0, key, value)

    def raw(self, topic: Topic, partition: int, key: bytes | None, value: bytes) -> None:
        """Commit these bytes, whatever they are."""
        self._producer.begin_transaction()
        self._put(topic, partition, key, value)
        self._producer.commit_transaction(60)

    def aborted(self, topic: Topic, partition: int, value: bytes) -> None:
        """Write these bytes and take them back."""
        self.left_open(topic, partition, value)
        self._producer.abort_transaction(60)

    def left_open(self, topic: Topic, partition: int, value: bytes) -> None:
        """Write these bytes and neither commit nor abort them."""
        self._producer.begin_transaction()
        self._put(topic, partition, None, value)
        self._producer.flush(60)

    def close(self) -> None:
        """Take back what is open."""
        try:
            self._producer.abort_transaction(60)
        except Exception:
            pass

    def _commit(
        self, topic: Topic, codec: RecordCodec[Any], partition: int, records: Sequence[Any]
    ) -> list[Any]:
        sequence, previous = self._tails.get((topic.name, partition), (0, b""))
        written = []
        self._producer.begin_transaction()
        for place, record in enumerate(records):
            chained = replace(record, sequence=sequence, previous=previous, signature=None)
            body = codec.encode_body(chained)
            sequence, previous = sequence + 1, body_hash(body)
            if place == len(records) - 1:
                signature = self.ring.signer.sign(previous)
                body = with_signature(body, signature)
                chained = replace(chained, signature=signature)
            self._put(topic, partition, chained.subject_id, codec.frame(body))
            written.append(chained)
        self._producer.commit_transaction(60)
        self._tails[topic.name, partition] = sequence, previous
        return written

    def _put(self, topic: Topic, partition: int, key: bytes | None, value: bytes) -> None:
        self._producer.produce(self.settings.names.of(topic), value, key, partition)


@pytest.fixture
def secrets_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    init_secrets(folder)
    return folder


@pytest.fixture
def settings(kafka: EmbeddedKafka, topic_prefix: str, secrets_dir: Path) -> Settings:
    settings = Settings.model_validate(
        {
            "bootstrap_servers": kafka.bootstrap_servers,
            "topic_prefix": topic_prefix,
            "partitions": PARTITIONS,
            "secrets_dir": secrets_dir,
        }
    )
    admin = AdminClient(admin_config(settings))
    topics = {
        settings.names.of(SMS_DECISIONS): PARTITIONS,
        settings.names.of(CONSENT_LEDGER): PARTITIONS,
        settings.names.of(POLICIES): 1,
    }
    created = admin.create_topics([NewTopic(name, count, 1) for name, count in topics.items()])
    for future in created.values():
        future.result(60)
    until_led(admin, topics)
    return settings


@pytest.fixture
def codecs() -> Codecs:
    return open_codecs()


@pytest.fixture
def gate(settings: Settings, secrets_dir: Path, codecs: Codecs) -> Iterator[GateLike]:
    gate = GateLike(settings, open_keyring(secrets_dir), codecs)
    yield gate
    gate.close()


@pytest.fixture(scope="package")
def recorded_day(kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> RecordedDay:
    """A real gate's day, recorded once for all tests that only read it."""
    folder = tmp_path_factory.mktemp("recorded-day")
    policy = policy_folder(folder / "policy")
    prefix = f"t{secrets.token_hex(3)}."
    return record_a_day(Bed(kafka.bootstrap_servers, prefix, folder, policy_dir=policy))
