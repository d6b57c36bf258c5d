"""A transaction that was slow or failed is followed by a smaller one, until it fits again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.gate.batch_bound import FEWEST_FOLDED, BatchBound

SLOW = 2.5


def a_bound() -> BatchBound:
    return BatchBound(max_records=10_000, max_folded=20_000, slow_seconds=SLOW)


def test_at_first_the_settings_are_the_bound() -> None:
    bound = a_bound()
    assert (bound.records, bound.folded) == (10_000, 20_000)


def test_after_a_slow_one_the_next_is_half_of_it() -> None:
    bound = a_bound()
    bound.committed(3_000, SLOW + 0.1)
    assert (bound.records, bound.folded) == (1_500, 3_000)


def test_what_fails_again_and_again_gets_as_small_as_one_request_and_stays_there() -> None:
    bound = a_bound()
    for _ in range(30):
        bound.failed(bound.records)
    assert (bound.records, bound.folded) == (1, FEWEST_FOLDED)


def test_what_fails_without_requests_folds_less() -> None:
    bound = a_bound()
    bound.failed(0)
    assert bound.folded == 10_000


def test_quick_ones_lead_back_to_the_settings() -> None:
    bound = a_bound()
    for _ in range(30):
        bound.failed(bound.records)
    for _ in range(14):
        bound.committed(bound.records, 0.01)
    assert (bound.records, bound.folded) == (10_000, 20_000)


@given(
    per_record=st.floats(0.0001, 1.0),
    records=st.integers(1, 10_000),
)
def test_whatever_a_request_takes_a_batch_that_fits_is_found(
    per_record: float, records: int
) -> None:
    """The time-out is 10 s: what takes more than half of it is aborted."""
    bound = BatchBound(records, 20_000, SLOW)
    last = 0.0
    for _ in range(40):
        count = bound.records
        last = count * per_record
        if last > 2 * SLOW:
            bound.failed(count)
        else:
            bound.committed(count, last)
    # It tries twice as much again, rounded, never more: what then takes too long is halved at once.
    assert last <= 2 * SLOW + per_record
