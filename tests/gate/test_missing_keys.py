"""A key-encryption key that is gone: its people wait, nobody else does, and nothing is lost."""

from __future__ import annotations

import itertools
import secrets
from pathlib import Path
from typing import Any

import pytest

from streams.broker.cluster import EmbeddedKafka
from streams.gate import assignment
from streams.records.decisions import Outcome, SmsDecision
from streams.records.events import ConsentEvidence
from streams.sealing.keyring import open_keyring
from streams.sealing.secrets_folder import add_key_encryption_key
from streams.telemetry import metrics
from streams.testing.records import a_consent_event, a_number, an_sms_requested
from tests.gate.bed import Bed, RunningGate, now_ms, wait_for
from tests.sealing.test_secrets_folder import later

pytestmark = pytest.mark.kafka

HOLDING = "raffle"
"""A purpose that no policy knows: a message of it is held, and so sealed."""


@pytest.fixture
def bed(kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path) -> Bed:
    return Bed(kafka.bootstrap_servers, topic_prefix, tmp_path, idle_tick_ms=50)


def two_people(bed: Bed) -> tuple[str, str]:
    """Somebody of partition 0 and somebody of partition 1."""
    found: dict[int, str] = {}
    for number in map(a_number, itertools.count()):
        found.setdefault(bed.partition(number), number)
        if len(found) == 2:
            break
    return found[0], found[1]


def ask_later(bed: Bed, number: str, **changes: Any) -> str:
    """Ask for a message, not waiting for an answer; return the request's id."""
    request_id = secrets.token_hex(4)
    wanted = {"request_id": request_id, "recipient": number, "valid_until": None, **changes}
    bed.request(an_sms_requested(**wanted))
    bed.flush()
    return request_id


def ask(bed: Bed, running: RunningGate, number: str, **changes: Any) -> SmsDecision:
    """Ask for a message and return what was decided."""
    request_id = ask_later(bed, number, **changes)
    found: list[SmsDecision] = []

    def decided() -> bool:
        assert running.error is None, running.error
        found[:] = [each for each in bed.decisions() if each.request_id == request_id]
        return bool(found)

    wait_for(decided, what="for the decision")
    return found[0]


def waits(running: RunningGate) -> bool:
    """Whether partition 0, and no other, waits for a key."""
    assert running.error is None, running.error
    return running.telemetry.members(metrics.STALLED_PARTITIONS) == {0: ("secrets_missing",)}


def request_lag(running: RunningGate) -> dict[str, float]:
    """How many requests of each partition wait."""
    lag = running.telemetry.values(metrics.REQUEST_LAG_RECORDS)
    return {partition: value for (partition,), value in lag.items()}


def lose_the_key_of(bed: Bed, number: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """
    Hold a message to this person under a key-encryption key and take that away.

    Returns where its file belongs and where it is now. The gate that sealed has ended.
    """
    later(monkeypatch)
    newest = add_key_encryption_key(bed.settings.secrets_dir)
    with bed.ready_gate() as running:
        assert ask(bed, running, number, purpose=HOLDING).verdict is Outcome.QUARANTINED
    monkeypatch.setattr(assignment, "KEY_AGAIN_SECONDS", 0.1)
    home = bed.settings.secrets_dir / "encryption" / f"{newest}.key"
    return home, home.rename(bed.folder / home.name)


def test_a_persons_partition_waits_for_the_key_and_goes_on_when_it_is_back(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, elsewhere = two_people(bed)
    home, away = lose_the_key_of(bed, here, monkeypatch)
    [before] = bed.held()
    with bed.ready_gate() as running:
        waiting = ask_later(bed, here, purpose=HOLDING)
        wait_for(lambda: waits(running), what="for the partition to wait")
        assert ask(bed, running, elsewhere, purpose=HOLDING).verdict is Outcome.QUARANTINED
        # A file that others may read is no key yet, and no reason to end.
        home.write_bytes(away.read_bytes())
        home.chmod(0o644)
        assert ask(bed, running, elsewhere, purpose=HOLDING).verdict is Outcome.QUARANTINED
        assert waits(running)
        wait_for(lambda: request_lag(running) == {"0": 1, "1": 0}, what="for the lag to be told")
        home.chmod(0o600)
        assert bed.decided(4)[waiting].verdict is Outcome.QUARANTINED
        assert running.telemetry.members(metrics.STALLED_PARTITIONS) == {}
        wait_for(lambda: request_lag(running) == {"0": 0, "1": 0}, what="for the lag to be gone")
    [key] = [each for each in bed.read(bed.topics.keys) if each.partition() == 0]
    ring = open_keyring(bed.settings.secrets_dir)
    sealer = ring.data_keys().sealer(bed.codecs.subject_keys.decode(key.value()))
    mine = [each for each in bed.held() if each.subject_id == before.subject_id]
    assert [each.request_id for each in mine] == [before.request_id, waiting]
    for each in mine:
        assert sealer.unseal(each.sealed, each.decision_id.encode())


def test_a_consent_event_whose_evidence_cannot_be_sealed_waits_too(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, _ = two_people(bed)
    home, away = lose_the_key_of(bed, here, monkeypatch)
    evidence = ConsentEvidence(notice_version="7")
    with bed.ready_gate() as running:
        bed.consent(a_consent_event(subject=here, occurred_at=now_ms() - 1000, evidence=evidence))
        bed.flush()
        wait_for(lambda: waits(running), what="for the partition to wait")
        assert bed.ledger() == []
        away.rename(home)
        assert ask(bed, running, here).verdict is Outcome.ALLOWED
    assert len(bed.ledger()) == 1
