"""
The only broker dies under a worker at work and comes back: it waits, and nothing is lost.

A broker of its own, which takes three seconds to start, twice: 15 s in all. What the libraries log
meanwhile, which is much, is looked at too: the command's output is lines of ours and no others.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from streams.broker.cluster import EmbeddedKafka
from streams.records.events import ConsentKind
from streams.records.inbound import event_of_reply
from streams.testing.records import an_inbound_sms
from streams.topology import SMS_INBOUND
from tests.conftest import need_embedded_kafka
from tests.gate.bed import Bed, now_ms, wait_for
from tests.processors.bed import committed, ends
from tests.processors.worker_process import log_of, worker_process

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

BEFORE, AFTER = 3_000, 100
"""Replies: more than are read before the broker is dead, and some that come when it is back."""
PATIENCE = 100
"""Seconds for what takes five on a quiet machine; a worker waits for longer before it gives up."""


def number_of(index: int) -> str:
    """A number in a country code that no mobile network has numbers in."""
    return f"+888{index:011d}"


def reply(bed: Bed, first: int, count: int) -> None:
    """Let so many people say STOP."""
    for index in range(first, first + count):
        said = an_inbound_sms(
            message_id=f"reply-{index}",
            sender=number_of(index),
            body="STOP",
            received_at=now_ms(),
        )
        key, value = said.sender.encode(), bed.codecs.inbound.encode(said)
        topic = bed.settings.names.of(SMS_INBOUND)
        bed.write(topic, key, value, bed.partition(said.sender))
    bed.flush()


def withdrawn(bed: Bed) -> Counter[str]:
    """How often each withdrawal was written."""
    events = [bed.codecs.consent_events.decode(m.value()) for m in bed.read(bed.topics.consent)]
    assert {event.kind for event in events} <= {ConsentKind.WITHDRAWN}
    return Counter(event.event_id for event in events)


def test_a_worker_outlives_its_only_broker_and_says_so_in_its_own_words(
    tmp_path: Path, topic_prefix: str
) -> None:
    need_embedded_kafka()
    with EmbeddedKafka() as kafka:
        bed = Bed(
            kafka.bootstrap_servers,
            topic_prefix,
            tmp_path,
            session_timeout_ms=6_000,
            transaction_timeout_ms=4_000,
        )
        with worker_process(bed, agents="all") as worker:
            reply(bed, 0, BEFORE)
            wait_for(lambda: sum(ends(bed, bed.topics.consent).values()) > 0, PATIENCE)
            kafka.kill_broker(1)
            wait_for(lambda: "Unable connect to node" in log_of(bed).read_text(), PATIENCE)
            kafka.start_broker(1)
            reply(bed, BEFORE, AFTER)
            everyone = {event_of_reply(f"reply-{index}") for index in range(BEFORE + AFTER)}
            wait_for(lambda: withdrawn(bed).keys() == everyone, PATIENCE, "for all withdrawals")
            topic = bed.settings.names.of(SMS_INBOUND)
            wait_for(
                lambda: committed(bed, topic) == ends(bed, topic), PATIENCE, "for all to be done"
            )
            assert worker.poll() is None, "it waited"
            worker.terminate()
            assert worker.wait(20) == 0

    first, *rest = log_of(bed).read_text().splitlines()
    assert first.startswith("metrics at http://")
    lines = [json.loads(line) for line in rest]  # which a library's own line is not
    assert {line["logger"] for line in lines} == {"consent_gate"}
    by_libraries = [line for line in lines if line["event"] == "library_logged"]
    assert {line["library"].partition(".")[0] for line in by_libraries} >= {"aiokafka"}
    assert "+888" not in "".join(rest)
    assert lines[-1]["event"] == "worker_stopped"
