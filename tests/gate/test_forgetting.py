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


def with_open_keys(bed: Bed, running: RunningGate, people: tuple[str, str]) -> set[int]:
    """The partitions of the people whose data key the gate has open; each is of one partition."""
    opened = running.gate._assignment._data_keys._open
    subject_ids = map(bed.keyring.subject_ids.of, people)
    return {partition for partition, who in enumerate(subject_ids) if who in opened}


def test_what_another_gate_has_taken_over_is_forgotten(
    kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bed = hasty(Bed(kafka.bootstrap_servers, topic_prefix, tmp_path, idle_tick_ms=50))
    people = two_people(bed)
    with bed.ready_gate("gate-1") as first:
        for number in people:
            assert ask(bed, first, number, purpose=HOLDING).verdict is Outcome.QUARANTINED
        wait_for(lambda: with_copies(first) == {0, 1}, what="for the copies")
        assert with_open_keys(bed, first, people) == {0, 1}
        with bed.ready_gate("gate-2") as second:
            wait_for(lambda: len(owned(first)) == len(owned(second)) == 1, what="for the balance")
            # That of its own person it may have opened again: for the hold, to decide it anew.
            wait_for(
                lambda: with_open_keys(bed, first, people) <= owned(first),
                what="for the other's key to be let go",
            )
            assert with_copies(first) == {0, 1}
            monkeypatch.setattr(forgetting, "KEPT_MS", 0)
            wait_for(lambda: with_copies(first) == owned(first), what="for it to be forgotten")
            wait_for(lambda: with_copies(second) == owned(second), what="for the second's share")
            for number in people:
                assert ask(bed, first, number, purpose=HOLDING).verdict is Outcome.QUARANTINED


def owned(running: RunningGate) -> set[int]:
    return set(running.telemetry.members(metrics.ASSIGNED_PARTITIONS))
