"""Properties of the fold that hold for any events in any order (Hypothesis)."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from streams.policy.confirming import CONFIRMS, MAY_NEED_IT, Confirming
from streams.policy.consent import consent_for
from streams.policy.vocabulary import Consent
from streams.records.events import Basis, ConsentEvent, ConsentKind, Scope, Source
from streams.records.subject import SubjectState
from streams.state.fold import APPLIED_REMEMBERED, fold_consent
from streams.testing.records import A_SUBJECT_ID, NOON, a_consent_event

PURPOSES = ("marketing", "invite")
SENDERS = (None, "SHOP", "NEWS")
CAMPAIGNS = (None, "spring")
TICK = 1_000


@st.composite
def events(draw: st.DrawFn, kinds: tuple[ConsentKind, ...] = tuple(ConsentKind)) -> ConsentEvent:
    kind = draw(st.sampled_from(kinds))
    purpose: str | None = draw(st.sampled_from(PURPOSES))
    if kind is ConsentKind.WITHDRAWN:
        purpose = draw(st.sampled_from((*PURPOSES, None)))
    if kind is ConsentKind.GRANTED and draw(st.integers(0, 3)) == 0:
        purpose = None  # a plain yes, which confirms
    return a_consent_event(
        event_id=draw(st.text("abcdef", min_size=4, max_size=4)),
        kind=kind,
        purpose=purpose,
        basis=draw(st.sampled_from(tuple(Basis))),
        conditional=draw(st.booleans()),
        scope=Scope(draw(st.sampled_from(SENDERS)), draw(st.sampled_from(CAMPAIGNS))),
        occurred_at=NOON + TICK * draw(st.integers(-30, 30)),
        effective_at=draw(st.none() | st.integers(-30, 30).map(lambda t: NOON + TICK * t)),
        expires_at=draw(st.none() | st.integers(-30, 60).map(lambda t: NOON + TICK * t)),
        source=draw(st.sampled_from(tuple(Source))),
        origin=None,
    )


def fold_all(log: list[ConsentEvent]) -> SubjectState:
    """Fold a log whose records are appended a second apart."""
    state = SubjectState(A_SUBJECT_ID)
    for offset, event in enumerate(log):
        state = fold_consent(
            state, event, offset=offset, appended_at=NOON + TICK * offset, placed=True
        ).state
    return state


def allowed(
    state: SubjectState, now: int, confirming: Confirming | None = None
) -> set[tuple[str, str, str]]:
    """Every message that consent would carry."""
    return {
        (purpose, sender, campaign)
        for purpose in PURPOSES
        for sender in ("SHOP", "NEWS")
        for campaign in ("spring", "autumn")
        if consent_for(state, purpose, sender, campaign, now, confirming).status is Consent.GRANTED
    }


def covers(event: ConsentEvent, message: tuple[str, str, str]) -> bool:
    purpose, sender, campaign = message
    return (
        event.purpose in (None, purpose)
        and event.scope.sender_id in (None, sender)
        and event.scope.campaign_id in (None, campaign)
    )


logs = st.lists(events(), max_size=12)
nows = st.integers(0, 60).map(lambda t: NOON + TICK * t)


@given(logs, nows)
def test_every_yes_is_newer_than_every_no_that_covers_it(log: list[ConsentEvent], now: int) -> None:
    for message in allowed(fold_all(log), now):
        last_no = max(
            (
                offset
                for offset, event in enumerate(log)
                if event.kind is ConsentKind.WITHDRAWN and covers(event, message)
            ),
            default=-1,
        )
        yeses = [
            event
            for event in log[last_no + 1 :]
            if event.kind is ConsentKind.GRANTED
            and event.purpose == message[0]
            and covers(event, message)
            and (last_no < 0 or event.source.from_recipient)
            and (last_no < 0 or event.occurred_at > NOON + TICK * last_no)
            and (event.expires_at is None or now < event.expires_at)
        ]
        assert yeses, "a message is carried by no grant that came after the last no"


@given(logs, events((ConsentKind.WITHDRAWN,)), nows)
def test_one_more_withdrawal_never_allows_more(
    log: list[ConsentEvent], no: ConsentEvent, now: int
) -> None:
    assert allowed(fold_all([*log, no]), now) <= allowed(fold_all(log), now)


@given(
    logs,
    st.sampled_from(
        (
            ConsentKind.NUMBER_REASSIGNED,
            ConsentKind.NUMBER_MOVED,
            ConsentKind.UNREGISTERED,
            ConsentKind.ERASURE_REQUESTED,
        )
    ),
    st.data(),
    nows,
)
def test_what_restricts_never_allows_more(
    log: list[ConsentEvent], kind: ConsentKind, data: st.DataObject, now: int
) -> None:
    restricting = data.draw(events((kind,)))
    assert allowed(fold_all([*log, restricting]), now) <= allowed(fold_all(log), now)


@given(logs, st.data(), nows)
def test_without_its_grants_a_log_allows_nothing(
    log: list[ConsentEvent], data: st.DataObject, now: int
) -> None:
    silent = [event for event in log if event.kind is not ConsentKind.GRANTED]
    assert allowed(fold_all(silent), now) == set()


@given(st.lists(events(), max_size=APPLIED_REMEMBERED, unique=True), st.data())
def test_a_redelivered_event_changes_nothing(log: list[ConsentEvent], data: st.DataObject) -> None:
    state = fold_all(log)
    for event in data.draw(st.permutations(log)):
        again = fold_consent(
            state, event, offset=len(log), appended_at=NOON + TICK * 1000, placed=True
        )
        assert again.state == state
        assert again.refusal is not None


@given(logs, st.integers(0, 11), nows)
def test_a_withdrawal_that_comes_late_still_stops(
    log: list[ConsentEvent], place: int, now: int
) -> None:
    """Moved to the end of the log, a STOP allows no more than where it stood."""
    stops = [i for i, event in enumerate(log) if event.kind is ConsentKind.WITHDRAWN]
    if not stops:
        return
    index = stops[place % len(stops)]
    late = [*log[:index], *log[index + 1 :], log[index]]
    for message in allowed(fold_all(late), now):
        assert not covers(log[index], message)


@given(logs, nows)
def test_the_state_keeps_no_number(log: list[ConsentEvent], now: int) -> None:
    state = fold_all(log)
    assert all(event.subject not in repr(state) for event in log)
    assert replace(state, subject_id=b"") != state


@given(logs, nows, st.integers(0, 40))
def test_what_must_be_confirmed_is_carried_only_by_the_number_s_own_word(
    log: list[ConsentEvent], now: int, ticks: int
) -> None:
    """And confirming never allows what was not allowed without it."""
    express = [replace(event, basis=Basis.EXPRESS) for event in log]
    state = fold_all(express)
    confirming = Confirming(frozenset(PURPOSES), MAY_NEED_IT, ticks * TICK)

    carried = allowed(state, now, confirming)

    assert carried <= allowed(state, now)
    for message in carried:
        last_no = max(
            (
                at
                for at, event in enumerate(express)
                if event.kind is ConsentKind.WITHDRAWN and covers(event, message)
            ),
            default=-1,
        )
        assert any(
            event.kind is ConsentKind.GRANTED
            and event.source in CONFIRMS
            and (event.purpose is None or covers(event, message))
            for event in express[last_no + 1 :]
        )
