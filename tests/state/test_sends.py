"""The send memory: exact within the batch, after a failed transaction, and read back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.policy.caps import MOST, Cap, Caps, kind_of
from streams.policy.facts import NOTHING_SENT
from streams.policy.vocabulary import Frequency, Repetition
from streams.records.decisions import Outcome, SmsDecision
from streams.state.sends import (
    CHECKPOINT_DECISIONS,
    CHECKPOINT_MS,
    PACKED_AT_ONCE,
    PACKED_BYTES,
    Memory,
    Sends,
    entry,
    entry_of_decision,
    pack_head,
    request_digest,
    sends_in,
    sent_before,
    sent_tail,
    waiting_tail,
    with_entry,
)
from streams.testing.records import A_SUBJECT_ID, NOON, an_sms_decision

DAY = 86_400_000
KIND = kind_of("marketing", "SHOP", "spring", None)
CAPS = Caps([Cap(frozenset({"marketing"}), (), 2, DAY)])
OTHER = bytes(reversed(A_SUBJECT_ID))


def an_entry(
    at: int = NOON,
    request: str = "r",
    outcome: Outcome = Outcome.ALLOWED,
    *,
    until: int | None = None,
    kind: bytes = KIND,
    again: bool = False,
) -> bytes:
    return entry(outcome, at, until, request_digest(request), kind, again=again)


def before(
    entries: bytes, request: str = "new", now: int = NOON + 1, after: int | None = None
) -> tuple[Repetition, Frequency, int | None]:
    return tuple(  # type: ignore[return-value]
        sent_before(entries, request_digest(request), KIND, CAPS, now, after)
    )


def test_a_request_id_repeats_within_a_day() -> None:
    entries = an_entry(request="r") + an_entry(request="s")
    assert before(entries, "s")[0] is Repetition.REPEATED
    assert before(entries, "s", NOON + DAY - 1)[0] is Repetition.REPEATED
    assert before(entries, "s", NOON + DAY) == NOTHING_SENT
    assert before(entries, "t")[0] is Repetition.FIRST


def test_what_was_sent_before_an_erasure_does_not_count() -> None:
    entries = an_entry(NOON, "r") + an_entry(NOON + 1, "s")
    assert before(entries, "s", NOON + 2)[1] is Frequency.EXCEEDED
    assert before(entries, "r", NOON + 2, after=NOON) == NOTHING_SENT
    assert before(entries, "s", NOON + 2, after=NOON) == (
        Repetition.REPEATED,
        Frequency.WITHIN,
        None,
    )


def test_what_is_held_is_known_by_its_id_and_takes_no_slot() -> None:
    held = an_entry(request="h", outcome=Outcome.QUARANTINED)
    entries = held + an_entry(request="r")
    assert before(entries, "h") == (Repetition.REPEATED, Frequency.WITHIN, None)


def test_a_hold_that_is_decided_again_counts_as_what_became_of_it() -> None:
    until = NOON + DAY
    held = an_entry(request="h", outcome=Outcome.QUARANTINED, until=until)
    sent = with_entry(held, an_entry(until, "h", again=True), 0)
    assert [(each.at, each.waits) for each in sends_in(sent)] == [(until, False)]
    dropped = an_entry(until, "h", Outcome.DROPPED, again=True)
    (gone,) = sends_in(with_entry(held, dropped, 0))
    assert (gone.kind, gone.waits) == (bytes(16), True)


def test_of_very_many_the_newest_of_each_kind_stay() -> None:
    other, entries = kind_of("otp", "x", None, None), an_entry(NOON - 9)
    for index in range(3_000):
        entries = with_entry(entries, an_entry(NOON + index, str(index), kind=other), 0)
    kinds = [each.kind for each in sends_in(entries)]
    assert kinds[0] == KIND
    assert MOST <= len(kinds) < 1_200


def test_a_batch_that_failed_leaves_no_trace_newest_first() -> None:
    memory = Memory(DAY, 0, NOON)
    kept = memory.begin(NOON)
    memory.note(kept, A_SUBJECT_ID, None, an_entry(request="kept"), NOON)
    first = memory.begin(NOON + 1)
    memory.note(first, A_SUBJECT_ID, memory.of(A_SUBJECT_ID, NOON + 1), an_entry(NOON + 1), NOON)
    memory.note(first, OTHER, None, an_entry(NOON + 1), NOON)
    memory.take(5, NOON + 1)
    second = memory.begin(NOON + DAY)  # the generations turn
    memory.note(second, OTHER, memory.of(OTHER, NOON + DAY), an_entry(NOON + DAY), NOON + DAY)
    second.undo()
    first.undo()
    assert memory.of(A_SUBJECT_ID, NOON + 2) == an_entry(request="kept")
    assert memory.of(OTHER, NOON + 2) is None
    assert memory.pending == [A_SUBJECT_ID + an_entry(request="kept")]
    assert memory.checkpoint == 0


def test_who_is_not_met_for_two_horizons_is_forgotten() -> None:
    memory = Memory(DAY, 0, NOON)
    memory.note(memory.begin(NOON), A_SUBJECT_ID, None, an_entry(), NOON)
    memory.begin(NOON + DAY)
    assert memory.older
    memory.begin(NOON + 2 * DAY)
    assert not memory.older
    assert not memory.recent


def test_who_is_met_again_is_not_forgotten_with_the_others() -> None:
    memory = Memory(7 * DAY, 0, NOON - 6 * DAY)
    memory.note(memory.begin(NOON), A_SUBJECT_ID, None, an_entry(), NOON)
    memory.begin(NOON + DAY)
    assert memory.of(A_SUBJECT_ID, NOON + DAY) == an_entry()
    assert memory.recent


def test_a_checkpoint_is_due_after_so_many_decisions_or_so_much_time() -> None:
    memory = Memory(DAY, 100, NOON)
    assert not memory.due(100 + CHECKPOINT_DECISIONS - 1, NOON)
    assert memory.due(100 + CHECKPOINT_DECISIONS, NOON)
    assert not memory.due(101, NOON + CHECKPOINT_MS)  # nothing to write
    memory.note(memory.begin(NOON), A_SUBJECT_ID, None, an_entry(), NOON)
    assert memory.due(101, NOON + CHECKPOINT_MS)
    assert memory.take(101, NOON) == [A_SUBJECT_ID + an_entry()]
    assert not memory.due(102, NOON + CHECKPOINT_MS)


def test_a_checkpoint_is_written_in_pieces_and_read_back_as_it_was() -> None:
    memory = Memory(DAY, 0, NOON)
    noted = memory.begin(NOON)
    for index in range(PACKED_AT_ONCE + 1):
        person = index.to_bytes(16, "big")
        memory.note(noted, person, None, an_entry(request=str(index)), NOON)
    pieces = memory.take(1, NOON)
    assert [len(piece) // PACKED_BYTES for piece in pieces] == [PACKED_AT_ONCE, 1]
    again = Memory(DAY, 0, NOON)
    for piece in pieces:
        again.read_packed(piece, NOON)
    assert again.recent == memory.recent


def test_what_is_too_old_is_not_read_back() -> None:
    memory = Memory(DAY, 0, NOON)
    memory.read_packed(A_SUBJECT_ID + an_entry(NOON - DAY), NOON)
    assert memory.of(A_SUBJECT_ID, NOON) is None


def test_a_longer_window_than_was_remembered_asks_for_a_restore() -> None:
    sends = Sends(DAY)
    assert sends.reach(DAY // 2)
    assert not sends.reach(7 * DAY)
    assert sends.reach(7 * DAY)


decisions = st.builds(
    an_sms_decision,
    request_id=st.sampled_from(("a", "b", "c")),
    verdict=st.sampled_from(Outcome),
    hold_until=st.none() | st.integers(0, 5).map(lambda hours: NOON + hours * 3_600_000),
    decided_at=st.integers(0, 48).map(lambda hours: NOON + hours * 3_600_000),
    attempt=st.integers(0, 2),
    campaign_id=st.none() | st.just("spring"),
)


@settings(deadline=None)
@given(st.lists(decisions, max_size=12))
def test_what_is_read_back_from_decisions_is_what_was_noted(made: list[SmsDecision]) -> None:
    noted, back = Memory(DAY, 0, NOON), Memory(DAY, 0, NOON)
    for decision in made:
        one = replace(
            decision,
            hold_until=None if decision.verdict is Outcome.ALLOWED else decision.hold_until,
        )
        now = one.decided_at
        remembered = entry_of_decision(one)
        if remembered is None:
            continue
        memory_of = noted.of(A_SUBJECT_ID, now)
        noted.note(noted.begin(now), A_SUBJECT_ID, memory_of, remembered, now)
        back.read_back(A_SUBJECT_ID, remembered, now)
    later = NOON + 48 * 3_600_000
    expected = list(sends_in(noted.of(A_SUBJECT_ID, later) or b"", later - DAY))
    found = list(sends_in(back.of(A_SUBJECT_ID, later) or b"", later - DAY))
    assert expected == found


@pytest.mark.parametrize("index", range(0, 5_000, 500))
def test_ids_that_are_numbered_are_told_apart(index: int) -> None:
    digests = {request_digest(f"order-{number}") for number in range(index, index + 500)}
    assert len(digests) == 500


def test_what_a_failed_batch_noted_is_not_found_in_the_older_generation() -> None:
    memory = Memory(DAY, 0, NOON)
    failed = memory.begin(NOON)
    memory.note(failed, OTHER, None, an_entry(), NOON)
    memory.begin(NOON + DAY)  # the generations turn before it is known to have failed
    failed.undo()
    assert memory.of(OTHER, NOON + DAY - 1) is None


@pytest.mark.parametrize("hold_until", [None, NOON + 7])
def test_what_is_packed_once_for_a_content_is_the_entry_of_a_decision(
    hold_until: int | None,
) -> None:
    request = request_digest("r1")
    at = NOON if hold_until is None else hold_until

    allowed = entry(Outcome.ALLOWED, NOON, hold_until, request, KIND, again=False)
    held = entry(Outcome.QUARANTINED, NOON, hold_until, request, KIND, again=False)

    assert pack_head(NOON, request) + sent_tail(KIND) == allowed
    assert pack_head(at, request) + waiting_tail(KIND) == held
