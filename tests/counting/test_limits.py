"""What passes a limit, and what does not again after a person resumed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.counting.limits import Counts, Limits, PauseReason, in_words

LIMITS = Limits(
    withdrawals_per_1000=50,
    least_withdrawals=20,
    complaints_per_1000=3,
    least_complaints=3,
    contacts=1_000,
    new_numbers=500,
)


def test_a_share_of_withdrawals_may_be_reached_and_not_passed() -> None:
    assert LIMITS.passed(Counts(sends=1_000, withdrawals=50)) is None
    assert LIMITS.passed(Counts(sends=1_000, withdrawals=51)) is PauseReason.TOO_MANY_WITHDRAWALS


def test_a_few_withdrawals_of_a_few_messages_are_no_alarm() -> None:
    assert LIMITS.passed(Counts(sends=20, withdrawals=20)) is None
    assert LIMITS.passed(Counts(sends=21, withdrawals=21)) is PauseReason.TOO_MANY_WITHDRAWALS


def test_complaints_weigh_more() -> None:
    assert LIMITS.passed(Counts(1_000, 3, 3)) is None
    assert LIMITS.passed(Counts(1_000, 4, 4)) is PauseReason.TOO_MANY_COMPLAINTS
    assert LIMITS.passed(Counts(1_000, 400, 4)) is PauseReason.TOO_MANY_COMPLAINTS


def test_an_uploader_has_limits_of_their_own() -> None:
    assert LIMITS.passed(Counts(contacts=1_000, new_numbers=500)) is None
    assert LIMITS.passed(Counts(contacts=1_001)) is PauseReason.TOO_MANY_CONTACTS
    assert LIMITS.passed(Counts(contacts=501, new_numbers=501)) is PauseReason.TOO_MANY_NEW_NUMBERS


def test_after_a_resume_only_new_answers_count_against_all_messages() -> None:
    forgiven = Counts(sends=1_000, withdrawals=60)
    assert LIMITS.passed(Counts(sends=1_000, withdrawals=110).since(forgiven)) is None
    assert (
        LIMITS.passed(Counts(sends=1_000, withdrawals=111).since(forgiven))
        is PauseReason.TOO_MANY_WITHDRAWALS
    )


def test_the_words_say_the_reason_first_and_the_figures() -> None:
    for reason in PauseReason:
        said = in_words(reason, Counts(812, 43, 7, 55, 44))
        assert said.startswith(f"{reason.value}: ")
        assert any(figure in said for figure in ("43 of 812", "7 of 812", "55", "44"))


counts = st.builds(Counts, *[st.integers(0, 2_000)] * 5)


@given(counts, counts)
def test_more_answers_never_pass_less(some: Counts, more: Counts) -> None:
    if LIMITS.passed(some) is not None:
        assert LIMITS.passed(some.plus(more._replace(sends=0))) is not None
