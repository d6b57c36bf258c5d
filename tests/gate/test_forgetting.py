"""A gate keeps nothing of a partition that has been another gate's for long."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.broker.cluster import EmbeddedKafka
from streams.records.decisions import Outcome
from streams.state import forgetting
from streams.telemetry import metrics
from tests.crash.short_lived_gate import hasty
from tests.gate.bed import Bed, RunningGate, wait_for
from tests.gate.test_missing_keys import HOLDING, ask, two_people

pytestmark = pytest.mark.kafka


def with_copies(running: RunningGate) -> set[int]:
    """The partitions of which the gate's store, opened anew, has anything."""
    return set(running.gate._store.partitions())


def open_keys(running: RunningGate) -> int:
    return len(running.gate._assignment._data_keys._open)


def test_what_another_gate_has_taken_over_is_forgotten(
    kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bed = hasty(Bed(kafka.bootstrap_servers, topic_prefix, tmp_path, idle_tick_ms=50))
    people = two_people(bed)
    with bed.ready_gate("gate-1") as first:
        for number in people:
            assert ask(bed, first, number, purpose=HOLDING).verdict is Outcome.QUARANTINED
        wait_for(lambda: with_copies(first) == {0, 1}, what="for the copies")
        assert open_keys(first) == 2
        with bed.ready_gate("gate-2") as second:
            wait_for(lambda: len(owned(first)) == len(owned(second)) == 1, what="for the balance")
            assert open_keys(first) == 0
            assert with_copies(first) == {0, 1}
            monkeypatch.setattr(forgetting, "KEPT_MS", 0)
            wait_for(lambda: with_copies(first) == owned(first), what="for it to be forgotten")
            assert with_copies(second) == owned(second)
            for number in people:
                assert ask(bed, first, number, purpose=HOLDING).verdict is Outcome.QUARANTINED


def owned(running: RunningGate) -> set[int]:
    return set(running.telemetry.members(metrics.ASSIGNED_PARTITIONS))
