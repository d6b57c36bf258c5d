"""A gate's own endpoints, read back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from streams.telemetry import catalogue as facts
from streams.telemetry.health import Health
from streams.telemetry.labels import RebalanceKind
from streams.telemetry.reading import Lag, Reading, quantile, summarise
from streams.telemetry.telemetry import Telemetry
from tests.telemetry.examples import EXAMPLES


def read(telemetry: Telemetry, at: float = 0.0) -> Reading:
    readyz = json.dumps(Health(telemetry).readyz().as_json())
    return Reading.parse(at, generate_latest(telemetry.registry).decode(), readyz)


def test_every_fact_that_a_person_asks_for_is_in_the_summary(telemetry: Telemetry) -> None:
    for example in EXAMPLES:
        telemetry.emit(example)

    summary = summarise(read(telemetry))

    assert not summary.ready
    assert "assigned: not yet" in summary.not_ready_because
    assert summary.policy_version == "a3f9c1"
    assert summary.requests == 3
    assert summary.requests_per_second is None
    assert summary.dead_letters == {"sms.requested": {"undecodable": 1}}
    assert summary.lost == {"sms.requested": 10}
    assert summary.transactions == {"committed": 1, "aborted": 1}
    assert summary.assigned == (0,)


def test_blocks_holds_and_faults_are_told_apart(telemetry: Telemetry) -> None:
    telemetry.emit(
        facts.ReasonsGiven(
            {
                ("invite", "NO_CONSENT", "block"): 2,
                ("invite", "UPLOAD_MANDATORY", "block"): 5,
                ("marketing", "NO_CONSENT", "block"): 1,
                ("marketing", "CAMPAIGN_PAUSED", "hold"): 4,
                ("otp", "STATE_UNDECODABLE", "fault"): 1,
            }
        )
    )

    summary = summarise(read(telemetry))

    assert summary.blocks == {"UPLOAD_MANDATORY": 5, "NO_CONSENT": 3}
    assert list(summary.blocks) == ["UPLOAD_MANDATORY", "NO_CONSENT"]
    assert summary.holds == {"CAMPAIGN_PAUSED": 4}
    assert summary.faults == {"STATE_UNDECODABLE": 1}


def test_the_worst_partition_s_lag_is_told(telemetry: Telemetry) -> None:
    telemetry.emit(facts.Rebalanced(RebalanceKind.ASSIGNED, [0, 1]))
    telemetry.emit(facts.StateLag(0, "consent.events", records=5, seconds=0.1))
    telemetry.emit(facts.StateLag(1, "consent.events", records=2, seconds=9.0))

    assert summarise(read(telemetry)).state_lag == {"consent.events": Lag(5, 9.0)}


def test_two_readings_tell_what_happened_in_between(telemetry: Telemetry) -> None:
    telemetry.emit(facts.RequestsTaken(1_000))
    telemetry.emit(facts.DecisionLatency([40_000] * 1_000))
    earlier = read(telemetry, at=10.0)
    telemetry.emit(facts.RequestsTaken(300))
    telemetry.emit(facts.DecisionLatency([15] * 300))

    summary = summarise(read(telemetry, at=12.0), earlier)

    assert summary.requests == 1_300
    assert summary.requests_per_second == 150
    assert summary.window_seconds == 2
    assert summary.latency_p99 is not None
    assert 0.01 < summary.latency_p99 <= 0.02


def test_a_gate_that_was_started_again_does_not_follow_its_past(telemetry: Telemetry) -> None:
    past = Telemetry()
    past.emit(facts.RequestsTaken(5))

    assert not read(telemetry).follows(read(past))
    assert read(past).follows(read(telemetry))


@pytest.mark.parametrize(
    ("metrics_text", "readyz_text"),
    [
        ("<html>", "{}"),
        ("up 1\n", '{"ready": true}'),
        ("consent_gate_requests_total 1\n", "no"),
        ("consent_gate_requests_total 1\n", "{}"),
    ],
)
def test_what_is_not_a_gate_is_said_to_be_none(metrics_text: str, readyz_text: str) -> None:
    with pytest.raises(ValueError):
        Reading.parse(0.0, metrics_text, readyz_text)


def test_a_quantile_is_interpolated_as_prometheus_does() -> None:
    buckets = [(0.1, 50.0), (0.2, 90.0), (0.5, 100.0), (float("inf"), 100.0)]

    assert quantile(0.5, buckets) == pytest.approx(0.1)
    assert quantile(0.7, buckets) == pytest.approx(0.15)
    assert quantile(0.99, buckets) == pytest.approx(0.47)


def test_a_quantile_above_the_last_bound_is_that_bound() -> None:
    assert quantile(0.99, [(1.0, 1.0), (float("inf"), 100.0)]) == 1.0


def test_without_values_there_is_no_quantile() -> None:
    assert quantile(0.5, []) is None
    assert quantile(0.5, [(1.0, 0.0), (float("inf"), 0.0)]) is None


@given(st.lists(st.integers(0, 20), min_size=1, max_size=6), st.floats(0.01, 1.0))
def test_a_quantile_lies_within_the_bounds(counts: list[int], wanted: float) -> None:
    total = 0
    buckets = []
    for bound, count in enumerate(counts, start=1):
        total += count
        buckets.append((float(bound), float(total)))

    found = quantile(wanted, buckets)

    assert (found is None) == (total == 0)
    assert found is None or 0 <= found <= len(counts)
