"""The question whether a consent is the recipient's: once, and reminded once, while it waits."""

from __future__ import annotations

from typing import Any

import pytest

from streams.policy.asking import REMINDED_AFTER_MS, after_asking
from streams.policy.facts import assess
from streams.policy.policy import Policy
from streams.policy.reasons import Reason
from streams.policy.verdicts import Allow, Drop, Quarantine, Verdict
from streams.policy.vocabulary import Asking
from streams.records.events import Source
from streams.records.requests import Claim, Occasion, SmsRequested
from streams.records.subject import SubjectState
from tests.policy.messages import (
    NOW,
    CampaignTable,
    NameTable,
    grant,
    request,
    small,
    subject,
    withdrawal,
)

DAY = 86_400_000
ABOUT = Occasion("confirmation", "granted")
WAITING = subject(grants=(grant(),))
ALLOWED = "'purpose == Purpose.MARKETING && consent == Consent.GRANTED' => allow consent"


@pytest.fixture(scope="module")
def policy() -> Policy:
    return small(
        ALLOWED,
        purposes="  marketing: Advertising.\n  confirmation: Questions.\n"
        "confirm: {purposes: [marketing], within_days: 7}",
    )


def question(**changes: Any) -> SmsRequested:
    return request(**{"purpose": "confirmation", "occasion": ABOUT, **changes})


def asked(
    policy: Policy, state: SubjectState, now: int = NOW, **changes: Any
) -> tuple[Asking, Verdict]:
    seen = assess(
        question(**changes),
        state,
        NameTable(),
        CampaignTable(),
        now,
        confirming=policy.confirming,
    )
    return seen.facts.asking, policy.decide(seen)


def test_the_first_question_passes_and_names_its_consent(policy: Policy) -> None:
    assert asked(policy, WAITING) == (Asking.FIRST, Allow("question-about-consent"))
    tables = NameTable(), CampaignTable()
    seen = assess(question(), WAITING, *tables, NOW, confirming=policy.confirming)
    assert seen.consent_event_id == "granted"


def test_it_is_repeated_once_and_not_before_a_day(policy: Policy) -> None:
    once = after_asking(WAITING, "granted", NOW)
    later = NOW + REMINDED_AFTER_MS
    twice = after_asking(once, "granted", later)

    assert asked(policy, once, later - 1)[1] == Drop((Reason.DUPLICATE_REQUEST,))
    assert asked(policy, once, later) == (Asking.REMINDER, Allow("question-about-consent"))
    assert asked(policy, twice, later + 2 * DAY) == (
        Asking.REPEATED,
        Drop((Reason.DUPLICATE_REQUEST,)),
    )


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(subject(), id="nothing was given"),
        pytest.param(subject(grants=(grant(confirmed_at=NOW - 1),)), id="confirmed"),
        pytest.param(subject(grants=(grant(event_id="other"),)), id="another waits"),
        pytest.param(subject(grants=(grant(sender_id="bank"),)), id="another sender's"),
        pytest.param(subject(grants=(grant(source=Source.DOUBLE_OPT_IN),)), id="needs none"),
        pytest.param(subject(grants=(grant(counts_from=NOW - 8 * DAY),)), id="has run out"),
        pytest.param(
            subject(grants=(grant(counts_from=NOW - 1, offset=30),), withdrawals=(withdrawal(),)),
            id="given anew after a withdrawal",
        ),
        pytest.param(
            subject(grants=(grant(),), erased_at=NOW - 11_000), id="given anew after an erasure"
        ),
    ],
)
def test_nothing_is_asked_where_nothing_waits(policy: Policy, state: SubjectState) -> None:
    assert asked(policy, state) == (Asking.NONE, Drop((Reason.NO_CONSENT,)))


@pytest.mark.parametrize(
    "changes",
    [
        {"occasion": None},
        {"occasion": Occasion("order", "granted")},
        {"occasion": Occasion("confirmation", "")},
    ],
)
def test_a_question_names_the_consent(policy: Policy, changes: dict[str, Any]) -> None:
    assert asked(policy, WAITING, **changes)[0] is Asking.NONE


def test_a_question_with_an_invitation_in_it_is_held(policy: Policy) -> None:
    _, verdict = asked(policy, WAITING, claims=(Claim("former_colleague"),))

    assert verdict == Quarantine((Reason.PURPOSE_MISMATCH,))


def test_asking_anew_after_its_time_counts_from_the_beginning(policy: Policy) -> None:
    long_ago = grant(asked=(NOW - 9 * DAY, NOW - 8 * DAY))

    assert asked(policy, subject(grants=(long_ago,)))[0] is Asking.FIRST
