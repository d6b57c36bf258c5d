"""
A Kafka that asks for passwords: topics, gate and worker, from the same ``kafka`` settings.

A broker of its own for all of it, which is half a minute with what is asked in vain.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams.cli.main import app
from streams.errors import ConfigError
from streams.processors.replies import replies
from streams.records.decisions import Outcome
from streams.testing.records import a_consent_event, a_number, an_inbound_sms, an_sms_requested
from streams.topology import SMS_INBOUND
from tests.conftest import need_embedded_kafka
from tests.gate.bed import Bed, now_ms
from tests.gate.command import gate_command
from tests.processors.bed import working
from tests.processors.secured_kafka import PASSWORD, SecuredKafka, secured_kafka
from tests.processors.worker_process import log_of, worker_process

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

PATIENCE = 60
WRONG = "wrong-battery"
PERSON = a_number(1)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    need_embedded_kafka()
    with secured_kafka(tmp_path_factory.mktemp("secured")) as kafka:
        yield kafka


def test_topics_gate_and_worker_work_with_a_password(
    secured: SecuredKafka, topic_prefix: str, tmp_path: Path
) -> None:
    works(secured.by_password, secured.password_settings, topic_prefix, tmp_path)


def test_they_work_with_tls_and_a_password_that_is_never_sent(
    secured: SecuredKafka, topic_prefix: str, tmp_path: Path
) -> None:
    works(secured.by_tls, secured.tls_settings, topic_prefix, tmp_path)


def works(servers: str, kafka: Mapping[str, str], prefix: str, folder: Path) -> None:
    """Topics are made. Somebody is texted, says STOP, has it confirmed, and is not texted again."""
    bed = Bed(
        servers, prefix, folder, kafka=dict(kafka), session_timeout_ms=6_000
    )  # applies topics
    with bed.ready_gate(), working(bed, replies) as worker:
        bed.consent(a_consent_event(subject=PERSON))
        bed.flush()
        bed.request(an_sms_requested(request_id="before", recipient=PERSON, valid_until=None))
        bed.flush()
        bed.decided(1)
        said = an_inbound_sms(
            message_id="m", sender=PERSON, recipient="36111", body="STOP", received_at=now_ms()
        )
        topic, value = bed.settings.names.of(SMS_INBOUND), bed.codecs.inbound.encode(said)
        bed.write(topic, PERSON.encode(), value, bed.partition(PERSON))
        bed.flush()
        worker.until(lambda: "inbound/m" in bed.decided(0), PATIENCE, "for the confirmation")
        bed.request(an_sms_requested(request_id="after", recipient=PERSON, valid_until=None))
        bed.flush()
        decided = bed.decided(3)
    verdicts = {name: each.verdict for name, each in decided.items()}
    assert verdicts == {
        "before": Outcome.ALLOWED,
        "inbound/m": Outcome.ALLOWED,
        "after": Outcome.DROPPED,
    }


def test_a_wrong_password_ends_every_command_with_what_to_do(
    secured: SecuredKafka, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = dict(secured.password_settings)
    bed = Bed(secured.by_password, topic_prefix, tmp_path, kafka=good)
    kafka = {**good, "sasl.password": WRONG}
    bed.settings = bed.settings.model_copy(update={"kafka": kafka})
    monkeypatch.setenv("CONSENT_GATE_BOOTSTRAP_SERVERS", secured.by_password)
    monkeypatch.setenv("CONSENT_GATE_KAFKA", json.dumps(kafka))

    with gate_command(bed, "gate-1") as gate, worker_process(bed) as worker:
        applied = CliRunner().invoke(app, ["topics", "apply"])
        assert gate.process.wait(PATIENCE) == ConfigError.exit_code
        assert worker.wait(PATIENCE) == ConfigError.exit_code
        told = [gate.said, log_of(bed).read_text(), f"{applied.exception}{applied.output}"]

    assert isinstance(applied.exception, ConfigError)
    for said in told:
        assert "Kafka refuses the login" in said
        assert "sasl.username, sasl.password" in said
        assert WRONG not in said
        assert PASSWORD not in said
