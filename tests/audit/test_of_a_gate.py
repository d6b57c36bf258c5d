"""The real gate's own records: they verify, and they can be explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.audit.explain import explain
from streams.audit.finding import (
    archived_policy,
    find_by_id,
    find_by_subject,
    ledger_of,
    read_decision_id,
)
from streams.audit.topic_log import Progress, TopicLog
from streams.audit.verify_topics import verify_topics
from streams.broker.cluster import EmbeddedKafka
from streams.records.decisions import Outcome
from streams.testing.records import a_consent_event, a_number, a_withdrawal, an_sms_requested
from streams.topology import CONSENT_LEDGER, SMS_DECISIONS
from tests.gate.bed import Bed, now_ms

pytestmark = pytest.mark.kafka

PEOPLE = 30


def unwatched(what: str, offsets: int) -> Progress:
    return lambda done: None


@pytest.fixture
def bed(kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path) -> Bed:
    """An installation whose gate has decided one request for each of thirty people, two times."""
    bed = Bed(kafka.bootstrap_servers, topic_prefix, tmp_path)
    people = [a_number(number) for number in range(PEOPLE)]
    for place, number in enumerate(people):
        yes = a_consent_event(event_id=f"yes-{place}", subject=number, occurred_at=now_ms() - 1000)
        bed.consent(yes)
    bed.flush()
    with bed.ready_gate():
        for place, number in enumerate(people):
            bed.request(
                an_sms_requested(request_id=f"first-{place}", recipient=number, valid_until=None)
            )
        bed.flush()
        bed.decided(PEOPLE)
        for place, number in enumerate(people[::2]):
            bed.consent(a_withdrawal(event_id=f"no-{2 * place}", subject=number))
        bed.flush()
        for place, number in enumerate(people):
            bed.request(
                an_sms_requested(request_id=f"second-{place}", recipient=number, valid_until=None)
            )
        bed.flush()
        bed.decided(2 * PEOPLE)
    return bed


def test_every_chain_of_a_gate_holds(bed: Bed) -> None:
    reports = list(verify_topics(bed.settings, bed.codecs, bed.keyring.verifier))

    assert [report.finding for report in reports] == [None] * 4
    counted = {
        topic.name: sum(report.records for report in reports if report.topic == topic.name)
        for topic in (SMS_DECISIONS, CONSENT_LEDGER)
    }
    assert counted == {SMS_DECISIONS.name: 2 * PEOPLE, CONSENT_LEDGER.name: PEOPLE * 3 // 2}


def test_each_decision_of_a_gate_is_explained_by_the_policy_and_the_consent_of_then(
    bed: Bed,
) -> None:
    number = a_number(4)
    subject_id, partition = bed.keyring.subject_ids.of(number), bed.partition(number)
    with TopicLog(bed.settings) as log:
        ledger = ledger_of(log, bed.codecs, partition, subject_id, unwatched)
        decisions = find_by_subject(log, bed.codecs, partition, subject_id, 0, unwatched)
        archived = archived_policy(log, bed.codecs, decisions[0].policy_version)
        explanations = [explain(decision, archived, ledger) for decision in decisions]
        for decision in decisions:
            wanted = read_decision_id(decision.decision_id, bed.topics.requests)
            assert wanted is not None
            assert find_by_id(log, bed.codecs, wanted, unwatched) == decision

    before, after = explanations
    assert before.decision.verdict is Outcome.ALLOWED
    assert before.allowed_by is not None
    assert before.consent is not None
    assert before.consent.event_id == "yes-4"
    assert [record.event_id for record in before.since] == ["no-4"]
    assert after.decision.verdict is Outcome.DROPPED
    assert all(reason.rules for reason in after.reasons)
    assert after.consent is not None
    assert after.consent.event_id == "no-4"
    assert after.since == ()
