"""`consent-gate subjects list|resolve`, on a real Kafka."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Message, Producer
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner, Result

from streams.audit.topic_log import TopicLog
from streams.broker.cluster import EmbeddedKafka
from streams.cli.main import app
from streams.codec.codec import open_codecs
from streams.config import Settings
from streams.kafka.clients import admin_config, opened, producer_config
from streams.kafka.placement import partition_of
from streams.kafka.topics import apply
from streams.records.events import ConsentEvent, ConsentKind, Source
from streams.records.subject import OLDER_UNDECODABLE, SubjectState
from streams.sealing.keyring import open_keyring
from streams.sealing.secrets_folder import init_secrets
from streams.sealing.signatures import Statement
from streams.state.arrivals import RESOLVED_HEADER, RESOLVES_ALL, RESOLVES_HEADER, signed_of
from streams.topology import CONSENT_EVENTS, SUBJECTS_STATE, Topic

pytestmark = pytest.mark.kafka

PARTITIONS = 2
NUMBER = b"+4915112345678"
HERE = partition_of(NUMBER, PARTITIONS)
GARBAGE = b"\xff\xfenot Avro"

Invoke = Callable[..., Result]


@pytest.fixture
def settings(kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path) -> Settings:
    """A cluster with all topics, and keys of an installation's own."""
    made = Settings(
        bootstrap_servers=kafka.bootstrap_servers,
        topic_prefix=topic_prefix,
        partitions=PARTITIONS,
        secrets_dir=tmp_path / "secrets",
    )
    init_secrets(made.secrets_dir)
    apply(made, opened(AdminClient, admin_config(made)))
    return made


