"""A local store without room: its partitions wait, and nothing is lost when there is more."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.broker.cluster import EmbeddedKafka
from streams.records.decisions import Outcome
from streams.telemetry import metrics
from streams.telemetry.labels import StallCause
from streams.testing.records import a_consent_event, a_withdrawal, an_sms_requested
from tests.crash.test_kill import folded_from_scratch, stored
from tests.gate.bed import Bed, RunningGate, now_ms, wait_for

pytestmark = pytest.mark.kafka

MANY = [f"+1202555{index:04d}" for index in range(2_000)]


def held(running: RunningGate) -> set[int]:
    """The partitions that wait for room."""
    waiting = running.telemetry.members(metrics.STALLED_PARTITIONS)
    return {number for number, why in waiting.items() if why == (StallCause.STORE_FULL.value,)}


def test_a_full_store_holds_its_partitions_until_there_is_more_room(
    kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path
) -> None:
    bed = Bed(kafka.bootstrap_servers, topic_prefix, tmp_path)
    stopped, willing = MANY[:2]
    with bed.ready_gate(state_map_bytes=256 * 1024) as running:
        for number in MANY:
            bed.consent(a_consent_event(event_id=number, subject=number, occurred_at=now_ms()))
        bed.flush()
        running.until(lambda: held(running) == {0, 1}, what="for the store to be full")
        bed.consent(a_withdrawal(event_id="stop", subject=stopped, occurred_at=now_ms()))
        bed.flush()
        for number in (stopped, willing):
            bed.request(an_sms_requested(request_id=number, recipient=number, valid_until=None))
        bed.flush()
        running.until(lambda: requests_seen_waiting(running) == 2, what="for the requests to wait")
        assert bed.decisions() == []
    with bed.ready_gate() as running:
        decided = bed.decided(2)
        assert decided[stopped].verdict is Outcome.DROPPED
        assert decided[willing].verdict is Outcome.ALLOWED
        wait_for(lambda: stored(bed, running.gate._store) == folded_from_scratch(bed))


def requests_seen_waiting(running: RunningGate) -> int:
    return int(sum(running.telemetry.values(metrics.REQUEST_LAG_RECORDS).values()))
