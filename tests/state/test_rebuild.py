"""A rebuilt state is the gate's where the ledger is whole, and never milder where it is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.records.decisions import LedgerRecord, LossAnswer, Refusal
from streams.records.events import ConsentEvent, ConsentKind, Source
from streams.records.subject import SubjectState, UploadTrace
from streams.state.fold import fold_consent
from streams.state.rebuild import Rebuild, doubt_of, event_of
from streams.state.unreadable import mark_undecodable
from streams.testing.records import (
    A_DAY_MS,
    A_SUBJECT_ID,
    NOON,
    a_consent_event,
    a_grant,
    a_ledger_record,
    a_loss_record,
    a_withdrawal,
)
from tests.state.test_fold_properties import TICK, allowed, events, logs, nows

K = ConsentKind


def record_of(event: ConsentEvent, offset: int, at: int, refusal: Refusal | None) -> LedgerRecord:
    """What the gate writes into the ledger about an event."""
    return a_ledger_record(
        offset=offset,
        event_id=event.event_id,
        kind=event.kind,
        purpose=event.purpose,
        basis=event.basis,
        conditional=event.conditional,
        sender_id=event.scope.sender_id,
        campaign_id=event.scope.campaign_id,
        source=event.source,
        origin=event.origin,
        occurred_at=event.occurred_at,
        appended_at=at,
        effective_at=event.effective_at,
        expires_at=event.expires_at,
        time_zone=event.time_zone,
        region=event.region,
        refusal=refusal,
    )


def gate(log: list[ConsentEvent], others: frozenset[int] = frozenset()) -> Any:
    """
    Fold a log as the gate does; return the state and the ledger.

    ``others``: places of events that came under this person's key, but are of somebody else.
    """
    state, ledger = SubjectState(A_SUBJECT_ID), []
    for offset, event in enumerate(log):
        at = NOON + TICK * offset
        folded = fold_consent(
            state,
            event,
            offset=offset,
            appended_at=at,
            placed=True,
            for_key_only=offset in others,
        )
        state = folded.state
        ledger.append(record_of(event, offset, at, folded.refusal))
    return state, ledger


def rebuilt(ledger: list[LedgerRecord]) -> Rebuild:
    rebuild = Rebuild()
    for record in ledger:
        rebuild.ledgered(record)
    return rebuild


def only(rebuild: Rebuild) -> SubjectState:
    return rebuild.states.get(A_SUBJECT_ID, SubjectState(A_SUBJECT_ID))


# ------------------------------------------------------------------------------------- the whole


@given(st.lists(events(), max_size=40), st.data())
def test_a_whole_ledger_gives_the_very_state_that_the_gate_had(
    log: list[ConsentEvent], data: st.DataObject
) -> None:
    repeated = [*log, *data.draw(st.lists(st.sampled_from(log), max_size=5))] if log else log
    others = data.draw(st.frozensets(st.integers(0, 44), max_size=5))

    state, ledger = gate(repeated, others)

    rebuild = rebuilt(ledger)
    assert only(rebuild) == state
    assert (rebuild.tally.kept_refused, rebuild.tally.newly_refused) == (0, 0)


def test_every_field_that_the_fold_reads_is_in_the_ledger() -> None:
    event = a_consent_event(
        kind=K.NUMBER_REASSIGNED,
        effective_at=NOON,
        expires_at=NOON + 1,
        time_zone="Asia/Shanghai",
        region="CN",
        conditional=True,
        evidence=None,
    )

    again = event_of(record_of(event, 3, NOON, None))

    assert again == replace(event, subject="")


# ------------------------------------------------------------------------- a ledger without its end


@given(logs, st.integers(0, 12), nows)
def test_with_the_current_state_a_ledger_without_its_beginning_allows_the_same(
    log: list[ConsentEvent], gone: int, now: int
) -> None:
    state, ledger = gate(log)
    rest = ledger[gone:]
    rebuild = rebuilt(rest)

    rebuild.remembered(
        {A_SUBJECT_ID: state}, current=True, ledger_from=rest[0].offset if rest else len(log)
    )

    assert allowed(only(rebuild), now) == allowed(state, now)


@given(logs, st.integers(0, 12), st.integers(0, 12), nows)
def test_an_old_state_of_any_age_never_makes_it_milder(
    log: list[ConsentEvent], gone: int, age: int, now: int
) -> None:
    """The ledger lacks its beginning, the changelog its end: what either restricts, counts."""
    whole, ledger = gate(log)
    old, _ = gate(log[:age])
    rest = ledger[gone:]
    with_old, alone = rebuilt(rest), rebuilt(rest)

    with_old.remembered({A_SUBJECT_ID: old}, current=False, ledger_from=gone)

    assert allowed(only(with_old), now) <= allowed(only(alone), now)
    if age >= gone:  # nothing was seen by neither
        assert allowed(only(with_old), now) <= allowed(whole, now)


def test_an_import_that_a_forgotten_stop_refused_stays_refused() -> None:
    stop = a_withdrawal(event_id="stop", purpose=None, occurred_at=NOON)
    imported = a_consent_event(event_id="import", source=Source.BULK_IMPORT, occurred_at=NOON)
    _, ledger = gate([stop, imported])

    rebuild = rebuilt(ledger[1:])

    assert only(rebuild).grants == ()
    assert rebuild.tally.kept_refused == 1
    # Coming again it is still the same event.
    again = fold_consent(
        only(rebuild), imported, offset=9, appended_at=NOON + A_DAY_MS, placed=True
    )
    assert again.refusal is Refusal.DUPLICATE


# ----------------------------------------------------------------------- what the ledger cannot say


def test_holds_and_traces_come_from_the_old_state() -> None:
    trace = UploadTrace("upload", bytes(16), True, True, NOON, NOON + A_DAY_MS)
    old = replace(mark_undecodable(SubjectState(A_SUBJECT_ID), offset=7), uploads=(trace,))
    rebuild = Rebuild()

    rebuild.remembered({A_SUBJECT_ID: old}, current=False, ledger_from=None)

    assert (only(rebuild).undecodable, only(rebuild).uploads) == ((7,), (trace,))


def test_a_grant_of_an_old_state_that_is_not_current_is_not_taken_over() -> None:
    old = replace(SubjectState(A_SUBJECT_ID), grants=(a_grant(offset=1),))

    stale, current = Rebuild(), Rebuild()
    stale.remembered({A_SUBJECT_ID: old}, current=False, ledger_from=5)
    current.remembered({A_SUBJECT_ID: old}, current=True, ledger_from=5)

    assert only(stale).grants == ()
    assert only(current).grants == old.grants


def test_who_was_held_is_held_again_until_resolved() -> None:
    rebuild = Rebuild()
    rebuild.passed(A_SUBJECT_ID, 3, None)
    rebuild.passed(A_SUBJECT_ID, 4, None)
    rebuild.resolved(A_SUBJECT_ID, 3, at=5)

    assert only(rebuild).undecodable == (4,)


def test_all_resolved_are_those_before_and_not_those_since() -> None:
    old = mark_undecodable(mark_undecodable(SubjectState(A_SUBJECT_ID), offset=2), offset=9)
    rebuild = Rebuild()
    rebuild.remembered({A_SUBJECT_ID: old}, current=False, ledger_from=None)

    rebuild.resolved(A_SUBJECT_ID, None, at=5)

    assert only(rebuild).undecodable == (9,)


def test_an_unreadable_event_that_was_re_sent_twice_holds_once() -> None:
    rebuild = Rebuild()
    rebuild.passed(A_SUBJECT_ID, 3, bytes(16))
    rebuild.passed(A_SUBJECT_ID, 4, bytes(16))

    assert only(rebuild).undecodable == (3,)


# ------------------------------------------------------------------------------------------ losses

ENDED = a_loss_record(
    topic="consent.events",
    answer=LossAnswer.CONSENTS_ENDED,
    counts_from=NOON + TICK * 100,
    offset=50,
)


@given(logs, nows)
def test_an_accepted_loss_ends_every_consent(log: list[ConsentEvent], now: int) -> None:
    _, ledger = gate(log)
    rebuild = rebuilt(ledger)
    rebuild.lost(ENDED)

    doubt = rebuild.ended()

    assert doubt == doubt_of(ENDED)
    assert allowed(only(rebuild), now) == set()


def test_after_an_accepted_loss_only_a_fresh_own_yes_counts() -> None:
    rebuild = Rebuild()
    rebuild.lost(ENDED)
    doubt = rebuild.ended()
    assert doubt is not None
    unknown = SubjectState(A_SUBJECT_ID, withdrawals=(doubt,))
    later = ENDED.counts_from + A_DAY_MS
    own = a_consent_event(occurred_at=later, source=Source.DOUBLE_OPT_IN)
    imported = replace(own, source=Source.BULK_IMPORT)

    yes = fold_consent(unknown, own, offset=51, appended_at=later, placed=True)
    no = fold_consent(unknown, imported, offset=51, appended_at=later, placed=True)

    assert allowed(yes.state, later + 1) >= {("marketing", "SHOP", "spring")}
    assert no.refusal is Refusal.WEAK_SOURCE


@given(logs)
def test_what_was_restored_lifts_the_doubt_and_leaves_no_trace(log: list[ConsentEvent]) -> None:
    state, ledger = gate(log)
    in_doubt = rebuilt(ledger)
    in_doubt.lost(ENDED)
    in_doubt.ended()

    lifted = rebuilt(ledger)
    lifted.lost(ENDED)
    lifted.lost(replace(ENDED, answer=LossAnswer.RESTORED))
    lifted.remembered(in_doubt.states, current=True, ledger_from=None)

    assert lifted.ended() is None
    assert only(lifted) == state


def test_a_rebuild_that_was_cut_off_leaves_no_trace_either() -> None:
    """Its doubt stands in some states and in the Position that warns, but not in the ledger."""
    state, ledger = gate([a_consent_event(occurred_at=NOON)])
    cut_off = rebuilt(ledger)
    cut_off.lost(ENDED)
    doubt = cut_off.ended()

    again = rebuilt(ledger)
    again.remembered(cut_off.states, current=True, ledger_from=None, doubt=doubt)

    assert only(again) == state


def test_a_doubt_stays_where_it_may_hide_a_stop_older_than_the_ledger() -> None:
    _, ledger = gate([a_consent_event(occurred_at=NOON)])
    in_doubt = rebuilt(ledger)
    in_doubt.lost(ENDED)
    in_doubt.ended()

    lifted = rebuilt(ledger)
    lifted.lost(replace(ENDED, answer=LossAnswer.RESTORED))
    lifted.remembered(in_doubt.states, current=True, ledger_from=0)

    assert only(lifted).withdrawals == (doubt_of(ENDED),)


def test_skipped_requests_say_nothing_about_consent() -> None:
    rebuild = Rebuild()
    rebuild.lost(a_loss_record())

    assert rebuild.ended() is None