@pytest.fixture
def invoke(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run `consent-gate subjects …` on that cluster."""
    for name in ("bootstrap_servers", "topic_prefix", "secrets_dir"):
        monkeypatch.setenv(f"CONSENT_GATE_{name.upper()}", str(getattr(settings, name)))

    def invoked(*args: str, answer: str | None = None) -> Result:
        return CliRunner().invoke(app, ["subjects", *args], input=answer)

    return invoked


def write(
    settings: Settings, topic: Topic, partition: int, key: bytes | None, value: bytes | None
) -> None:
    producer = opened(Producer, producer_config(settings))
    producer.produce(settings.names.of(topic), value, key, partition=partition)
    assert producer.flush(60) == 0


def events(settings: Settings) -> list[Message]:
    """All consent events of the number's partition."""
    with TopicLog(settings) as log:
        extent = log.extent(CONSENT_EVENTS, HERE)
        return list(log.read(CONSENT_EVENTS, HERE, extent.start, extent.end))


def test_who_is_held_is_listed_by_the_newest_state(settings: Settings, invoke: Invoke) -> None:
    states = open_codecs().subject_states
    held, freed = bytes(15) + b"\x01", bytes(15) + b"\x02"
    for state in (
        SubjectState(held, undecodable=(7,)),
        SubjectState(held, undecodable=(7, 9)),
        SubjectState(freed, undecodable=(8,)),
        SubjectState(freed),
    ):
        write(settings, SUBJECTS_STATE, 1, state.subject_id, states.encode(state))

    listed = json.loads(invoke("list", "--json").stdout)

    assert listed == [{"subject_id": held.hex(), "events": ["1-7", "1-9"], "older": False}]


def test_nobody_held_is_said_so(invoke: Invoke) -> None:
    assert invoke("list").stdout == "Nobody is held.\n"


def test_a_resolution_is_a_signed_record_of_the_subject(settings: Settings, invoke: Invoke) -> None:
    write(settings, CONSENT_EVENTS, HERE, NUMBER, GARBAGE)

    result = invoke("resolve", f"{HERE}-0", "--yes")

    assert result.exit_code == 0, result.output
    assert NUMBER.decode() not in result.output
    _, written = events(settings)
    assert (written.key(), written.value()) == (NUMBER, None)
    headers = dict(written.headers() or [])
    assert headers[RESOLVES_HEADER] == b"0"
    verifier = open_keyring(settings.secrets_dir).verifier
    said = signed_of(NUMBER, b"0")
    assert verifier.verify_header(Statement.RESOLVED, said, headers[RESOLVED_HEADER]) is not None


def test_an_event_that_can_be_read_by_now_is_sent_again_first(
    settings: Settings, invoke: Invoke
) -> None:
    event = ConsentEvent(
        event_id="e1",
        subject=NUMBER.decode(),
        kind=ConsentKind.WITHDRAWN,
        occurred_at=0,
        source=Source.SELF_SERVICE,
    )
    value = open_codecs().consent_events.encode(event)
    write(settings, CONSENT_EVENTS, HERE, NUMBER, value)

    invoke("resolve", f"{HERE}-0", "--yes")

    assert [each.value() for each in events(settings)] == [value, value, None]


def test_who_says_no_changes_nothing(settings: Settings, invoke: Invoke) -> None:
    write(settings, CONSENT_EVENTS, HERE, NUMBER, GARBAGE)

    result = invoke("resolve", f"{HERE}-0", answer="n\n")

    assert result.exit_code == 1
    assert len(events(settings)) == 1


@pytest.mark.parametrize("key", [None, b"nobody"])
def test_an_event_without_a_number_holds_nobody(
    settings: Settings, invoke: Invoke, key: bytes | None
) -> None:
    write(settings, CONSENT_EVENTS, HERE, key, GARBAGE)

    assert "holds nobody" in str(invoke("resolve", f"{HERE}-0", "--yes").exception)


def test_an_offset_that_is_not_there_yet_is_refused(invoke: Invoke) -> None:
    assert "no offset 5" in str(invoke("resolve", "0-5", "--yes").exception)


def test_all_events_of_a_person_are_resolved_and_what_can_be_read_is_sent_again_first(
    settings: Settings, invoke: Invoke
) -> None:
    codecs, keyring = open_codecs(), open_keyring(settings.secrets_dir)
    event = ConsentEvent(
        event_id="e1",
        subject=NUMBER.decode(),
        kind=ConsentKind.WITHDRAWN,
        occurred_at=0,
        source=Source.SELF_SERVICE,
    )
    readable = codecs.consent_events.encode(event)
    for value in (GARBAGE, readable, GARBAGE):
        write(settings, CONSENT_EVENTS, HERE, NUMBER, value)
    state = SubjectState(
        keyring.subject_ids.of(NUMBER.decode()), undecodable=(OLDER_UNDECODABLE, 0, 1)
    )
    write(settings, SUBJECTS_STATE, HERE, state.subject_id, codecs.subject_states.encode(state))

    result = invoke("resolve", f"{HERE}-0", "--all", "--yes")

    assert result.exit_code == 0, result.output
    written = events(settings)[3:]
    assert [each.value() for each in written] == [readable, None]
    headers = dict(written[-1].headers() or [])
    assert headers[RESOLVES_HEADER] == RESOLVES_ALL
    said = signed_of(NUMBER, RESOLVES_ALL)
    statement = headers[RESOLVED_HEADER]
    assert keyring.verifier.verify_header(Statement.RESOLVED, said, statement) is not None


def test_all_of_a_person_whose_events_are_gone_asks_for_the_number(
    settings: Settings, invoke: Invoke
) -> None:
    result = invoke("resolve", "--all", "--yes", answer=f"{NUMBER.decode()}\n")

    assert result.exit_code == 0, result.output
    assert NUMBER.decode() not in result.output
    [written] = events(settings)
    assert (written.key(), written.value()) == (NUMBER, None)
    assert dict(written.headers() or [])[RESOLVES_HEADER] == RESOLVES_ALL


def test_without_an_event_only_all_can_be_resolved(invoke: Invoke) -> None:
    assert invoke("resolve").exit_code == 2
    assert "no E.164 number" in str(invoke("resolve", "--all", answer="nobody\n").exception)


def test_events_that_are_not_named_any_more_are_listed_as_older(
    settings: Settings, invoke: Invoke
) -> None:
    state = SubjectState(bytes(16), undecodable=(OLDER_UNDECODABLE, 7))
    write(settings, SUBJECTS_STATE, 1, bytes(16), open_codecs().subject_states.encode(state))

    assert json.loads(invoke("list", "--json").stdout) == [
        {"subject_id": bytes(16).hex(), "events": ["1-7"], "older": True}
    ]
    assert "and older ones" in invoke("list").stdout


def test_an_event_is_named_by_partition_and_offset(invoke: Invoke) -> None:
    assert invoke("resolve", "+4915112345678").exit_code == 2
