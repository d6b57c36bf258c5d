"""One mouth: facts are told whole, floods are short, a telemetry has a registry to itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from streams.errors import Fenced
from streams.records.decisions import Outcome
from streams.telemetry import catalogue as facts
from streams.telemetry import metrics
from streams.telemetry.labels import RebalanceKind, StallCause, TransactionResult
from streams.telemetry.series import OTHER
from streams.telemetry.telemetry import Telemetry
from tests.telemetry.examples import POLICY

Lines = Callable[[], list[dict[str, Any]]]


def value(telemetry: Telemetry, name: str, **labels: str) -> float | None:
    return telemetry.registry.get_sample_value(name, labels)


def test_a_purpose_that_the_policy_does_not_register_counts_as_other(telemetry: Telemetry) -> None:
    telemetry.emit(POLICY)

    telemetry.emit(facts.VerdictsGiven({("+8613812345678", Outcome.DROPPED): 2}))

    told = value(telemetry, "consent_gate_decisions_total", purpose=OTHER, verdict="DROPPED")
    assert told == 2
    assert b"8613812345678" not in generate_latest(telemetry.registry)


def test_purposes_can_be_known_before_a_policy_is_told(telemetry: Telemetry) -> None:
    telemetry.set_purposes(frozenset({"otp"}))

    telemetry.emit(facts.VerdictsGiven({("otp", "ALLOWED"): 1}))

    assert telemetry.values(metrics.DECISIONS)["otp", "ALLOWED"] == 1


def test_a_scrape_sees_all_of_a_fact_or_nothing(telemetry: Telemetry) -> None:
    """An ended transaction moves a counter and a histogram; a scrape in between shows neither."""
    done = threading.Event()
    uneven = []

    def scrape() -> None:
        while not done.is_set():
            told = {
                sample.name: sample.value
                for family in telemetry.collect()
                for sample in family.samples
                if sample.labels.get("result") == "committed"
            }
            counted = told["consent_gate_transactions_total"]
            observed = told["consent_gate_transaction_seconds_count"]
            if counted != observed:
                uneven.append((counted, observed))

    scraper = threading.Thread(target=scrape)
    scraper.start()
    for _ in range(2_000):
        telemetry.emit(facts.TransactionEnded(TransactionResult.COMMITTED, 0.01))
    done.set()
    scraper.join()

    assert uneven == []


def test_many_threads_lose_no_count(telemetry: Telemetry) -> None:
    def count() -> None:
        for _ in range(500):
            telemetry.emit(facts.RequestsTaken(1))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert telemetry.values(metrics.REQUESTS) == {(): 2_000}


def test_a_partition_that_stays_stalled_is_counted_once(telemetry: Telemetry) -> None:
    for _ in range(3):
        telemetry.emit(facts.PartitionStalled(4, StallCause.STATE_NOT_REACHED))

    cause = {"cause": "state_not_reached"}
    assert value(telemetry, "consent_gate_stalled_partitions", **cause) == 1
    assert value(telemetry, "consent_gate_stalls_total", **cause) == 1

    telemetry.emit(facts.PartitionResumed(4))

    assert value(telemetry, "consent_gate_stalled_partitions", **cause) == 0


@pytest.mark.parametrize("kind", [RebalanceKind.REVOKED, RebalanceKind.LOST])
def test_a_partition_that_leaves_takes_its_gauges_along(
    telemetry: Telemetry, kind: RebalanceKind
) -> None:
    telemetry.emit(facts.Rebalanced(RebalanceKind.ASSIGNED, [4, 5]))
    for partition in (4, 5):
        telemetry.emit(facts.PartitionStalled(partition, StallCause.RESTORING))
        telemetry.emit(facts.RestoreProgressed(partition, done=1, total=4))
        telemetry.emit(facts.StateLag(partition, "consent.events", records=8, seconds=1.0))

    telemetry.emit(facts.Rebalanced(kind, [4]))

    assert list(telemetry.members(metrics.ASSIGNED_PARTITIONS)) == [5]
    assert list(telemetry.members(metrics.STALLED_PARTITIONS)) == [5]
    assert telemetry.values(metrics.RESTORE_RATIO) == {("5",): 0.25}
    assert list(telemetry.values(metrics.STATE_LAG_RECORDS)) == [("5", "consent.events")]
    assert list(telemetry.values(metrics.STATE_LAG_SECONDS)) == [("5", "consent.events")]


def test_a_restore_of_nothing_is_whole(telemetry: Telemetry) -> None:
    telemetry.emit(facts.RestoreProgressed(0, done=0, total=0))

    assert telemetry.values(metrics.RESTORE_RATIO) == {("0",): 1.0}


def test_an_error_of_ours_counts_under_its_class_and_a_foreign_one_as_other(
    telemetry: Telemetry,
) -> None:
    telemetry.emit(facts.ErrorMet(Fenced("another gate runs as gate-1")))
    telemetry.emit(facts.ErrorMet(KeyError("x")))

    errors = telemetry.values(metrics.ERRORS)
    assert {labels: count for labels, count in errors.items() if count} == {
        ("Fenced",): 1,
        (OTHER,): 1,
    }


def test_a_flood_writes_one_line_and_then_says_how_many_it_left_out(lines: Lines) -> None:
    now = [100.0]
    telemetry = Telemetry(CollectorRegistry(), clock=lambda: now[0])
    garbage = facts.DeadLettered("sms.requested", "undecodable", 1)

    for _ in range(50):
        telemetry.emit(garbage)
    telemetry.emit(facts.DeadLettered("consent.events", "undecodable", 1))
    now[0] += garbage.EVERY_SECONDS
    telemetry.emit(garbage)
    telemetry.emit(garbage)
    now[0] += garbage.EVERY_SECONDS
    telemetry.emit(garbage)

    assert [(line["topic"], line.get("left_out")) for line in lines()] == [
        ("sms.requested", None),
        ("consent.events", None),
        ("sms.requested", 49),
        ("sms.requested", 1),
    ]
    assert telemetry.values(metrics.DEAD_LETTERS)["sms.requested", "undecodable"] == 53


def test_a_registry_takes_one_telemetry(telemetry: Telemetry) -> None:
    with pytest.raises(ValueError, match="Duplicated"):
        Telemetry(telemetry.registry)


def test_a_telemetry_of_its_own_also_tells_of_process_and_python() -> None:
    told = generate_latest(Telemetry().registry).decode()

    for name in ("process_resident_memory_bytes", "python_info", "python_gc_collections_total"):
        assert name in told


def test_the_end_of_a_stall_is_told_if_its_beginning_was_and_only_then(lines: Lines) -> None:
    telemetry = Telemetry(CollectorRegistry(), clock=lambda: 100.0)

    for cause in (StallCause.RESTORING, StallCause.STATE_UNREACHABLE, StallCause.RESTORING):
        telemetry.emit(facts.PartitionStalled(2, cause))
        telemetry.emit(facts.PartitionResumed(2))
    telemetry.emit(facts.PartitionResumed(3))

    assert [(line["event"], line["partition"]) for line in lines()] == [
        ("partition_stalled", 2),
        ("partition_resumed", 2),
        ("partition_stalled", 2),
        ("partition_resumed", 2),
    ]
