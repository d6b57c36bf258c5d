"""Verification against a real Kafka: transactions, retention, and records of the real codec."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner, Result

from streams.audit.chain import body_hash, with_signature
from streams.audit.diagnosis import Damage
from streams.audit.heads import Head
from streams.audit.topic_log import Extent, TopicLog
from streams.audit.verify import PartitionReport
from streams.audit.verify_in_processes import processes_for, verify_in_processes
from streams.audit.verify_topics import verify_topics
from streams.cli.main import app
from streams.codec.codec import Codecs
from streams.config import Settings
from streams.errors import ProofBroken, SecretsError
from streams.kafka.clients import admin_config
from streams.sealing.keyring import open_verifier
from streams.testing.records import a_ledger_record, a_loss_record, an_sms_decision
from streams.topology import CONSENT_LEDGER, SMS_DECISIONS
from tests.audit.conftest import GateLike

pytestmark = pytest.mark.kafka

Verify = Callable[..., dict[tuple[str, int], PartitionReport]]


@pytest.fixture
def verify(settings: Settings, codecs: Codecs) -> Verify:
    def reports(filed: list[Head] | None = None) -> dict[tuple[str, int], PartitionReport]:
        verifier = open_verifier(settings.secrets_dir)
        found = verify_topics(settings, codecs, verifier, filed=filed or [])
        return {(report.topic, report.partition): report for report in found}

    return reports


DECISIONS_0 = (SMS_DECISIONS.name, 0)


def test_what_the_gate_wrote_holds_in_every_partition(gate: GateLike, verify: Verify) -> None:
    for size in (3, 1, 2):
        gate.decisions(0, [an_sms_decision()] * size)
        gate.ledger(1, [a_ledger_record(evidence=b"\x00" * 80)] * size)
    gate.aborted(SMS_DECISIONS, 0, b"never visible")

    reports = verify()

    assert [report.finding for report in reports.values()] == [None] * 4
    assert {place: report.records for place, report in reports.items()} == {
        (SMS_DECISIONS.name, 0): 6,
        (SMS_DECISIONS.name, 1): 0,
        (CONSENT_LEDGER.name, 0): 0,
        (CONSENT_LEDGER.name, 1): 6,
    }
    head = reports[DECISIONS_0].head
    assert head is not None
    assert (head.sequence, head.signed_by) == (5, gate.ring.signer.key_id)


def test_an_open_transaction_is_neither_waited_for_nor_cut_in_two(
    gate: GateLike, verify: Verify, settings: Settings
) -> None:
    gate.decisions(0, [an_sms_decision()] * 2)
    gate.left_open(SMS_DECISIONS, 0, b"not committed")

    report = verify()[DECISIONS_0]
    with TopicLog(settings) as log:
        extent = log.extent(SMS_DECISIONS, 0)

    assert (report.finding, report.records) == (None, 2)
    # Were the end behind it, and it committed while it is read, its first half would be judged.
    assert extent == Extent(0, 3)


def test_a_record_put_in_by_another_producer_is_named(gate: GateLike, verify: Verify) -> None:
    gate.decisions(0, [an_sms_decision()] * 2)  # offsets 0 and 1, the marker is 2
    gate.raw(SMS_DECISIONS, 0, None, gate.codecs.decisions.encode(an_sms_decision(sequence=2)))
    gate.decisions(0, [an_sms_decision()] * 2)

    finding = verify()[DECISIONS_0].finding

    assert finding is not None
    assert (finding.damage, finding.offset) == (Damage.ADDED, 3)
    assert finding.proven_until == 1


def test_bytes_that_are_no_decision_are_named(gate: GateLike, verify: Verify) -> None:
    gate.raw(SMS_DECISIONS, 0, None, b"garbage")
    gate.decisions(0, [an_sms_decision()])

    finding = verify()[DECISIONS_0].finding

    assert finding is not None
    assert (finding.damage, finding.offset) == (Damage.ADDED, 0)


def test_a_topic_written_anew_with_one_decision_changed_is_found(
    gate: GateLike, verify: Verify
) -> None:
    written = [an_sms_decision(request_offset=offset) for offset in range(5)]
    sound = gate.decisions(1, written)
    for offset, decision in enumerate(sound):
        forged = replace(decision, reasons=("NO_CONSENT",)) if offset == 2 else decision
        gate.raw(SMS_DECISIONS, 0, forged.subject_id, gate.codecs.decisions.encode(forged))

    reports = verify()

    finding = reports[DECISIONS_0].finding
    assert reports[SMS_DECISIONS.name, 1].finding is None
    assert finding is not None
    assert (finding.damage, finding.sequence, finding.offset) == (Damage.CHANGED, 2, 4)


def test_records_gone_by_retention_are_told_from_removed_ones(
    gate: GateLike, verify: Verify, settings: Settings
) -> None:
    for _ in range(3):
        gate.decisions(0, [an_sms_decision()] * 2)  # 3 offsets each, with the marker
    head = verify()[DECISIONS_0].head
    admin = AdminClient(admin_config(settings))
    until = TopicPartition(settings.names.of(SMS_DECISIONS), 0, 4)
    admin.delete_records([until])[until].result(60)

    report = verify()[DECISIONS_0]

    assert (report.finding, report.gone, report.first_sequence) == (None, 3, 3)
    assert report.head == head


def test_a_filed_head_shows_that_the_end_was_cut_off(gate: GateLike, verify: Verify) -> None:
    gate.decisions(0, [an_sms_decision()] * 2)
    filed = verify()[DECISIONS_0].head
    assert filed is not None
    later = replace(filed, sequence=7)

    assert verify([filed])[DECISIONS_0].finding is None
    finding = verify([later])[DECISIONS_0].finding
    assert finding is not None
    assert (finding.damage, finding.sequence) == (Damage.REMOVED, 2)


# ------------------------------------------------------------------------------------- the command


@pytest.fixture
def run(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Result]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSENT_GATE_BOOTSTRAP_SERVERS", settings.bootstrap_servers)
    monkeypatch.setenv("CONSENT_GATE_TOPIC_PREFIX", settings.topic_prefix)
    monkeypatch.setenv("CONSENT_GATE_SECRETS_DIR", str(settings.secrets_dir))

    def invoke(*options: str) -> Result:
        return CliRunner().invoke(app, ["audit", "verify", *options])

    return invoke


def test_the_command_prints_heads_that_it_takes_back(
    gate: GateLike, run: Callable[..., Result], tmp_path: Path
) -> None:
    gate.decisions(0, [an_sms_decision()] * 2)
    gate.ledger(0, [a_ledger_record()])

    first = run()
    (tmp_path / "heads.jsonl").write_text(first.stdout)
    second = run("--heads", "heads.jsonl")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.stdout == second.stdout
    heads = [json.loads(line) for line in first.stdout.splitlines()]
    assert [(head["topic"], head["partition"], head["sequence"]) for head in heads] == [
        (SMS_DECISIONS.name, 0, 1),
        (CONSENT_LEDGER.name, 0, 0),
    ]


def test_the_command_fails_with_what_it_found(
    gate: GateLike, run: Callable[..., Result], tmp_path: Path
) -> None:
    gate.decisions(0, [an_sms_decision()])
    gate.decisions(1, [an_sms_decision()])
    gate.raw(SMS_DECISIONS, 1, None, gate.codecs.decisions.encode(an_sms_decision(sequence=1)))

    result = run()

    assert isinstance(result.exception, ProofBroken)
    assert result.exception.exit_code == 10
    assert "sms.decisions partition 1: sequence 1 (offset 2)" in str(result.exception)
    assert len(result.stdout.splitlines()) == 1  # the head of the partition that holds
    report = json.loads(run("--json", "--partition", "1").stdout)
    assert [(part["partition"], part["holds"]) for part in report] == [(1, False), (1, True)]


def test_several_processes_find_what_one_finds(gate: GateLike, run: Callable[..., Result]) -> None:
    gate.decisions(0, [an_sms_decision()] * 5)
    gate.decisions(1, [an_sms_decision()] * 2)
    gate.ledger(0, [a_ledger_record()])
    gate.raw(SMS_DECISIONS, 1, None, gate.codecs.decisions.encode(an_sms_decision(sequence=1)))

    one, two = run("--jobs", "1", "--json"), run("--jobs", "2", "--json")

    assert json.loads(two.stdout) == json.loads(one.stdout)
    assert isinstance(two.exception, ProofBroken)
    assert str(two.exception) == str(one.exception)


def test_what_a_process_raises_ends_the_command(
    gate: GateLike, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.decisions(0, [an_sms_decision()])
    for key in (settings.secrets_dir / "signing").glob("*.pub"):
        key.unlink()

    with pytest.raises(SecretsError):
        verify_in_processes(settings, 2)


def test_few_records_are_not_worth_a_second_process(gate: GateLike, settings: Settings) -> None:
    gate.decisions(0, [an_sms_decision()] * 5)

    assert processes_for(settings, None) == 1


def test_a_record_of_a_loss_is_a_link_like_any_other(gate: GateLike, verify: Verify) -> None:
    gate.ledger(0, [a_ledger_record(), a_ledger_record()])
    sequence, previous = gate._tails[CONSENT_LEDGER.name, 0]
    body = gate.codecs.losses.encode_body(a_loss_record(sequence=sequence, previous=previous))
    own = body_hash(body)
    signed = with_signature(body, gate.ring.signer.sign(own))
    gate.raw(CONSENT_LEDGER, 0, b"", gate.codecs.losses.frame(signed))
    gate._tails[CONSENT_LEDGER.name, 0] = sequence + 1, own
    gate.ledger(0, [a_ledger_record()])

    report = verify()[CONSENT_LEDGER.name, 0]

    assert (report.finding, report.records) == (None, 4)


def test_the_command_can_begin_later(gate: GateLike, run: Callable[..., Result]) -> None:
    gate.decisions(0, [an_sms_decision()] * 2)

    result = run("--since", "1h", "--json")

    assert json.loads(result.stdout)[0]["records"] == 2
