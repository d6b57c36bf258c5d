"""Finding decisions on a real Kafka, and the command that explains them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from streams.audit.finding import DecisionId, find_by_id, read_decision_id
from streams.audit.topic_log import TopicLog
from streams.cli.main import app
from streams.codec.codec import Codecs
from streams.config import Settings
from streams.errors import ConfigError
from streams.kafka.placement import partition_of
from streams.policy.policy import load_policy
from streams.records.decisions import Outcome, PolicyArchived, SmsDecision
from streams.records.events import ConsentKind
from streams.sealing.keyring import open_subject_ids
from streams.testing.records import NOON, a_ledger_record, a_number, an_sms_decision
from streams.topology import SMS_DECISIONS
from tests.audit.conftest import PARTITIONS, GateLike
from tests.gate.bed import PLAIN_POLICY


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("sms.requested-3-12345-0", DecisionId(3, 12345, 0)),
        ("t1.sms.requested-0-0-2", DecisionId(0, 0, 2)),
        ("order-3-12345-0", None),
        ("sms.requested-3-12345", None),
        ("sms.requested-3-x-0", None),
        ("sms.requested-3-¹-0", None),
        ("7f0c1d9a", None),
    ],
)
def test_a_decision_id_is_told_from_a_request_id(written: str, read: DecisionId | None) -> None:
    assert read_decision_id(written, "t1.sms.requested") == read


@pytest.fixture
def log(settings: Settings) -> Iterator[TopicLog]:
    with TopicLog(settings) as log:
        yield log


def a_decision(offset: int, attempt: int = 0, **changes: object) -> SmsDecision:
    fields: dict[str, Any] = {
        "decision_id": f"sms.requested-0-{offset}-{attempt}",
        "request_id": f"request-{offset}",
        "request_offset": offset,
        "attempt": attempt,
    }
    return an_sms_decision(**(fields | changes))


@pytest.mark.kafka
def test_every_decision_is_found_by_its_id_and_no_other_is(
    gate: GateLike, log: TopicLog, codecs: Codecs
) -> None:
    # Requests 3, 8, 13… were dead letters; every third transaction was aborted; holds of before
    # are decided again in between.
    offsets = [offset for offset in range(60) if offset % 5 != 3]
    for start in range(0, len(offsets), 7):
        batch = [a_decision(offset) for offset in offsets[start : start + 7]]
        if start >= 14:
            batch.insert(3, a_decision(offsets[start - 14], attempt=1))
        gate.decisions(0, batch)
        if start % 3 == 0:
            gate.aborted(SMS_DECISIONS, 0, b"taken back")

    def find(offset: int, attempt: int = 0) -> str | None:
        watch = lambda what, offsets: lambda done: None  # noqa: E731
        found = find_by_id(log, codecs, DecisionId(0, offset, attempt), watch)
        return found.decision_id if found is not None else None

    for offset in (*range(0, 60, 4), 58, 59):
        expected = f"sms.requested-0-{offset}-0" if offset in offsets else None
        assert find(offset) == expected
    assert find(0, attempt=1) == "sms.requested-0-0-1"
    assert find(0, attempt=2) is None
    assert find(60) is None
    assert find_by_id(log, codecs, DecisionId(9, 0, 0), lambda w, n: lambda d: None) is None


# ------------------------------------------------------------------------------------- the command

RECIPIENT = next(
    a_number(n) for n in range(100) if partition_of(a_number(n).encode(), PARTITIONS) == 1
)
Run = Callable[..., Result]


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSENT_GATE_BOOTSTRAP_SERVERS", settings.bootstrap_servers)
    monkeypatch.setenv("CONSENT_GATE_TOPIC_PREFIX", settings.topic_prefix)
    monkeypatch.setenv("CONSENT_GATE_SECRETS_DIR", str(settings.secrets_dir))

    def invoke(*options: str, typed: str | None = None) -> Result:
        result = CliRunner().invoke(app, ["explain", *options], input=typed)
        assert RECIPIENT not in result.output
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture
def story(gate: GateLike, settings: Settings) -> int:
    """Somebody agreed, got a message, withdrew, and got none any more; returns the partition."""
    subject_id = open_subject_ids(settings.secrets_dir).of(RECIPIENT)
    partition = partition_of(RECIPIENT.encode(), PARTITIONS)
    policy = load_policy(PLAIN_POLICY)
    gate.policy(PolicyArchived(policy.version, policy.files, NOON))
    theirs: dict[str, Any] = {
        "subject_id": subject_id,
        "request_partition": partition,
        "policy_version": policy.version,
    }
    yes = a_ledger_record(subject_id=subject_id, partition=partition)
    no = a_ledger_record(
        subject_id=subject_id,
        partition=partition,
        event_id="stop-1",
        kind=ConsentKind.WITHDRAWN,
        purpose=None,
        offset=1,
    )
    allowed = a_decision(
        4, **theirs, decision_id=f"sms.requested-{partition}-4-0", consent_offset=1
    )
    dropped = a_decision(
        5,
        **theirs,
        decision_id=f"sms.requested-{partition}-5-0",
        verdict=Outcome.DROPPED,
        basis=None,
        reasons=("SUPPRESSED",),
        consent_event_id="stop-1",
        consent_offset=2,
        decided_at=NOON + 1,
    )
    gate.ledger(partition, [a_ledger_record(event_id="stranger"), yes, no])
    gate.decisions(partition, [a_decision(3), allowed, dropped])
    return partition


@pytest.mark.kafka
def test_a_decision_is_explained_by_its_id(run: Run, story: int) -> None:
    result = run(f"sms.requested-{story}-4-0")

    words = " ".join(result.output.split())
    assert result.exit_code == 0
    assert "was allowed: it went on to the carrier" in words
    assert "What counted: 2025-12-31 12:00:00 UTC: agreed (marketing)" in words
    assert "This has changed since then:" in words
    assert "event stop-1" in words
    assert "stranger" not in words


@pytest.mark.kafka
def test_a_decision_is_explained_by_its_request_id(run: Run, story: int) -> None:
    result = run("request-5")

    words = " ".join(result.output.split())
    assert "SUPPRESSED: The person stopped all messages." in words
    assert "What counted: 2025-12-31 12:00:00 UTC: withdrew" in words
    assert "Policy " in words
    assert "(plain, edition" in words


@pytest.mark.kafka
def test_all_decisions_about_a_number_that_is_asked_for(run: Run, story: int) -> None:
    result = run("--recipient", typed=f"{RECIPIENT}\n")

    lines = [line for line in result.stdout.splitlines() if line.strip()]
    assert f"sms.requested-{story}-4-0  marketing  ALLOWED" in lines[0]
    assert f"sms.requested-{story}-5-0  marketing  DROPPED  SUPPRESSED" in lines[1]
    assert f"Decision sms.requested-{story}-5-0" in lines
    assert f"sms.requested-{story}-3-0" not in result.stdout


@pytest.mark.kafka
def test_json_holds_the_same(run: Run, story: int) -> None:
    (explained,) = json.loads(run("request-5", "--json").stdout)

    assert explained["decision"]["verdict"] == "DROPPED"
    assert explained["reasons"][0]["code"] == "SUPPRESSED"
    assert explained["reasons"][0]["meaning"] == "The person stopped all messages."
    assert explained["consent"]["event_id"] == "stop-1"
    assert explained["changed_since"] is False
    assert len(json.loads(run("--recipient", "--json", typed=f"{RECIPIENT}\n").stdout)) == 2


@pytest.mark.kafka
def test_what_is_not_there_is_said_not_to_be_there(run: Run, settings: Settings) -> None:
    for identifier in ("sms.requested-0-77-0", "sms.requested-9-1-0", "no-such-request"):
        result = run(identifier)

        assert result.exit_code == 1
        assert identifier in result.stderr
    assert run("--recipient", typed=f"{RECIPIENT}\n").exit_code == 1


@pytest.mark.kafka
def test_a_number_that_is_none_is_not_repeated(run: Run) -> None:
    with pytest.raises(ConfigError) as refused:
        run("--recipient", typed="12025550142\n")

    assert "12025550142" not in str(refused.value)


def test_an_id_and_a_recipient_exclude_each_other() -> None:
    for options in (["explain"], ["explain", "request-5", "--recipient"]):
        assert CliRunner().invoke(app, options).exit_code == 2


@pytest.mark.kafka
def test_an_old_decision_is_not_looked_for_further_back_than_asked(run: Run, story: int) -> None:
    later = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 86_400))

    assert run("request-5", "--since", later).exit_code == 1
    assert run("request-5", "--since", "1h").exit_code == 0
