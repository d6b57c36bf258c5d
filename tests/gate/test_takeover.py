"""
Who decides when a gate dies, is robbed of its name, or dies while partitions change hands.

Afterwards each request has exactly one outcome, and the state is what ``consent.events`` makes it.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

from streams.broker.cluster import EmbeddedKafka
from streams.errors import Fenced
from streams.gate.owned import Phase
from streams.records.decisions import Outcome
from streams.telemetry.labels import TransactionResult
from streams.telemetry.metrics import TRANSACTIONS
from streams.testing.records import a_consent_event, a_number, a_withdrawal, an_sms_requested
from tests.crash.short_lived_gate import (
    AFTER_OFFSETS,
    GIVING_UP,
    TAKING_OVER,
    arm,
    hasty,
    killed,
    short_lived_gate,
)
from tests.crash.test_kill import (
    check_outcomes,
    check_state,
    play,
    until_killed,
)
from tests.gate.bed import PATIENCE, Bed, RunningGate, now_ms, wait_for
from tests.gate.command import gate_command

pytestmark = pytest.mark.kafka


@pytest.fixture
def bed(kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path) -> Bed:
    return hasty(Bed(kafka.bootstrap_servers, topic_prefix, tmp_path, transaction_timeout_ms=5_000))


def commits(running: RunningGate) -> float:
    return running.telemetry.values(TRANSACTIONS)[TransactionResult.COMMITTED.value,]


def unstable(bed: Bed) -> set[int]:
    """The partitions whose committed offset an open transaction may still move."""
    group = bed.settings.group_id
    asked = [TopicPartition(bed.topics.requests, n) for n in range(bed.settings.partitions)]
    answer = bed.admin.list_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(group, asked)], require_stable=True, request_timeout=60
    )[group]
    found = {tp.partition: tp.error for tp in answer.result().topic_partitions}
    assert all(error is None or "UNSTABLE" in error.name() for error in found.values()), found
    return {partition for partition, error in found.items() if error is not None}


@pytest.mark.parametrize("turn", [0, 1])
def test_a_successor_waits_for_the_end_of_the_dead_gates_transaction(bed: Bed, turn: int) -> None:
    """It has the partitions long before; what it then goes on with is the restored state."""
    withdrawn, consenting = a_number(1), a_number(2)
    asked = ["before"]
    for number in (withdrawn, consenting):
        bed.consent(
            a_consent_event(event_id=f"g{number}", subject=number, occurred_at=now_ms() - 1000)
        )
    bed.flush()
    bed.consent(a_withdrawal(event_id="w", subject=withdrawn, occurred_at=now_ms()))
    bed.request(an_sms_requested(request_id="before", recipient=withdrawn, valid_until=None))
    bed.flush()
    with short_lived_gate(bed, "gate-1", AFTER_OFFSETS, turn) as dying:
        bed.decided(1)
        arm(bed, "gate-1")
        until_killed(bed, dying, asked)
        with bed.gate("gate-2") as successor:
            transactor, go = successor.gate._transactor, threading.Event()
            run = transactor.run

            def held(*batch: Any, **options: Any) -> None:
                go.wait()  # until then no offset is unstable by the successor's own doing
                run(*batch, **options)

            transactor.run = held  # type: ignore[method-assign]
            assignment = successor.gate._assignment
            wait_for(lambda: len(assignment.all()) == 2, what="for the partitions")
            waited = 0
            while True:
                going_on = {o.partition for o in assignment.all() if o.phase is not Phase.RESTORING}
                waiting = unstable(bed)
                if not waiting:
                    break
                waited += 1
                assert not waiting & going_on, "the dead gate's transaction is still open"
            assert waited
            go.set()
            for number in (withdrawn, consenting):
                asked.append(number)
                bed.request(an_sms_requested(request_id=number, recipient=number, valid_until=None))
            bed.flush()
            decided = bed.decided(len(asked))
            check_outcomes(bed, asked)
            check_state(bed, successor)
    assert decided[withdrawn].verdict is Outcome.DROPPED
    assert decided[consenting].verdict is Outcome.ALLOWED


def test_a_gate_killed_while_it_gives_partitions_up_loses_and_doubles_nothing(bed: Bed) -> None:
    asked: list[str] = []
    with short_lived_gate(bed, "gate-1", GIVING_UP) as dying:
        play(bed, 0, asked)
        bed.decided(len(asked))
        play(bed, 1, asked)
        with bed.gate("gate-2") as survivor:  # it joins, and the group rebalances
            play(bed, 2, asked)
            assert killed(dying)
            go_on(bed, survivor, asked)


def test_a_gate_killed_while_it_takes_partitions_over_loses_and_doubles_nothing(bed: Bed) -> None:
    asked: list[str] = []
    with bed.ready_gate("gate-1") as survivor:
        play(bed, 0, asked)
        bed.decided(len(asked))
        with short_lived_gate(bed, "gate-2", TAKING_OVER) as dying:
            play(bed, 1, asked)
            assert killed(dying), "it had a share"
            go_on(bed, survivor, asked)


def go_on(bed: Bed, survivor: RunningGate, asked: list[str]) -> None:
    """The one that is left gets everything, and decides it once."""
    play(bed, 99, asked)
    wait_for(lambda: len(survivor.gate._assignment.all()) == 2, what="for the dead gate's share")
    bed.decided(len(asked))
    check_outcomes(bed, asked)
    check_state(bed, survivor)


def test_of_two_gates_with_one_name_the_first_ends_and_says_so(bed: Bed) -> None:
    """As two machines with the same configuration: processes, each with a state of its own."""
    settings = bed.settings.model_copy(update={"session_timeout_ms": 6_000})
    bed.settings = settings
    asked: list[str] = []
    with gate_command(bed, "gate-1", "first") as first:
        play(bed, 0, asked)
        bed.decided(len(asked))
        elsewhere = bed.folder / "elsewhere"
        with gate_command(bed, "gate-1", "second", state_dir=elsewhere) as second:
            play(bed, 1, asked)
            assert first.process.wait(PATIENCE) == Fenced.exit_code
            play(bed, 2, asked)
            bed.decided(len(asked))
            assert second.process.poll() is None
    assert "instance_id" in first.said.splitlines()[-1]
    check_outcomes(bed, asked)


@pytest.mark.parametrize("turn", [0, 1])
def test_a_fenced_zombie_commits_nothing(bed: Bed, turn: int) -> None:
    """Its name goes to another gate while it is about to commit a batch that it has decided."""
    # Nobody's session is waited for; should the zombie's end first, its name would be free.
    bed.settings = bed.settings.model_copy(update={"session_timeout_ms": 60_000})
    asked: list[str] = []
    about_to, go = threading.Event(), threading.Event()
    with pytest.raises(Fenced), bed.ready_gate("gate-1") as zombie:
        play(bed, 0, asked)
        bed.decided(len(asked))
        transactor = zombie.gate._transactor
        run = transactor.run

        def held(*batch: Any, **options: Any) -> None:
            if transactor._turn == turn:
                about_to.set()
                go.wait()
            run(*batch, **options)

        transactor.run = held  # type: ignore[method-assign]
        while not about_to.is_set():  # the other producer may take a whole round
            play(bed, len(asked), asked)
            wait_for(
                lambda: about_to.is_set() or len(bed.decisions()) == len(asked),
                what="for a batch to be held",
            )
        committed = commits(zombie)
        with bed.ready_gate("gate-1", state_dir=bed.folder / "elsewhere") as successor:
            bed.decided(len(asked))
            go.set()
            zombie.thread.join(PATIENCE)
            assert not zombie.thread.is_alive()
            assert commits(zombie) == committed
            play(bed, 2, asked)
            # Not by bed.decided(), which raises the zombie's end again.
            wait_for(lambda: len(bed.decisions()) >= len(asked), what="for the successor")
            check_outcomes(bed, asked)
            check_state(bed, successor)
