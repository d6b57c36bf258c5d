"""
Fold, facts and the plain policy together, on any events in any order: nothing more is allowed
than what was said allows.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.policy.facts import assess
from streams.policy.policy import Policy
from streams.policy.verdicts import Allow
from streams.records.events import (
    Basis,
    ConsentEvent,
    ConsentKind,
    ContactEntry,
    ContactKind,
    Origin,
    Scope,
    Source,
)
from streams.records.requests import Initiator, Occasion, SmsRequested
from streams.records.subject import SubjectState
from streams.state.fold import fold_consent
from streams.state.fold_contacts import fold_contact
from streams.state.unreadable import mark_undecodable
from streams.testing.records import (
    A_SUBJECT_ID,
    NOON,
    a_consent_event,
    a_contact_entry,
    a_withdrawal,
)
from tests.policy.messages import (
    FRIEND,
    CampaignTable,
    NameTable,
    confirmed_by_user,
    plain_policy,
    request,
)

MINUTE = 60_000
LONGEST = 10
"""Events of a log. It must be below what a state remembers of redelivered ones (32)."""

RESTS_ON_CONSENT = ("invite", "marketing")
PURPOSES = (*RESTS_ON_CONSENT, "transactional")

unhurried = settings(deadline=None)
"""A shared machine may stop a test for longer than any deadline."""


@cache
def shipped() -> Policy:
    return plain_policy()


def messages() -> list[SmsRequested]:
    """Messages to which nothing objects but what the recipient said and where they come from."""
    occasions = {
        "transactional": Occasion("order", "4711"),
        "otp": Occasion("login", "session"),
        "service_reply": Occasion("inbound_sms", "message"),
    }
    return [
        request(
            purpose=purpose,
            sender_id=sender,
            campaign_id=campaign,
            initiator=confirmed_by_user() if purpose == "invite" else Initiator(),
            occasion=occasions.get(purpose),
        )
        for purpose in (*RESTS_ON_CONSENT, *occasions)
        for sender in ("shop", "news")
        for campaign in (None, "spring")
    ]


MESSAGES = messages()


def allowed(state: SubjectState, now_ms: int) -> set[int]:
    """Which of the messages may go, by their place."""
    return {
        place
        for place, message in enumerate(MESSAGES)
        if isinstance(
            shipped().decide(
                assess(message, state, NameTable(FRIEND), CampaignTable("paused"), now_ms)
            ),
            Allow,
        )
    }


def of_purpose(*purposes: str) -> set[int]:
    return {place for place, message in enumerate(MESSAGES) if message.purpose in purposes}


@st.composite
def an_event(draw: st.DrawFn, kinds: tuple[ConsentKind, ...] = tuple(ConsentKind)) -> ConsentEvent:
    """An event that happened at a minute of its own choice; ``occurred_at`` is set by its log."""
    kind = draw(st.sampled_from(kinds))
    purposes = (*PURPOSES, None) if kind is ConsentKind.WITHDRAWN else PURPOSES
    # Mostly what allows: else nothing would be left that an error could allow wrongly.
    sources = st.just(Source.SELF_SERVICE) | st.sampled_from(tuple(Source))
    senders, campaigns = st.just(None) | st.just("shop"), st.just(None) | st.just("spring")
    return a_consent_event(
        event_id=draw(st.uuids()).hex,
        kind=kind,
        purpose=draw(st.sampled_from(purposes)),
        basis=draw(st.just(Basis.EXPRESS) | st.sampled_from(tuple(Basis))),
        conditional=draw(st.sampled_from((False, False, False, True))),
        scope=Scope(draw(senders), draw(campaigns)),
        source=draw(sources),
        origin=draw(st.none() | st.sampled_from(tuple(Origin))),
        expires_at=draw(st.none() | st.integers(0, 200).map(lambda m: NOON + m * MINUTE)),
        effective_at=draw(st.none() | st.integers(0, 100).map(lambda m: NOON + m * MINUTE)),
    )


@st.composite
def histories(
    draw: st.DrawFn, kinds: tuple[ConsentKind, ...] = tuple(ConsentKind)
) -> list[ConsentEvent]:
    """Events in the order in which they happened, some minutes apart."""
    happened, at = [], NOON
    for event in draw(st.lists(an_event(kinds), max_size=LONGEST)):
        at += draw(st.integers(1, 9)) * MINUTE
        happened.append(replace(event, occurred_at=at))
    return happened


def folded(
    log: list[tuple[ConsentEvent | ContactEntry, int]], state: SubjectState | None = None
) -> SubjectState:
    """Fold records with their append times, made monotone as the gate makes them."""
    state, newest = state or SubjectState(A_SUBJECT_ID), 0
    for offset, (record, appended_at) in enumerate(log):
        newest = max(newest, appended_at)
        if isinstance(record, ConsentEvent):
            state = fold_consent(
                state, record, offset=offset, appended_at=newest, placed=True
            ).state
        else:
            state = fold_contact(state, record, appended_at=newest, kept_days=30)
    return state


def at_once(history: list[ConsentEvent]) -> list[tuple[ConsentEvent | ContactEntry, int]]:
    """Each event appended at the moment at which it happened."""
    return [(event, event.occurred_at) for event in history]


def after(history: list[ConsentEvent]) -> int:
    return max((event.occurred_at for event in history), default=NOON) + MINUTE


entries = st.builds(
    a_contact_entry,
    kind=st.sampled_from(ContactKind),
    upload_id=st.sampled_from(("one", "other")),
    mandatory=st.booleans(),
    undisclosed=st.booleans(),
    uploaded_at=st.integers(0, 90).map(lambda minute: NOON + minute * MINUTE),
    expires_at=st.none() | st.integers(0, 200).map(lambda minute: NOON + minute * MINUTE),
)


# --------------------------------------------------------------------------------------- absence


@unhurried
@given(histories(), st.lists(entries, max_size=3), st.data())
def test_without_a_yes_for_it_no_advertising_and_no_invitation_goes(
    history: list[ConsentEvent], books: list[ContactEntry], data: st.DataObject
) -> None:
    purpose = data.draw(st.sampled_from(RESTS_ON_CONSENT))
    silent = [
        event
        for event in history
        if not (event.kind is ConsentKind.GRANTED and event.purpose == purpose)
    ]
    log = at_once(silent) + [(entry, after(silent)) for entry in books]
    log = data.draw(st.permutations(log))
    for now in (after(history), after(history) + 100 * MINUTE):
        assert not allowed(folded(log), now) & of_purpose(purpose)


def test_of_whom_nothing_is_known_only_what_they_asked_for_goes() -> None:
    asked_for = of_purpose("otp", "service_reply")
    assert allowed(SubjectState(A_SUBJECT_ID), NOON) == asked_for


def test_with_a_yes_for_everything_everything_goes() -> None:
    """The properties here say only what may not go: this one, that they can fail."""
    history = [
        a_consent_event(event_id=purpose, purpose=purpose, occurred_at=NOON) for purpose in PURPOSES
    ]
    assert allowed(folded(at_once(history)), after(history)) == set(range(len(MESSAGES)))


# ------------------------------------------------------------------------------- order and copies


K = ConsentKind
WHAT_PLAYS_TOGETHER = (
    (K.GRANTED, K.WITHDRAWN),
    (K.GRANTED, K.REGISTERED, K.UNREGISTERED),
    (K.GRANTED, K.REGISTERED, K.NUMBER_ORIGIN, K.NUMBER_REASSIGNED, K.NUMBER_DISCONNECTED),
    (K.GRANTED, K.WITHDRAWN, K.REGISTERED, K.NUMBER_ORIGIN, K.ERASURE_REQUESTED),
    tuple(K),
)


@pytest.mark.parametrize("kinds", WHAT_PLAYS_TOGETHER, ids=lambda kinds: kinds[-1].value)
@unhurried
@given(data=st.data())
def test_no_order_of_arrival_allows_more_than_the_order_in_which_it_happened(
    kinds: tuple[ConsentKind, ...], data: st.DataObject
) -> None:
    history = data.draw(histories(kinds))
    in_order = folded(at_once(history))
    late = after(history)
    arrival = [
        (event, late + place) for place, event in enumerate(data.draw(st.permutations(history)))
    ]
    for now in (late + LONGEST, late + 100 * MINUTE):
        assert allowed(folded(arrival), now) <= allowed(in_order, now)


def test_the_late_end_of_an_earlier_membership_ends_what_was_granted_with_it() -> None:
    """It comes before its beginning: that membership is not known, only the one after it."""
    said = {
        minute: a_consent_event(event_id=str(minute), kind=kind, occurred_at=NOON + minute * MINUTE)
        for minute, kind in (
            (1, K.REGISTERED),
            (2, K.GRANTED),
            (10, K.UNREGISTERED),
            (20, K.REGISTERED),
        )
    }
    arrival = [(said[minute], NOON + 30 * MINUTE) for minute in (20, 2, 10, 1)]
    assert not allowed(folded(arrival), NOON + 40 * MINUTE) & of_purpose("marketing")


@pytest.mark.parametrize("kinds", WHAT_PLAYS_TOGETHER, ids=lambda kinds: kinds[-1].value)
@unhurried
@given(data=st.data())
def test_copies_of_what_was_said_change_nothing(
    kinds: tuple[ConsentKind, ...], data: st.DataObject
) -> None:
    history = data.draw(histories(kinds))
    log = at_once(history)
    for event in data.draw(st.lists(st.sampled_from(history), max_size=10)) if history else []:
        first = next(place for place, (said, _) in enumerate(log) if said is event)
        place = data.draw(st.integers(first + 1, len(log)))
        appended_at = log[place - 1][1]
        log.insert(place, (event, appended_at))
    for now in (after(history), after(history) + 100 * MINUTE):
        assert allowed(folded(log), now) == allowed(folded(at_once(history)), now)


# -------------------------------------------------------------------------------- the last word


@unhurried
@given(histories(), st.sampled_from((None, *PURPOSES)), st.integers(-60, 60), st.data())
def test_after_a_withdrawal_nothing_goes_that_it_covers(
    history: list[ConsentEvent], purpose: str | None, skew_minutes: int, data: st.DataObject
) -> None:
    last = after(history)
    stop = a_withdrawal(
        event_id="stop",
        purpose=purpose,
        occurred_at=last + skew_minutes * MINUTE,  # whatever its own clock says
        source=data.draw(st.sampled_from(Source)),
    )
    log = at_once(history)
    state = folded([*log, (stop, last)])
    covered = of_purpose(*(PURPOSES if purpose is None else (purpose,)))
    if purpose is None:
        covered |= of_purpose("service_reply")
    for now in (last, last + 100 * MINUTE):
        assert not allowed(state, now) & covered


@unhurried
@given(histories(), st.data())
def test_after_a_withdrawal_only_what_was_said_later_by_the_person_allows_again(
    history: list[ConsentEvent], data: st.DataObject
) -> None:
    last = after(history)
    stop = a_withdrawal(event_id="stop", purpose=None, occurred_at=last)
    later = data.draw(an_event((ConsentKind.GRANTED,)))
    minutes = data.draw(st.integers(-30, 4))
    later = replace(later, occurred_at=last + minutes * MINUTE)
    log = [*at_once(history), (stop, last), (later, last)]
    if minutes <= 0 or not later.source.from_recipient:
        log[-1] = (later, last + 10 * MINUTE)
        assert not allowed(folded(log), last + 11 * MINUTE) & of_purpose(*PURPOSES)
    else:
        # Appended no later than the STOP by the clock: a tie goes to the STOP.
        assert not allowed(folded(log), last + MINUTE) & of_purpose(*PURPOSES)


@unhurried
@given(
    histories(),
    an_event(
        (
            ConsentKind.WITHDRAWN,
            ConsentKind.UNREGISTERED,
            ConsentKind.NUMBER_REASSIGNED,
            ConsentKind.NUMBER_DISCONNECTED,
            ConsentKind.ERASURE_REQUESTED,
        )
    ),
)
def test_one_more_restriction_never_allows_more(
    history: list[ConsentEvent], restriction: ConsentEvent
) -> None:
    last = after(history)
    log = at_once(history)
    more = folded([*log, (replace(restriction, occurred_at=last), last)])
    for now in (last, last + 100 * MINUTE):
        assert allowed(more, now) <= allowed(folded(log), now)


@unhurried
@given(histories(), entries, st.data())
def test_an_address_book_never_allows_more(
    history: list[ConsentEvent], entry: ContactEntry, data: st.DataObject
) -> None:
    entry = replace(entry, kind=ContactKind.ADDED)
    log = at_once(history)
    place = data.draw(st.integers(0, len(log)))
    tainted = [*log[:place], (entry, after(history[:place])), *log[place:]]
    for now in (after(history), after(history) + 100 * MINUTE):
        assert allowed(folded(tainted), now) <= allowed(folded(log), now)


@unhurried
@given(histories(), st.data())
def test_while_an_event_could_not_be_read_nothing_goes(
    history: list[ConsentEvent], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(history)))
    log = at_once(history)
    state = mark_undecodable(folded(log[:place]), offset=1_000)
    assert allowed(folded(log[place:], state), after(history)) == set()
