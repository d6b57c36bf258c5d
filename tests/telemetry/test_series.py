"""Labels are closed, series exist before their first event, gauges leave with their partition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.records.decisions import Outcome
from streams.telemetry.labels import StallCause
from streams.telemetry.metrics import (
    DEAD_LETTERS,
    DECISIONS,
    LOST_RECORDS,
    METRICS,
    POLICY_INFO,
    REQUESTS,
    STALLED_PARTITIONS,
    STATE_LAG_RECORDS,
)
from streams.telemetry.series import OTHER, Kind, Label, Series

PURPOSES = frozenset({"invite", "otp"})
LABELS = [label for instrument in METRICS for label in instrument.labels]


@pytest.mark.parametrize("label", LABELS, ids=lambda label: label.name)
def test_each_label_is_bounded_in_exactly_one_way(label: Label) -> None:
    assert [bool(label.values), label.from_policy, label.pattern is not None].count(True) == 1


@given(given_value=st.text())
@pytest.mark.parametrize("label", [label for label in LABELS if label.pattern is None])
def test_no_text_makes_a_value_outside_the_closed_set(label: Label, given_value: str) -> None:
    closed = label.close(given_value, PURPOSES)

    assert closed in {OTHER, *(PURPOSES if label.from_policy else label.values)}


@pytest.mark.parametrize("label", [label for label in LABELS if label.pattern is not None])
def test_a_phone_number_is_no_partition_and_no_version(label: Label) -> None:
    assert label.close("+8613812345678", PURPOSES) == OTHER


def test_every_unknown_purpose_counts_in_one_series() -> None:
    series = Series(METRICS)
    series.register_purposes(PURPOSES)

    for number in range(100):
        series.add(DECISIONS, 1, f"made-up-{number}", Outcome.DROPPED)

    assert series.values(DECISIONS)[OTHER, "DROPPED"] == 100
    assert {purpose for purpose, _ in series.values(DECISIONS)} == {OTHER, *PURPOSES}


def test_what_alerts_look_at_stands_at_zero_before_the_first_event() -> None:
    """Else ``increase()`` would not see the first one: a series that begins at 1 did not rise."""
    series = Series(METRICS)
    series.register_purposes(PURPOSES)

    assert series.values(REQUESTS) == {(): 0.0}
    assert series.values(LOST_RECORDS)["sms.requested",] == 0.0
    assert series.values(DEAD_LETTERS)["consent.events", "undecodable"] == 0.0
    assert series.values(DECISIONS)["otp", "ALLOWED"] == 0.0
    samples = [s for family in series.collect() for s in family.samples]
    stalled = [s.value for s in samples if s.name == STALLED_PARTITIONS.name]
    assert stalled == [0.0] * len(StallCause)


def test_purposes_of_a_new_policy_keep_the_old_counts() -> None:
    series = Series(METRICS)
    series.register_purposes(PURPOSES)
    series.add(DECISIONS, 5, "otp", Outcome.ALLOWED)

    series.register_purposes(frozenset({"otp", "reminder"}))

    assert series.values(DECISIONS)["otp", "ALLOWED"] == 5
    assert series.values(DECISIONS)["reminder", "ALLOWED"] == 0


def test_a_counter_cannot_fall() -> None:
    with pytest.raises(ValueError, match="cannot fall"):
        Series(METRICS).add(REQUESTS, -1)


def test_only_one_version_is_shown() -> None:
    series = Series(METRICS)
    series.set_only(POLICY_INFO, 1, "a1")

    series.set_only(POLICY_INFO, 1, "b2")

    assert series.values(POLICY_INFO) == {("b2",): 1.0}


def test_a_partition_stands_under_one_cause_at_a_time() -> None:
    series = Series(METRICS)
    series.place(STALLED_PARTITIONS, 3, "restoring")

    series.place(STALLED_PARTITIONS, 3, "state_not_reached")

    assert series.members(STALLED_PARTITIONS) == {3: ("state_not_reached",)}


def test_forgetting_a_partition_keeps_the_others() -> None:
    series = Series(METRICS)
    for partition in (1, 11):
        series.set(STATE_LAG_RECORDS, 7, partition, "consent.events")

    series.forget_partition(STATE_LAG_RECORDS, 1)

    assert list(series.values(STATE_LAG_RECORDS)) == [("11", "consent.events")]


def test_every_kind_is_collected() -> None:
    assert {instrument.kind for instrument in METRICS} == set(Kind)
    assert {family.name for family in Series(METRICS).collect()} == {
        instrument.name.removesuffix("_total") for instrument in METRICS
    }
