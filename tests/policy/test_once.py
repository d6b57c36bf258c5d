"""What may be sent once: the answer to a message, the confirmation of a STOP, a referral."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streams.policy.facts import assess
from streams.policy.once import (
    ANSWERS_REMEMBERED,
    CONFIRMED_WITHIN_MS,
    after_sending,
    answer,
    message_digest,
    referral,
)
from streams.policy.vocabulary import Answer, Referral
from streams.records.requests import Occasion
from streams.records.requests import Referral as Referred
from streams.records.subject import StopSaid, SubjectState
from tests.policy.messages import NOW, CampaignTable, NameTable, request, subject


def stopped(reference: str = "m-1", at: int = NOW) -> SubjectState:
    state = subject()
    return replace(state, stop=StopSaid(message_digest(state.subject_id, reference), at))


def test_the_message_that_was_a_stop_may_be_answered_once() -> None:
    before = stopped()
    assert answer(before, "m-1", NOW) is Answer.TO_STOP
    after = after_sending(before, "m-1", refers=False)
    assert answer(after, "m-1", NOW) is Answer.REPEATED
    assert after.stop is None


@pytest.mark.parametrize(
    ("reference", "later_ms", "expected"),
    [
        ("m-1", CONFIRMED_WITHIN_MS, Answer.TO_STOP),
        ("m-1", CONFIRMED_WITHIN_MS + 1, Answer.FIRST),
        ("m-2", 0, Answer.FIRST),
    ],
)
def test_only_that_very_message_and_within_five_minutes(
    reference: str, later_ms: int, expected: Answer
) -> None:
    assert answer(stopped(), reference, NOW + later_ms) is expected


def test_a_message_answered_before_it_was_folded_as_a_stop_is_not_confirmed_again() -> None:
    answered = after_sending(subject(), "m-1", refers=False)
    later = replace(stopped(), answered=answered.answered)
    assert answer(later, "m-1", NOW) is Answer.REPEATED


def test_an_answer_to_another_message_leaves_the_confirmation_owed() -> None:
    after = after_sending(stopped(), "m-2", refers=False)
    assert answer(after, "m-1", NOW) is Answer.TO_STOP
    assert answer(after, "m-2", NOW) is Answer.REPEATED


def test_a_confirmed_stop_does_not_come_back_when_its_answer_is_forgotten() -> None:
    state = after_sending(stopped(), "m-1", refers=False)
    for number in range(ANSWERS_REMEMBERED):
        state = after_sending(state, f"other-{number}", refers=False)
    assert len(state.answered) == ANSWERS_REMEMBERED
    assert answer(state, "m-1", NOW) is Answer.FIRST


def test_the_same_id_of_two_people_looks_unlike() -> None:
    assert message_digest(b"a" * 16, "m-1") != message_digest(b"b" * 16, "m-1")


def test_the_first_referral_is_followed_by_repeated_ones() -> None:
    assert referral(None, refers=True) is Referral.FIRST
    assert referral(subject(), refers=True) is Referral.FIRST
    after = after_sending(subject(), None, refers=True)
    assert referral(after, refers=True) is Referral.REPEATED
    assert referral(after, refers=False) is Referral.NONE
    assert after_sending(after, None, refers=True) is after


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"purpose": "invite"}, (Answer.NONE, Referral.FIRST)),
        ({"referral": Referred("R.")}, (Answer.NONE, Referral.FIRST)),
        ({}, (Answer.NONE, Referral.NONE)),
        (
            {"purpose": "service_reply", "occasion": Occasion("inbound_sms", "m-1")},
            (Answer.TO_STOP, Referral.NONE),
        ),
        # Nothing but a reply answers: an advertisement may name the message as it likes.
        ({"occasion": Occasion("inbound_sms", "m-1")}, (Answer.NONE, Referral.NONE)),
        (
            {"purpose": "service_reply", "occasion": Occasion("inbound_sms", "")},
            (Answer.NONE, Referral.NONE),
        ),
        (
            {"purpose": "service_reply", "occasion": Occasion("order", "m-1")},
            (Answer.NONE, Referral.NONE),
        ),
    ],
)
def test_which_requests_answer_and_which_refer(
    changes: dict[str, object], expected: tuple[Answer, Referral]
) -> None:
    facts = assess(request(**changes), stopped(), NameTable(), CampaignTable(), NOW).facts
    assert (facts.answer, facts.referral) == expected
