"""On the real broker: a STOP is confirmed once and a person is referred once, whatever happens."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from streams.broker.cluster import EmbeddedKafka
from streams.records.decisions import Outcome
from streams.records.events import ConsentEvidence, ConsentKind
from streams.records.requests import Occasion
from streams.testing.records import a_consent_event, a_number, a_withdrawal, an_sms_requested
from tests.crash.test_kill import gate_process
from tests.gate.bed import PATIENCE, QUICK_TAKEOVER, Bed, now_ms, wait_for
from tests.gate.test_reasons_given import confirmed

pytestmark = pytest.mark.kafka

NUMBER = a_number(1)


@pytest.fixture
def bed(kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path) -> Bed:
    return Bed(
        kafka.bootstrap_servers,
        topic_prefix,
        tmp_path,
        **QUICK_TAKEOVER,
    )


def stop(bed: Bed, number: str, message_id: str) -> None:
    bed.consent(
        a_withdrawal(
            event_id=f"inbound/{message_id}",
            subject=number,
            occurred_at=now_ms(),
            evidence=ConsentEvidence(reference=message_id),
        )
    )


def reply(bed: Bed, number: str, message_id: str, request_id: str) -> None:
    bed.request(
        an_sms_requested(
            request_id=request_id,
            recipient=number,
            valid_until=None,
            purpose="service_reply",
            campaign_id=None,
            occasion=Occasion("inbound_sms", message_id),
        )
    )


def invite(bed: Bed, number: str, request_id: str) -> None:
    bed.request(
        an_sms_requested(
            request_id=request_id,
            recipient=number,
            valid_until=None,
            purpose="invite",
            campaign_id=None,
            body="Join us",
            initiator=confirmed(number, "Join us"),
        )
    )


def test_one_answer_to_a_stop_and_to_each_message_across_batches_restarts_and_erasure(
    bed: Bed,
) -> None:
    stop(bed, NUMBER, "m-1")
    bed.flush()
    for request_id in ("a", "b"):  # they may come in one batch
        reply(bed, NUMBER, "m-1", request_id)
    reply(bed, NUMBER, "m-2", "other")
    other = a_number(2)
    for request_id in ("c", "d"):
        reply(bed, other, "m-1", request_id)
    bed.flush()
    with bed.ready_gate():
        first = bed.decided(5)
    assert first["a"].verdict is Outcome.ALLOWED
    assert first["a"].facts["answer"] == "TO_STOP"
    assert first["b"].reasons == ("SUPPRESSED", "DUPLICATE_REQUEST")
    assert first["other"].reasons == ("SUPPRESSED",)
    assert first["c"].verdict is Outcome.ALLOWED
    assert first["d"].reasons == ("DUPLICATE_REQUEST",)
    # On an empty disk it is known from the changelog.
    reply(bed, NUMBER, "m-1", "e")
    bed.flush()
    with bed.ready_gate(state_dir=bed.folder / "elsewhere") as running:
        again = bed.decided(6)
        assert "DUPLICATE_REQUEST" in again["e"].reasons
        erased = a_consent_event(
            event_id="erase",
            subject=NUMBER,
            kind=ConsentKind.ERASURE_REQUESTED,
            purpose=None,
            occurred_at=now_ms(),
        )
        bed.consent(erased)
        bed.flush()
        subject_id = bed.keyring.subject_ids.of(NUMBER)
        store = running.gate._store

        def forgotten() -> bool:
            raw = store.state(bed.partition(NUMBER), subject_id)
            state = bed.codecs.subject_states.decode(raw)
            return (state.erased_at, state.stop, state.answered) != (None, None, ()) and not (
                state.stop or state.answered
            )

        wait_for(forgotten, what="for the erasure")


def test_somebody_is_referred_for_the_first_time_once(bed: Bed) -> None:
    bed.consent(a_consent_event(subject=NUMBER, purpose="invite", occurred_at=now_ms() - 1_000))
    bed.flush()
    for request_id in ("a", "b"):
        invite(bed, NUMBER, request_id)
    bed.flush()
    with bed.ready_gate():
        found = bed.decided(2)
    assert [found[each].facts["referral"] for each in "ab"] == ["FIRST", "REPEATED"]
    changed = bed.codecs.subject_states
    subject_id = bed.keyring.subject_ids.of(NUMBER)
    states = [m for m in bed.read(bed.topics.changelog) if m.key() == subject_id]
    assert changed.decode(states[-1].value()).referred


@pytest.mark.parametrize("step", ["after produce", "during commit"])
def test_a_gate_that_is_killed_confirms_no_stop_twice(bed: Bed, step: str) -> None:
    people = [a_number(index) for index in range(20)]
    armed = bed.folder / "armed"
    asked = 0

    def ask(round_number: int) -> int:
        for number in people:
            reply(bed, number, f"stop-of-{number}", f"{round_number}/{number}")
        bed.flush()
        return len(people)

    with gate_process(bed, "gate-1", step, str(armed), "2") as process:
        for number in people:
            stop(bed, number, f"stop-of-{number}")
        bed.flush()
        armed.touch()
        until = time.monotonic() + 2 * PATIENCE
        while process.poll() is None:
            assert time.monotonic() < until, "it did not die"
            asked += ask(asked)
            bed.decided(1)
    with bed.ready_gate("gate-1"):
        asked += ask(asked)
        bed.decided(asked)
        decisions = bed.decisions()
    assert len(decisions) == asked
    allowed = Counter(
        decision.subject_id for decision in decisions if decision.verdict is Outcome.ALLOWED
    )
    assert allowed == {bed.keyring.subject_ids.of(number): 1 for number in people}
    assert len(bed.allowed()) == len(people)
