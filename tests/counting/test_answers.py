"""Which message an answer belongs to, whatever order both become known in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.counting.answers import (
    HOUR_MS,
    MOST_KEPT,
    Answer,
    Answered,
    Cohort,
    Recent,
    Sent,
    answered,
    change,
    hour_of,
    total,
)
from streams.testing.records import NOON

DAY = 24 * HOUR_MS
SPRING = Sent(NOON, "spring", "SHOP")
AUTUMN = Sent(NOON + HOUR_MS, "autumn", "SHOP")
ONE = Answered(withdrawals=1)


def recent(*known: Sent | Answer) -> Recent:
    found = Recent()
    for each in known:
        found = found.with_sent(each) if isinstance(each, Sent) else found.with_answer(each)
    return found


def test_a_stop_answers_the_last_message_before_it() -> None:
    stop = Answer(NOON + 2 * HOUR_MS, complaint=False)
    later = Sent(NOON + 3 * HOUR_MS, "winter", "SHOP")
    assert answered(recent(SPRING, AUTUMN, later, stop), DAY) == {
        Cohort("autumn", NOON + HOUR_MS): ONE
    }


def test_it_counts_for_the_hour_of_the_message() -> None:
    stop = Answer(NOON + 20 * HOUR_MS, complaint=False)
    assert answered(recent(SPRING, stop), DAY) == {Cohort("spring", NOON): ONE}


def test_one_that_names_a_campaign_or_sender_answers_only_its_messages() -> None:
    at = NOON + 2 * HOUR_MS
    spring = Answer(at, complaint=False, campaign_id="spring")
    assert answered(recent(SPRING, AUTUMN, spring), DAY) == {Cohort("spring", NOON): ONE}
    other = Answer(at, complaint=False, sender_id="BANK")
    assert answered(recent(SPRING, AUTUMN, other), DAY) == {}


def test_one_that_comes_too_late_or_before_any_message_answers_none() -> None:
    assert answered(recent(SPRING, Answer(NOON + DAY + 1, complaint=False)), DAY) == {}
    assert answered(recent(SPRING, Answer(NOON - 1, complaint=False)), DAY) == {}


def test_a_person_who_says_stop_twice_withdrew_once() -> None:
    twice = [Answer(NOON + n, complaint=False) for n in (1, 2)]
    assert answered(recent(SPRING, *twice), DAY) == {Cohort("spring", NOON): ONE}
    complains = Answer(NOON + 3, complaint=True)
    assert answered(recent(SPRING, *twice, complains), DAY) == {
        Cohort("spring", NOON): Answered(1, 1)
    }


def test_what_is_old_is_forgotten() -> None:
    known = recent(SPRING, AUTUMN, Answer(NOON, complaint=False))
    assert known.since(NOON + 1) == recent(AUTUMN)
    assert len(recent(*(SPRING._replace(at=NOON + n) for n in range(50))).sent) == MOST_KEPT


times = st.integers(NOON, NOON + 30 * HOUR_MS)
names = st.sampled_from(("spring", "autumn"))
senders = st.sampled_from(("SHOP", "BANK"))
known = st.lists(
    st.builds(Sent, times, names, senders)
    | st.builds(Answer, times, st.booleans(), st.none() | names, st.none() | senders),
    max_size=MOST_KEPT,
)


@given(known, st.randoms())
def test_the_changes_add_up_to_the_same_in_any_order(
    history: list[Sent | Answer], shuffled: st.DataObject
) -> None:
    other = list(history)
    shuffled.shuffle(other)  # type: ignore[attr-defined]
    for order in (history, other):
        before, changes = Recent(), []
        for each in order:
            after = before.with_sent(each) if isinstance(each, Sent) else before.with_answer(each)
            changes.append(change(before, after, DAY))
            before = after
        summed = {cohort: by for cohort, by in total(changes).items() if by != Answered()}
        assert summed == answered(recent(*history), DAY)
        assert all(hour_of(cohort.hour) == cohort.hour for cohort in summed)
