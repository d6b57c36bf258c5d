"""What the fold keeps for what may be sent once: the STOP that a message was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streams.policy.once import message_digest
from streams.records.decisions import Refusal
from streams.records.events import ConsentEvent, ConsentEvidence, ConsentKind, Source
from streams.records.subject import StopSaid, SubjectState
from streams.state.fold import fold_consent
from streams.testing.records import A_SUBJECT_ID, NOON, a_consent_event, a_withdrawal


def a_stop_by_sms(reference: str | None = "m-1", **changes: object) -> ConsentEvent:
    return a_withdrawal(evidence=ConsentEvidence(reference=reference), **changes)


def test_a_stop_by_sms_is_known_by_the_message_it_was() -> None:
    state = fold_consent(
        SubjectState(A_SUBJECT_ID), a_stop_by_sms(), offset=1, appended_at=NOON, placed=True
    ).state
    assert state.stop == StopSaid(message_digest(A_SUBJECT_ID, "m-1"), NOON)
    # Coming again, it is refused, and what was confirmed meanwhile stays so.
    again = fold_consent(
        replace(state, stop=None), a_stop_by_sms(), offset=2, appended_at=NOON + 1, placed=True
    )
    assert again.refusal is Refusal.DUPLICATE
    assert again.state.stop is None


@pytest.mark.parametrize(
    ("event", "for_key_only"),
    [
        (a_stop_by_sms(source=Source.SELF_SERVICE), False),
        (a_stop_by_sms(None), False),
        (a_withdrawal(), False),
        (a_consent_event(source=Source.INBOUND_SMS, evidence=ConsentEvidence(None)), False),
        # Whose message it was is in doubt.
        (a_stop_by_sms(), True),
    ],
)
def test_anything_else_is_no_stop_that_may_be_confirmed(
    event: ConsentEvent, for_key_only: bool
) -> None:
    folded = fold_consent(
        SubjectState(A_SUBJECT_ID),
        event,
        offset=1,
        appended_at=NOON,
        placed=True,
        for_key_only=for_key_only,
    )
    assert folded.state.stop is None


def test_an_erasure_leaves_of_what_was_sent_one_bit() -> None:
    state = replace(
        SubjectState(A_SUBJECT_ID),
        stop=StopSaid(b"d" * 8, NOON),
        answered=(b"e" * 8,),
        referred=True,
    )
    erased = fold_consent(
        state,
        a_consent_event(kind=ConsentKind.ERASURE_REQUESTED, purpose=None),
        offset=1,
        appended_at=NOON,
        placed=True,
    ).state
    assert (erased.stop, erased.answered, erased.referred) == (None, (), True)
