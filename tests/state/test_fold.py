"""What the fold means, rule by rule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streams.policy.consent import consent_for
from streams.policy.vocabulary import Consent
from streams.records.decisions import Refusal
from streams.records.events import (
    Basis,
    ConsentEvent,
    ConsentKind,
    Origin,
    Scope,
    Source,
)
from streams.records.subject import SubjectState
from streams.state.fold import (
    APPLIED_REMEMBERED,
    CLOCK_AHEAD_MS,
    MOST_WITHDRAWALS,
    Folded,
    carried,
    fold_consent,
)
from streams.testing.records import (
    A_DAY_MS,
    A_SUBJECT_ID,
    NOON,
    a_consent_event,
    a_withdrawal,
)

EMPTY = SubjectState(A_SUBJECT_ID)
MINUTE = 60_000


def grant(event_id: str = "grant", **changes: object) -> ConsentEvent:
    fields = {"event_id": event_id, "purpose": "marketing", "source": Source.SELF_SERVICE}
    return a_consent_event(**{**fields, **changes})


def stop(event_id: str = "stop", **changes: object) -> ConsentEvent:
    return a_withdrawal(**{"event_id": event_id, "purpose": "marketing", **changes})


def event(kind: ConsentKind, event_id: str = "", **changes: object) -> ConsentEvent:
    fields = {"kind": kind, "event_id": event_id or kind.value, "purpose": None}
    return a_consent_event(**{**fields, **changes})


def folded(*appended: tuple[ConsentEvent, int], start: SubjectState = EMPTY) -> Folded:
    """Fold events, each with its append time; the offset is the place in the list."""
    outcome = Folded(start)
    for offset, (each, at) in enumerate(appended):
        outcome = fold_consent(outcome.state, each, offset=offset, appended_at=at, placed=True)
    return outcome


def consent(
    state: SubjectState, now: int = NOON + A_DAY_MS, sender: str = "SHOP", campaign: str = "spring"
) -> Consent:
    return consent_for(state, "marketing", sender, campaign, now).status


def test_a_grant_is_consent() -> None:
    outcome = folded((grant(occurred_at=NOON), NOON))
    assert outcome.refusal is None
    assert consent(outcome.state) is Consent.GRANTED


def test_a_withdrawal_ends_every_earlier_grant_whatever_the_clocks_say() -> None:
    ahead = NOON + CLOCK_AHEAD_MS
    outcome = folded((grant(occurred_at=ahead), NOON), (stop(occurred_at=0), NOON + 1))
    assert consent(outcome.state) is Consent.WITHDRAWN


def test_a_late_grant_does_not_undo_a_withdrawal() -> None:
    outcome = folded(
        (stop(occurred_at=NOON), NOON),
        (grant(occurred_at=NOON - MINUTE), NOON + MINUTE),
    )
    assert outcome.refusal is Refusal.LATE
    assert consent(outcome.state) is Consent.WITHDRAWN


def test_a_tie_goes_to_the_withdrawal() -> None:
    outcome = folded((stop(), NOON), (grant(occurred_at=NOON), NOON))
    assert outcome.refusal is Refusal.LATE
    assert consent(outcome.state) is Consent.WITHDRAWN


def test_a_fresh_grant_by_the_person_undoes_a_withdrawal() -> None:
    outcome = folded((stop(), NOON), (grant(occurred_at=NOON + 1), NOON + 2))
    assert outcome.refusal is None
    assert consent(outcome.state) is Consent.GRANTED


@pytest.mark.parametrize("source", [Source.BULK_IMPORT, Source.OPERATOR, Source.CARRIER])
def test_nobody_else_undoes_a_withdrawal(source: Source) -> None:
    outcome = folded((stop(), NOON), (grant(occurred_at=NOON + 1, source=source), NOON + 2))
    assert outcome.refusal is Refusal.WEAK_SOURCE
    assert consent(outcome.state) is Consent.WITHDRAWN


def test_a_grant_from_a_clock_far_ahead_is_refused_and_stays_so() -> None:
    early = grant(occurred_at=NOON + CLOCK_AHEAD_MS + 1)
    first = folded((early, NOON))
    assert first.refusal is Refusal.CLOCK_AHEAD
    again = folded((early, NOON + CLOCK_AHEAD_MS), start=first.state)
    assert again.refusal is Refusal.DUPLICATE
    assert consent(again.state) is Consent.NONE


def test_that_the_number_belongs_here_is_remembered_of_refused_events_too() -> None:
    before = folded((grant(), NOON)).state
    unplaced = replace(before, placed=False)
    for each, for_key_only, refusal in (
        (grant(), False, Refusal.DUPLICATE),
        (grant("other"), True, Refusal.KEY_MISMATCH),
        (grant("other", purpose=None), False, Refusal.NO_PURPOSE),
    ):
        outcome = fold_consent(
            unplaced, each, offset=9, appended_at=NOON, placed=True, for_key_only=for_key_only
        )
        assert (outcome.state.placed, outcome.refusal) == (True, refusal)
        elsewhere = fold_consent(
            unplaced, each, offset=9, appended_at=NOON, placed=False, for_key_only=for_key_only
        )
        assert not elsewhere.state.placed
        assert outcome.state.grants == elsewhere.state.grants == before.grants


def test_a_redelivered_withdrawal_does_not_end_a_later_grant() -> None:
    outcome = folded((stop(), NOON), (grant(occurred_at=NOON + 1), NOON + 2), (stop(), NOON + 3))
    assert outcome.refusal is Refusal.DUPLICATE
    assert consent(outcome.state) is Consent.GRANTED


def test_another_event_under_the_same_id_counts() -> None:
    outcome = folded((grant("1", occurred_at=NOON), NOON), (stop("1", occurred_at=NOON), NOON + 1))
    assert outcome.refusal is None
    assert consent(outcome.state) is Consent.WITHDRAWN


def test_a_grant_without_a_purpose_is_refused() -> None:
    assert folded((grant(purpose=None), NOON)).refusal is Refusal.NO_PURPOSE


def test_a_withdrawal_from_one_sender_leaves_the_others() -> None:
    narrow = stop(scope=Scope(sender_id="SHOP"))
    state = folded((grant(occurred_at=NOON), NOON), (narrow, NOON + 1)).state
    assert consent(state, sender="SHOP") is Consent.WITHDRAWN
    assert consent(state, sender="OTHER") is Consent.GRANTED


def test_a_withdrawal_without_purpose_covers_everything() -> None:
    state = folded((grant(occurred_at=NOON), NOON), (stop(purpose=None), NOON + 1)).state
    assert consent(state) is Consent.WITHDRAWN


def test_a_grant_ends_on_its_day() -> None:
    state = folded((grant(occurred_at=NOON, expires_at=NOON + A_DAY_MS), NOON)).state
    assert consent(state, now=NOON + A_DAY_MS - 1) is Consent.GRANTED
    assert consent(state, now=NOON + A_DAY_MS) is Consent.EXPIRED


@pytest.mark.parametrize("kind", [ConsentKind.NUMBER_REASSIGNED, ConsentKind.NUMBER_DISCONNECTED])
def test_a_reassigned_number_carries_no_consent_of_its_former_holder(kind: ConsentKind) -> None:
    reassigned = event(kind, effective_at=NOON + 10)
    state = folded((grant(occurred_at=NOON), NOON), (reassigned, NOON + 20)).state
    assert consent(state) is not Consent.GRANTED
    late = folded((grant("late", occurred_at=NOON + 9), NOON + 30), start=state)
    assert late.refusal is Refusal.LATE
    new = folded((grant("new", occurred_at=NOON + 25), NOON + 30), start=state)
    assert consent(new.state) is Consent.GRANTED


@pytest.mark.parametrize("kind", [ConsentKind.NUMBER_REASSIGNED, ConsentKind.NUMBER_DISCONNECTED])
def test_whose_a_stop_was_cannot_be_told_so_it_outlives_the_holder(kind: ConsentKind) -> None:
    changed = event(kind, effective_at=NOON + 10)
    state = folded((stop(), NOON), (changed, NOON + 20)).state
    assert consent(state) is Consent.WITHDRAWN
    imported = grant("imported", occurred_at=NOON + 30, source=Source.BULK_IMPORT)
    assert folded((imported, NOON + 30), start=state).refusal is Refusal.WEAK_SOURCE
    yes = grant("new", occurred_at=NOON + 30)
    new = folded((stop(), NOON), (changed, NOON + 20), (yes, NOON + 30)).state
    assert consent(new) is Consent.GRANTED, "the new holder's own yes"


def test_what_goes_along_to_another_number_is_every_withdrawal_and_nothing_else() -> None:
    narrow = stop("narrow", scope=Scope(sender_id="SHOP"), source=Source.INBOUND_SMS)
    old = folded((grant(), NOON - 1), (narrow, NOON), (stop("all", purpose=None), NOON + 1)).state
    moved = folded((event(ConsentKind.NUMBER_MOVED), NOON + 2), start=old).state
    along = carried(moved, "+12025550199", "1-7")
    assert [each.event_id for each in along] == ["moved/1-7/0", "moved/1-7/1"]
    assert along == carried(moved, "+12025550199", "1-7")
    assert {each.kind for each in along} == {ConsentKind.WITHDRAWN}
    new = folded((grant(), NOON), *((each, NOON + 3) for each in along)).state
    assert [
        (each.purpose, each.sender_id, each.campaign_id, each.source) for each in new.withdrawals
    ] == [(each.purpose, each.sender_id, each.campaign_id, each.source) for each in old.withdrawals]
    assert consent(new) is Consent.WITHDRAWN
    assert consent(moved, sender="OTHER") is not Consent.GRANTED
    again = folded((along[0], NOON + 4), start=new)
    assert again.refusal is Refusal.DUPLICATE


def checked(since: int | None, until: int, event_id: str = "") -> ConsentEvent:
    return event(ConsentKind.NUMBER_CHECKED, event_id, effective_at=since, occurred_at=until)


def found(state: SubjectState) -> tuple[int | None, int | None]:
    return state.checked_since, state.checked_at


def test_two_findings_that_overlap_are_one() -> None:
    first, second = checked(NOON, NOON + 10, "1"), checked(NOON + 10, NOON + 20, "2")
    late = NOON + 100
    assert found(folded((first, late), (second, late)).state) == (NOON, NOON + 20)
    assert found(folded((second, late), (first, late)).state) == (NOON, NOON + 20)
    apart = checked(NOON + 30, NOON + 40, "3")
    assert found(folded((first, late), (apart, late)).state) == (NOON + 30, NOON + 40)
    assert found(folded((apart, late), (first, late)).state) == (NOON + 30, NOON + 40)


def test_a_finding_counts_until_it_was_appended_and_says_nothing_of_former_holders() -> None:
    assert found(folded((checked(NOON, NOON + 50), NOON + 20)).state) == (NOON, NOON + 20)
    changed = event(ConsentKind.NUMBER_REASSIGNED, effective_at=NOON + 10)
    state = folded((checked(NOON, NOON + 5), NOON + 20), (changed, NOON + 20)).state
    assert found(state) == (None, None)
    again = folded((checked(NOON, NOON + 30, "2"), NOON + 30), start=state)
    assert (found(again.state), again.refusal) == ((None, None), Refusal.LATE)
    assert folded((checked(NOON + 30, NOON + 20), NOON + 40)).refusal is Refusal.LATE
    erased = event(ConsentKind.ERASURE_REQUESTED)
    assert found(folded((checked(NOON, NOON + 5), NOON + 20), (erased, NOON + 20)).state) == (
        None,
        None,
    )


def test_leaving_ends_membership_and_the_consents_given_with_it() -> None:
    before = grant("before", occurred_at=NOON - A_DAY_MS, scope=Scope(sender_id="OTHER"))
    joined = event(ConsentKind.REGISTERED, occurred_at=NOON)
    during = grant("during", occurred_at=NOON - 1000, scope=Scope(sender_id="SHOP"))
    left = event(ConsentKind.UNREGISTERED, occurred_at=NOON + MINUTE)
    state = folded(
        (before, NOON - A_DAY_MS), (joined, NOON), (during, NOON), (left, NOON + MINUTE)
    ).state
    assert state.membership is None
    assert consent(state, sender="SHOP") is not Consent.GRANTED
    assert consent(state, sender="OTHER") is Consent.GRANTED
    late = folded(
        (event(ConsentKind.REGISTERED, "late", occurred_at=NOON), NOON + 2 * MINUTE), start=state
    )
    assert late.refusal is Refusal.LATE


def test_an_erasure_leaves_the_hash_the_suppression_and_its_time() -> None:
    state = folded(
        (grant(occurred_at=NOON, time_zone="Europe/Paris"), NOON),
        (event(ConsentKind.NUMBER_ORIGIN, origin=Origin.CUSTOMER, occurred_at=NOON), NOON),
        (stop(purpose=None), NOON + 1),
        (event(ConsentKind.ERASURE_REQUESTED), NOON + 2),
    ).state
    kept = replace(
        EMPTY, placed=True, withdrawals=state.withdrawals, erased_at=NOON + 2, applied=state.applied
    )
    assert state == kept
    assert len(state.withdrawals) == 1


@pytest.mark.parametrize(
    ("source", "opens"),
    [
        (Source.SELF_SERVICE, True),
        (Source.DOUBLE_OPT_IN, True),
        (Source.INBOUND_SMS, False),
        (Source.BULK_IMPORT, False),
    ],
)
def test_only_the_person_opens_again_after_an_erasure(source: Source, opens: bool) -> None:
    erased = event(ConsentKind.ERASURE_REQUESTED)
    fresh = grant(occurred_at=NOON + 1, source=source)
    outcome = folded((erased, NOON), (fresh, NOON + 2))
    assert (outcome.refusal is None) is opens
    assert (consent(outcome.state) is Consent.GRANTED) is opens


OF_BEFORE = [
    grant(occurred_at=NOON),
    event(ConsentKind.REGISTERED, occurred_at=NOON),
    event(ConsentKind.NUMBER_ORIGIN, origin=Origin.SELF_ENTERED, occurred_at=NOON),
]


@pytest.mark.parametrize("late", OF_BEFORE, ids=lambda each: each.kind.value)
def test_nothing_older_than_an_erasure_counts(late: ConsentEvent) -> None:
    erased = event(ConsentKind.ERASURE_REQUESTED)
    before = folded((erased, NOON)).state

    after = folded((erased, NOON), (late, NOON + 2))

    assert after.refusal is Refusal.LATE
    assert replace(after.state, applied=before.applied) == before


@pytest.mark.parametrize("late", OF_BEFORE, ids=lambda each: each.kind.value)
def test_nothing_older_than_a_new_holder_counts(late: ConsentEvent) -> None:
    moved = event(ConsentKind.NUMBER_REASSIGNED, effective_at=NOON + 1, occurred_at=NOON + 1)
    assert folded((moved, NOON + 1), (late, NOON + 2)).refusal is Refusal.LATE


def test_an_event_under_another_numbers_key_restricts_that_number_and_allows_it_nothing() -> None:
    def as_key(each: ConsentEvent) -> Folded:
        return fold_consent(EMPTY, each, offset=0, appended_at=NOON, placed=True, for_key_only=True)

    assert as_key(grant()).refusal is Refusal.KEY_MISMATCH
    assert as_key(stop()).refusal is None
    erasure = as_key(event(ConsentKind.ERASURE_REQUESTED))
    assert erasure.refusal is Refusal.KEY_MISMATCH, "nothing is forgotten in doubt"


def test_too_many_withdrawals_are_widened_never_forgotten() -> None:
    state = folded((grant(occurred_at=NOON), NOON)).state
    for number in range(MOST_WITHDRAWALS + 1):
        narrow = stop(f"s{number}", scope=Scope(campaign_id=f"c{number}"))
        state = fold_consent(
            state, narrow, offset=number + 1, appended_at=NOON + number, placed=True
        ).state
    assert len(state.withdrawals) <= MOST_WITHDRAWALS
    assert consent(state, campaign="c0") is Consent.WITHDRAWN


def test_the_memory_of_events_is_bounded() -> None:
    state = EMPTY
    for number in range(3 * APPLIED_REMEMBERED):
        state = fold_consent(
            state, stop(str(number)), offset=number, appended_at=NOON, placed=True
        ).state
    assert len(state.applied) == APPLIED_REMEMBERED


@pytest.mark.parametrize("ahead", [4 * MINUTE, 60 * MINUTE], ids=["counted", "refused"])
@pytest.mark.parametrize("burst", [1, 3 * APPLIED_REMEMBERED])
def test_a_yes_dated_ahead_and_redelivered_after_many_events_does_not_undo_the_stop(
    ahead: int, burst: int
) -> None:
    yes = grant(occurred_at=NOON + ahead)
    state = folded((yes, NOON), (stop(), NOON + MINUTE)).state
    for number in range(burst):
        other = grant(f"g{number}", purpose="service", occurred_at=NOON)
        state = fold_consent(
            state, other, offset=2 + number, appended_at=NOON + 2 * MINUTE, placed=True
        ).state
    again = fold_consent(state, yes, offset=900, appended_at=NOON + 2 * ahead, placed=True)
    assert again.refusal is Refusal.DUPLICATE
    assert consent(again.state) is Consent.WITHDRAWN


def test_what_is_remembered_of_events_dated_ahead_is_bounded_too() -> None:
    state = EMPTY
    for number in range(3 * APPLIED_REMEMBERED):
        for event_id, at in ((f"a{number}", NOON + 1), (f"b{number}", NOON)):
            state = fold_consent(
                state,
                grant(event_id, occurred_at=at),
                offset=number,
                appended_at=NOON,
                placed=True,
            ).state
    assert len(state.applied) == 2 * APPLIED_REMEMBERED


def test_soft_opt_in_is_kept_apart_from_express_consent() -> None:
    soft = grant("soft", basis=Basis.SOFT_OPT_IN, occurred_at=NOON)
    express = grant("express", basis=Basis.EXPRESS, occurred_at=NOON)
    state = folded((soft, NOON), (express, NOON)).state
    assert {g.basis for g in state.grants} == {Basis.SOFT_OPT_IN, Basis.EXPRESS}


def yes(**changes: object) -> ConsentEvent:
    """A plain yes from the number: it names no purpose."""
    said = replace(grant("yes", purpose=None), source=Source.INBOUND_SMS, occurred_at=NOON + 5)
    return replace(said, **changes)  # type: ignore[arg-type]


def test_a_yes_without_a_purpose_confirms_what_was_given_before_it() -> None:
    outcome = folded((grant(), NOON), (yes(), NOON + 9))

    (confirmed,) = outcome.state.grants
    assert (outcome.refusal, confirmed.confirmed_at) == (None, NOON + 9)
    assert folded((yes(event_id="2"), NOON + 10), start=outcome.state).refusal is not None


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (yes(), "nothing was given"),
        (yes(source=Source.SELF_SERVICE), "not from the number itself"),
        (yes(source=Source.BULK_IMPORT), "not from the number itself"),
    ],
)
def test_a_yes_without_a_purpose_grants_nothing(said: ConsentEvent, why: str) -> None:
    outcome = folded((said, NOON + 9))

    assert (outcome.refusal, outcome.state.grants) == (Refusal.NO_PURPOSE, ()), why


@pytest.mark.parametrize(
    ("given", "said", "counts"),
    [
        pytest.param(
            grant(occurred_at=NOON), yes(occurred_at=NOON - 1), False, id="said before it was given"
        ),
        pytest.param(grant(), yes(scope=Scope("SHOP")), True, id="a sender's, of all senders'"),
        pytest.param(
            grant(scope=Scope("SHOP")), yes(scope=Scope("NEWS")), False, id="another sender's"
        ),
        pytest.param(
            grant(scope=Scope(None, "spring")),
            yes(scope=Scope(None, "autumn")),
            False,
            id="another campaign's",
        ),
        pytest.param(
            grant(source=Source.DOUBLE_OPT_IN), yes(), False, id="of what is confirmed as it is"
        ),
        pytest.param(grant(), yes(source=Source.DOUBLE_OPT_IN), True, id="by a link"),
    ],
)
def test_what_a_yes_confirms(given: ConsentEvent, said: ConsentEvent, counts: bool) -> None:
    (kept,) = folded((given, NOON), (said, NOON + 9)).state.grants

    assert (kept.confirmed_at is not None) is counts


def test_a_yes_below_what_it_should_confirm_confirms_nothing() -> None:
    outcome = folded((yes(), NOON), (grant(), NOON + 9))

    assert [each.confirmed_at for each in outcome.state.grants] == [None]


def test_a_yes_brings_nothing_back_that_was_withdrawn_before_it() -> None:
    outcome = folded((grant(), NOON), (stop(), NOON + 1), (yes(), NOON + 9))

    assert (outcome.refusal, outcome.state.grants) == (Refusal.NO_PURPOSE, ())


def test_what_was_confirmed_stays_when_the_person_asks_anew() -> None:
    again = grant(event_id="again", occurred_at=NOON + 20)

    outcome = folded((grant(), NOON), (yes(), NOON + 9), (again, NOON + 30))

    assert [each.confirmed_at for each in outcome.state.grants] == [NOON + 9, None]


def test_however_often_a_form_is_sent_what_was_asked_is_known() -> None:
    first = folded((grant(), NOON)).state
    asked = replace(first, grants=(replace(first.grants[0], asked=(NOON,)),))

    again = folded((grant("again", occurred_at=NOON + 20), NOON + 30), start=asked)

    assert [(each.event_id, each.asked) for each in again.state.grants] == [("again", (NOON,))]
