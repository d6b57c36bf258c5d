"""The main job on a real Kafka: what goes in comes out once, as consent says."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.broker.cluster import EmbeddedKafka
from streams.records.decisions import Outcome
from streams.testing.records import a_consent_event, a_number, a_withdrawal, an_sms_requested
from tests.gate.bed import Bed, now_ms

pytestmark = pytest.mark.kafka


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
