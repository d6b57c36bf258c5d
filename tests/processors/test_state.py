"""An agent's state as its handler sees it: its own changes at once, nobody else's, and counted."""

from __future__ import annotations

import pytest

from streams.errors import TooLarge
from streams.processors.kept import Kept
from streams.processors.state import KEY_MAX_CHARACTERS, VALUE_MAX_BYTES, AgentState
from streams.topology import CONSENT_EVENTS, SMS_INBOUND


@pytest.fixture
def state() -> AgentState:
    return AgentState(1, Kept({"a": b"1", "b": b"2"}), {SMS_INBOUND.name: 41})


def test_changes_are_seen_at_once_and_kept_apart(state: AgentState) -> None:
    state.put("c", b"3")
    state.delete("a")
    state.put("b", b"2")

    assert (state.get("a"), state.get("b"), state.get("c")) == (None, b"2", b"3")
    assert list(state.items()) == [("b", b"2"), ("c", b"3")]
    assert state.changes() == {"a": None, "c": b"3"}


def test_items_are_those_of_a_prefix_in_the_order_of_their_keys(state: AgentState) -> None:
    for key in ("hour/2", "hour/1", "other"):
        state.put(key, b"x")

    assert [key for key, _ in state.items("hour/")] == ["hour/1", "hour/2"]


def test_an_attempt_counts_only_once_it_is_kept(state: AgentState) -> None:
    dropped, kept = state.attempt(), state.attempt()
    dropped.put("a", b"9")
    kept.put("b", b"9")
    kept.delete("a")
    kept.keep()

    assert state.changes() == {"b": b"9", "a": None}
    assert list(state.attempt().items()) == [("b", b"9")]


def test_it_says_how_far_each_source_is_applied(state: AgentState) -> None:
    assert state.applied(SMS_INBOUND) == 41
    assert state.applied(CONSENT_EVENTS) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [("", b""), ("k" * (KEY_MAX_CHARACTERS + 1), b""), ("k", bytes(VALUE_MAX_BYTES + 1))],
    ids=["no key", "a long key", "a large value"],
)
def test_what_is_no_small_state_is_refused(state: AgentState, key: str, value: bytes) -> None:
    with pytest.raises(TooLarge):
        state.put(key, value)
