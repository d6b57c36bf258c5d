"""The main job on a real Kafka: what goes in comes out once, as consent says."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.broker.cluster import EmbeddedKafka
from streams.records.decisions import Outcome, SmsDecision
from streams.testing.records import a_consent_event, a_number, a_withdrawal, an_sms_requested
from tests.gate.asking import Asking
from tests.gate.bed import Bed, now_ms

pytestmark = pytest.mark.kafka

Headers = list[tuple[str, bytes | None]]


@pytest.fixture
def bed(kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path) -> Bed:
    return Bed(kafka.bootstrap_servers, topic_prefix, tmp_path)


def test_a_request_is_allowed_on_the_recipients_consent_and_its_bytes_are_untouched(
    bed: Bed,
) -> None:
    request = an_sms_requested(requested_at=now_ms(), valid_until=None)
    bed.consent(a_consent_event(subject=request.recipient, occurred_at=now_ms() - 1000))
    bed.flush()
    bed.request(request)
    bed.flush()
    with bed.ready_gate():
        decision = bed.decided(1)[request.request_id]
    assert decision.verdict is Outcome.ALLOWED, decision.reasons
    [passed] = bed.read(bed.topics.allowed)
    assert passed.value() == bed.codecs.requests.encode(request)
    assert passed.key() == request.recipient.encode()
    headers = dict(passed.headers() or [])
    assert headers["consent-gate-decision-id"] == decision.decision_id.encode()


def test_without_consent_and_after_a_withdrawal_nothing_passes(bed: Bed) -> None:
    unknown, withdrawn = a_number(1), a_number(2)
    bed.consent(a_consent_event(subject=withdrawn, occurred_at=now_ms() - 1000))
    bed.flush()
    bed.consent(a_withdrawal(subject=withdrawn, occurred_at=now_ms()))
    bed.flush()
    for number in (unknown, withdrawn):
        bed.request(an_sms_requested(request_id=number, recipient=number, valid_until=None))
    bed.flush()
    with bed.ready_gate():
        decided = bed.decided(2)
    assert decided[unknown].verdict is Outcome.DROPPED
    assert "NO_CONSENT" in decided[unknown].reasons
    assert decided[withdrawn].verdict is Outcome.DROPPED
    assert {"CONSENT_WITHDRAWN", "SUPPRESSED"} & set(decided[withdrawn].reasons)
    assert bed.allowed() == []


@pytest.fixture(scope="module")
def asking(kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    """One gate for the stories that need no more than to ask; each has a person of its own."""
    prefix = f"t{secrets.token_hex(3)}."
    bed = Bed(kafka.bootstrap_servers, prefix, tmp_path_factory.mktemp("main-job"))
    with bed.ready_gate() as running:
        asking = Asking(bed, running)
        yield asking
        asking.close()


def grant(bed: Bed, number: str) -> None:
    bed.consent(a_consent_event(event_id=number, subject=number, occurred_at=now_ms() - 1000))
    bed.flush()


def passed_on(
    asking: Asking, recipient: str, headers: Headers, **changes: Any
) -> tuple[SmsDecision, Headers]:
    """Have one request with these headers allowed; return the decision and what came with it."""
    bed = asking.bed
    grant(bed, recipient)
    decision = asking.ask(recipient, headers=headers, **changes)
    [passed] = [each for each in bed.read(bed.topics.allowed) if each.key() == recipient.encode()]
    assert bed.codecs.requests.decode(passed.value()).request_id == decision.request_id
    assert passed.partition() == bed.partition(recipient) == decision.request_partition
    return decision, list(passed.headers() or [])


def test_what_is_allowed_carries_its_own_headers_and_then_ours(asking: Asking) -> None:
    until = now_ms() + 60_000
    own: Headers = [("trace", b"1"), ("empty", None), ("trace", b"2"), ("binary", b"\x00\xff")]
    decision, headers = passed_on(asking, a_number(1), own, valid_until=until)
    assert headers == [
        *own,
        ("consent-gate-decision-id", decision.decision_id.encode()),
        ("consent-gate-policy-version", decision.policy_version.encode()),
        ("consent-gate-consent-offset", str(decision.consent_offset).encode()),
        ("consent-gate-valid-until", str(until).encode()),
    ]
    at = f"{decision.request_partition}-{decision.request_offset}"
    assert decision.decision_id == f"sms.requested-{at}-0"
    assert decision.consent_offset > 0


def test_what_only_the_gate_may_say_is_not_passed_on_from_a_request(asking: Asking) -> None:
    forged: Headers = [
        ("consent-gate-decision-id", b"forged"),
        ("consent-gate-valid-until", b"9999999999999"),
        ("consent-gate-anything", None),
        ("trace", b"1"),
    ]
    decision, headers = passed_on(asking, a_number(2), forged)
    assert headers == [
        ("trace", b"1"),
        ("consent-gate-decision-id", decision.decision_id.encode()),
        ("consent-gate-policy-version", decision.policy_version.encode()),
        ("consent-gate-consent-offset", str(decision.consent_offset).encode()),
    ]


def test_what_is_held_opens_to_the_bytes_that_came_and_what_is_dropped_is_not_kept(
    asking: Asking,
) -> None:
    bed, number, body = asking.bed, a_number(3), "a text that nobody else may read"
    kept = asking.ask(number, purpose="raffle", body=body)
    dropped = asking.ask(number, purpose="marketing", body=body)
    assert kept.verdict is Outcome.QUARANTINED
    assert dropped.verdict is Outcome.DROPPED
    [held] = [each for each in bed.held() if each.subject_id == kept.subject_id]
    assert (held.decision_id, held.reasons) == (kept.decision_id, kept.reasons)
    [key] = [each for each in bed.read(bed.topics.keys) if each.key() == kept.subject_id]
    sealer = bed.keyring.data_keys().sealer(bed.codecs.subject_keys.decode(key.value()))
    opened = sealer.unseal(held.sealed, held.decision_id.encode())
    asked = {
        m.offset(): m.value() for m in bed.read(bed.topics.requests) if m.key() == number.encode()
    }
    assert opened == asked[kept.request_offset]
    topics = bed.topics
    for topic in (
        *(topics.allowed, topics.quarantined, topics.decisions, topics.ledger),
        *(topics.changelog, topics.keys, topics.dead_letters),
    ):
        for record in bed.read(topic):
            written = (record.key() or b"") + (record.value() or b"")
            assert body.encode() not in written
            assert number.encode() not in written


def test_a_batch_is_decided_in_order_and_stamped_with_what_it_saw(asking: Asking) -> None:
    bed, number, count = asking.bed, a_number(4), 40
    grant(bed, number)
    for index in range(count):
        bed.request(an_sms_requested(request_id=f"#{index}", recipient=number, valid_until=None))
    last = asking.ask(number)
    mine = [each for each in bed.decisions() if each.subject_id == last.subject_id]
    assert [each.request_id for each in mine[:-1]] == [f"#{index}" for index in range(count)]
    first = mine[0]
    assert [each.sequence - first.sequence for each in mine] == list(range(count + 1))
    assert [each.request_offset - first.request_offset for each in mine] == list(range(count + 1))
    assert {each.consent_offset for each in mine} == {last.consent_offset}
    assert {each.consent_event_id for each in mine} == {number}
    passed = [each.request_id for each in bed.allowed() if each.recipient == number]
    assert passed == [each.request_id for each in mine]
