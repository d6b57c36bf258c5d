"""Who is found in an address book: members who let others find them, and nobody else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streams.records.events import Basis, ConsentEvent, ConsentKind, ContactKind, Scope, Source
from streams.records.subject import SubjectState, Withdrawal
from streams.state import screening
from streams.state.fold import fold_consent
from streams.state.screening import DISCOVERABLE, Screening, findable
from streams.state.unreadable import mark_undecodable
from streams.testing.records import NOON, a_consent_event, a_contact_entry, a_withdrawal

YES = a_consent_event(
    event_id="yes",
    purpose=DISCOVERABLE,
    basis=Basis.EXPRESS,
    source=Source.SELF_SERVICE,
    occurred_at=NOON,
)
JOINED = a_consent_event(
    event_id="joined", kind=ConsentKind.REGISTERED, purpose=None, occurred_at=NOON
)


def state_after(*events: ConsentEvent) -> SubjectState:
    """What is known once these were appended, a second apart, each dated when it was."""
    state = SubjectState(bytes(16))
    for offset, event in enumerate(events):
        at = NOON + 1_000 * (offset + 1)
        dated = replace(event, occurred_at=at)
        state = fold_consent(state, dated, offset=offset, appended_at=at, placed=True).state
    return state


def test_a_member_who_said_yes_is_found() -> None:
    assert findable(state_after(JOINED, YES), NOON + 10_000)
    assert findable(state_after(YES, JOINED), NOON + 10_000)


@pytest.mark.parametrize(
    "events",
    [
        (),
        (YES,),
        (JOINED,),
        (JOINED, replace(YES, purpose="marketing")),
        (JOINED, replace(YES, basis=Basis.IMPLIED)),
        (JOINED, replace(YES, conditional=True)),
        (JOINED, replace(YES, scope=Scope("ACME"))),
        (JOINED, replace(YES, expires_at=NOON + 9_000)),
        (JOINED, YES, a_withdrawal(purpose=DISCOVERABLE)),
        (JOINED, YES, a_withdrawal(purpose=None)),
        (JOINED, YES, replace(JOINED, event_id="left", kind=ConsentKind.UNREGISTERED)),
        (JOINED, YES, replace(JOINED, event_id="erased", kind=ConsentKind.ERASURE_REQUESTED)),
        (JOINED, YES, replace(JOINED, event_id="sold", kind=ConsentKind.NUMBER_REASSIGNED)),
    ],
    ids=lambda events: "-".join(f"{e.kind.value}:{e.purpose}" for e in events) or "nothing",
)
def test_everybody_else_is_not(events: tuple[ConsentEvent, ...]) -> None:
    assert not findable(state_after(*events), NOON + 10_000)
    assert not findable(None, NOON)


def test_who_said_yes_again_after_a_stop_is_found_again() -> None:
    again = replace(YES, event_id="again")
    assert findable(state_after(JOINED, YES, a_withdrawal(purpose=None), again), NOON + 10_000)


def test_in_doubt_nobody_is_found() -> None:
    member = state_after(JOINED, YES)
    assert not findable(mark_undecodable(member, offset=9), NOON + 10_000)
    doubt = Withdrawal(None, None, None, NOON + 60_000, 99, Source.OPERATOR, "lost")
    assert not findable(replace(member, withdrawals=(doubt,)), NOON + 70_000)


def test_each_upload_is_told_by_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screening, "MOST_POSITIONS", 2)
    member = state_after(JOINED, YES)
    found = Screening(3)
    for position, state in ((0, member), (1, None), (2, member)):
        found.add(a_contact_entry(upload_id="a", position=position), state, NOON + 10_000)
    found.add(a_contact_entry(upload_id="b", position=0), None, NOON + 10_000)
    found.add(a_contact_entry(upload_id="b", position=0, uploader_id=bytes(16)), member, NOON)
    back = a_contact_entry(upload_id="a", position=7, kind=ContactKind.WITHDRAWN)
    found.add(back, member, NOON + 10_000)

    told = list(found.told(NOON))

    assert [(t.upload_id, t.screened, t.members, t.taken_back) for t in told] == [
        ("a", (0, 1), (0,), (7,)),
        ("a", (2,), (2,), ()),
        ("b", (0,), (), ()),
        ("b", (0,), (0,), ()),
    ]
    assert {t.partition for t in told} == {3}
    assert {t.screened_at for t in told} == {NOON}
