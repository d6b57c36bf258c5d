"""What cannot be read holds its subject until it is resolved."""

from __future__ import annotations

from streams.records.subject import OLDER_UNDECODABLE, SubjectState
from streams.state.unreadable import (
    MOST_UNDECODABLE,
    mark_undecodable,
    resolve_all_undecodable,
    resolve_undecodable,
)
from streams.testing.records import A_SUBJECT_ID

EMPTY = SubjectState(A_SUBJECT_ID)


def test_an_undecodable_event_holds_its_subject_until_it_is_resolved() -> None:
    held = mark_undecodable(mark_undecodable(EMPTY, offset=7), offset=7)
    assert held.undecodable == (7,)
    assert resolve_undecodable(held, offset=8) == held
    assert resolve_undecodable(held, offset=7).undecodable == ()


def test_what_is_re_sent_twice_holds_once_and_not_again_once_it_is_resolved() -> None:
    held = mark_undecodable(EMPTY, offset=7, resent=b"a digest")
    again = mark_undecodable(held, offset=9, resent=b"a digest")
    assert again.undecodable == (7,)
    other = mark_undecodable(again, offset=11, resent=b"another")
    assert other.undecodable == (7, 11)
    resolved = resolve_undecodable(resolve_undecodable(other, offset=7), offset=11)
    assert mark_undecodable(resolved, offset=13, resent=b"a digest") == resolved


def test_too_many_undecodable_events_name_the_newest_and_hold_until_all_are_resolved() -> None:
    state = EMPTY
    for offset in range(MOST_UNDECODABLE + 5):
        state = mark_undecodable(state, offset=offset)
    assert state.undecodable == (OLDER_UNDECODABLE, *range(5, MOST_UNDECODABLE + 5))
    assert mark_undecodable(state, offset=5) == state
    for offset in range(MOST_UNDECODABLE + 5):
        state = resolve_undecodable(state, offset=offset)
    assert state.undecodable == (OLDER_UNDECODABLE,)
    state = mark_undecodable(state, offset=5_000)
    assert state.undecodable == (OLDER_UNDECODABLE, 5_000)
    assert resolve_all_undecodable(state).undecodable == ()
    assert resolve_all_undecodable(EMPTY) is EMPTY
