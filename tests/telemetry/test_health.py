"""Ready only when every condition holds; alive only while the loop goes round."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from streams.telemetry import catalogue as facts
from streams.telemetry import metrics
from streams.telemetry.health import BEAT_SECONDS, Health
from streams.telemetry.labels import Condition, RebalanceKind, StallCause
from streams.telemetry.telemetry import Telemetry
from tests.telemetry.examples import POLICY


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 500.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(telemetry: Telemetry, clock: Clock) -> Health:
    return Health(telemetry, clock=clock)


def test_a_gate_that_has_just_started_is_alive_and_not_ready(health: Health) -> None:
    assert health.livez().alive
    assert not health.readyz().ready
    assert health.readyz().reasons == tuple(f"{c.value}: not yet" for c in Condition)
    assert health.readyz().policy is None


def test_only_the_conditions_that_a_process_needs_are_counted(telemetry: Telemetry) -> None:
    needed = (Condition.ASSIGNED, Condition.RESTORED)
    health = Health(telemetry, conditions=needed)
    assert telemetry.values(metrics.CONDITIONS) == {(each.value,): 0.0 for each in needed}
    for condition in needed:
        health.set(condition, True)
    assert health.readyz().ready
    assert telemetry.values(metrics.CONDITIONS) == {(each.value,): 1.0 for each in needed}


@pytest.mark.parametrize("missing", Condition)
def test_every_condition_is_needed(health: Health, missing: Condition) -> None:
    for condition in Condition:
        health.set(condition, condition is not missing, "broker down")

    readiness = health.readyz()

    assert not readiness.ready
    assert readiness.reasons == (f"{missing.value}: broker down",)


def test_ready_may_be_lost_and_found_again(health: Health, telemetry: Telemetry) -> None:
    for condition in Condition:
        health.set(condition, True)
    assert health.readyz().ready

    health.set(Condition.RESTORED, False, "partition 2 is being restored")
    assert health.readyz().reasons == ("restored: partition 2 is being restored",)
    assert telemetry.values(metrics.CONDITIONS)["restored",] == 0

    health.set(Condition.RESTORED, True)
    assert health.readyz().ready
    assert telemetry.values(metrics.CONDITIONS)["restored",] == 1


def test_only_a_change_is_told(health: Health, lines: Callable[[], list[dict[str, Any]]]) -> None:
    for _ in range(3):
        health.set(Condition.ASSIGNED, True)
    health.set(Condition.ASSIGNED, False, "the group is rebalancing")

    assert [(line["event"], line["ok"]) for line in lines()] == [
        ("condition_changed", True),
        ("condition_changed", False),
    ]


def test_a_loop_that_stops_beating_is_not_alive(health: Health, clock: Clock) -> None:
    clock.now += BEAT_SECONDS
    assert health.livez().alive

    clock.now += 0.1
    assert not health.livez().alive

    health.beat()
    assert health.livez().alive


def test_readiness_tells_policy_and_partitions_as_the_facts_said(
    health: Health, telemetry: Telemetry
) -> None:
    telemetry.emit(POLICY)
    telemetry.emit(facts.Rebalanced(RebalanceKind.ASSIGNED, [1, 2, 10]))
    telemetry.emit(facts.PartitionStalled(2, StallCause.STATE_UNREACHABLE))
    telemetry.emit(facts.PartitionStalled(10, StallCause.RESTORING))
    telemetry.emit(facts.RestoreProgressed(10, done=1, total=3))

    told = json.loads(json.dumps(health.readyz().as_json()))

    assert told["policy"] == {"version": "a3f9c1", "since": "2023-11-14T22:13:20+00:00"}
    assert told["partitions"] == {
        "1": {"state": "running"},
        "2": {"state": "stalled", "cause": "state_unreachable"},
        "10": {"state": "stalled", "cause": "restoring", "restored": 0.3333},
    }
