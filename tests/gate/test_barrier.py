"""
Guarantee I1: a withdrawal that was acknowledged before a request was sent is honoured.

On loopback a missing barrier is invisible: the reader is always up to date. So the reader is held
back, by a foreign open transaction or by taking the barrier in the wrong order, and each mutation
of the barrier must make the very same play fail.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import IsolationLevel, Producer, TopicPartition
from confluent_kafka.admin import OffsetSpec

from streams.broker.cluster import EmbeddedKafka
from streams.codec.codec import open_codecs
from streams.gate import barrier as barrier_module
from streams.gate.barrier import Barrier, Targets
from streams.gate.gate import Gate
from streams.kafka.clients import producer_config
from streams.records.decisions import Outcome
from streams.state.log_reader import At
from streams.testing.records import a_consent_event, a_number, a_withdrawal, an_sms_requested
from tests.gate.bed import PATIENCE, Bed, RunningGate, now_ms, wait_for

pytestmark = pytest.mark.kafka

PEOPLE = [a_number(index) for index in range(20)]


@pytest.fixture
def bed(kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path) -> Bed:
    return Bed(kafka.bootstrap_servers, topic_prefix, tmp_path)


def grant_all(bed: Bed, people: Iterable[str]) -> None:
    for number in people:
        bed.consent(
            a_consent_event(event_id=f"g{number}", subject=number, occurred_at=now_ms() - 1000)
        )
    bed.flush()


def ask(bed: Bed, number: str, request_id: str) -> None:
    bed.request(an_sms_requested(request_id=request_id, recipient=number, valid_until=None))


class OpenTransaction:
    """Somebody else's transaction in consent.events, left open."""

    def __init__(self, bed: Bed, partitions: Iterable[int]) -> None:
        config = producer_config(bed.settings, f"{bed.settings.topic_prefix}foreign")
        # It is open for as long as the test waits for something else.
        self._producer = Producer({**config, "transaction.timeout.ms": 600_000})
        self._producer.init_transactions(PATIENCE)
        self._producer.begin_transaction()
        for partition in partitions:
            self._producer.produce(bed.topics.consent, b"x", b"x", partition)
        assert self._producer.flush(PATIENCE) == 0

    def abort(self) -> None:
        self._producer.abort_transaction(PATIENCE)


# ------------------------------------------------------------------------------------ the mutations


def left_out(gate: Gate) -> None:
    """No barrier: decide on whatever has been fetched."""
    reader = gate._reader

    def whatever_is_there(partitions: Iterable[At]) -> Targets:
        reader.fetch(0.01)
        return Targets({at: reader.next_fetch(at) for at in partitions})

    gate._barrier.read = whatever_is_there  # type: ignore[method-assign]


def before_the_batch(gate: Gate) -> None:
    """A barrier that was read before the batch was taken: the one of the turn before."""
    read = gate._barrier.read
    last: dict[At, int] = {}

    def early(partitions: Iterable[At]) -> Targets:
        wanted = list(partitions)
        now = read(wanted)
        then = Targets({at: last.get(at, 0) for at in wanted})
        last.update(now.offsets)
        return then

    gate._barrier.read = early  # type: ignore[method-assign]


def at_the_last_stable_offset(gate: Gate) -> None:
    """A barrier that does not see beyond an open transaction."""
    barrier: Barrier = gate._barrier

    def stable(partitions: Iterable[At]) -> Targets:
        answers = barrier._admin.list_offsets(
            {TopicPartition(at.topic, at.partition): OffsetSpec.latest() for at in partitions},
            isolation_level=IsolationLevel.READ_COMMITTED,
        )
        return Targets(
            {At(tp.topic, tp.partition): answer.result().offset for tp, answer in answers.items()}
        )

    barrier.read = stable  # type: ignore[method-assign]


def violations_behind_an_open_transaction(
    bed: Bed, running: RunningGate, *, expected: bool = False
) -> int:
    """
    Withdraw and ask, while a foreign transaction keeps the withdrawals from being read.

    It ends when the partition without it was decided, and any violation that is ``expected``.
    """
    held, free = 0, 1
    behind = [number for number in PEOPLE if bed.partition(number) == held]
    beside = [number for number in PEOPLE if bed.partition(number) == free]
    assert behind
    assert beside
    grant_all(bed, PEOPLE)
    wait_for(lambda: len(bed.ledger()) == len(PEOPLE), what="for the grants to be folded")
    for number in PEOPLE:
        ask(bed, number, f"before {number}")
    bed.flush()
    before = bed.decided(len(PEOPLE))
    assert all(decision.verdict is Outcome.ALLOWED for decision in before.values())

    foreign = OpenTransaction(bed, [held])
    for number in PEOPLE:
        bed.consent(a_withdrawal(event_id=f"w{number}", subject=number, occurred_at=now_ms()))
    bed.flush()
    for number in PEOPLE:
        ask(bed, number, f"after {number}")
    bed.flush()
    # The partition beside it goes on.
    wait_for(
        lambda: (
            {f"after {number}" for number in beside}
            <= {decision.request_id for decision in bed.decisions()}
        ),
        what="for the partition without the open transaction",
    )
    unread = {f"after {number}" for number in behind}
    if expected:
        wait_for(lambda: unread & bed.decided(0).keys(), what="for what is decided too early")
    early = {decision.request_id for decision in bed.decisions()}
    foreign.abort()
    decided = bed.decided(2 * len(PEOPLE))
    wrong = [n for n in PEOPLE if decided[f"after {n}"].verdict is Outcome.ALLOWED]
    if not wrong:
        assert not early & unread, "decided without its state"
    return len(wrong)


def test_requests_behind_a_foreign_open_transaction_wait_and_are_then_decided_rightly(
    bed: Bed,
) -> None:
    with bed.ready_gate() as running:
        assert violations_behind_an_open_transaction(bed, running) == 0


@pytest.mark.parametrize("mutation", [left_out, at_the_last_stable_offset])
def test_the_same_play_fails_without_a_true_barrier(bed: Bed, mutation) -> None:  # type: ignore[no-untyped-def]
    with bed.ready_gate() as running:
        mutation(running.gate)
        assert violations_behind_an_open_transaction(bed, running, expected=True) > 0


def test_requests_wait_for_a_leader_whose_answer_never_comes(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even librdkafka's own time-out tells it. The questions before have to be given up."""
    monkeypatch.setattr(barrier_module, "LATE_SECONDS", 0.2)
    lost = TopicPartition(bed.topics.consent, 0)
    losing = threading.Event()
    with bed.ready_gate() as running:
        admin = running.gate._barrier._admin
        list_offsets = admin.list_offsets

        def losing_one(asked: Any, **options: Any) -> dict[TopicPartition, Future[Any]]:
            answers = dict(list_offsets(asked, **options))  # its own is filled by librdkafka
            if losing.is_set() and lost in answers:
                answers[lost] = Future()
            return answers

        admin.list_offsets = losing_one  # type: ignore[method-assign]
        grant_all(bed, PEOPLE)
        losing.set()
        for number in PEOPLE:
            ask(bed, number, number)
        bed.flush()
        beside = {number for number in PEOPLE if bed.partition(number) == 1}
        wait_for(lambda: beside <= bed.decided(0).keys(), what="for the other partition")
        assert bed.decided(0).keys() == beside
        losing.clear()
        decided = bed.decided(len(PEOPLE))
    assert {decision.verdict for decision in decided.values()} == {Outcome.ALLOWED}


def violations_right_after_the_withdrawal(bed: Bed) -> int:
    """
    Withdraw, have it acknowledged, ask at once: for each person in turn.

    Each waits for the decision about the one before. On a busy machine all would else be one batch,
    of which a gate that reads too early has not even read the grants: it would allow nothing.
    """
    grant_all(bed, PEOPLE)
    decided = {}
    for asked, number in enumerate(PEOPLE, 1):
        bed.consent(a_withdrawal(event_id=f"w{number}", subject=number, occurred_at=now_ms()))
        bed.flush()
        ask(bed, number, f"after {number}")
        bed.flush()
        decided = bed.decided(asked)
    return sum(decision.verdict is Outcome.ALLOWED for decision in decided.values())


def test_a_request_right_after_the_withdrawal_is_dropped(bed: Bed) -> None:
    with bed.ready_gate():
        assert violations_right_after_the_withdrawal(bed) == 0


def test_the_same_play_fails_with_a_barrier_that_was_read_before_the_batch(bed: Bed) -> None:
    # Without ticks, which read the barrier as well and would make the last one a late one.
    with bed.ready_gate(idle_tick_ms=60_000) as running:
        before_the_batch(running.gate)
        assert violations_right_after_the_withdrawal(bed) > 0


@pytest.mark.slow
def test_a_thousand_withdrawals_are_honoured_under_load_across_rebalances(bed: Bed) -> None:
    """Two gates, one joining and one leaving in the middle, with other traffic all the time."""
    pairs = 1_000
    people = [f"+1202555{index:04d}" for index in range(pairs)]
    grant_all(bed, people)
    done = threading.Event()
    asked_beside = 0

    def load() -> None:
        nonlocal asked_beside
        other, codecs = Producer(producer_config(bed.settings)), open_codecs()
        while not done.is_set():
            for index in range(100):
                request = an_sms_requested(
                    request_id=f"load {asked_beside}", recipient=people[index], purpose="otp"
                )
                value = codecs.requests.encode(request)
                other.produce(bed.topics.requests, value, request.recipient.encode())
                asked_beside += 1
            other.flush(PATIENCE)
            done.wait(0.1)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        with bed.ready_gate("gate-2") as second:
            with bed.ready_gate("gate-1"):
                for index, number in enumerate(people[: pairs // 2]):
                    withdraw_then_ask(bed, number, index)
            for index, number in enumerate(people[pairs // 2 :], pairs // 2):
                withdraw_then_ask(bed, number, index)
            done.set()
            thread.join()
            decided = bed.decided(pairs + asked_beside, 3 * PATIENCE)
            assert second.error is None
    finally:
        done.set()
        thread.join()
    outcomes = [decided[f"pair {index}"].verdict for index in range(pairs)]
    assert outcomes.count(Outcome.ALLOWED) == 0
    assert len(decided) == pairs + asked_beside, "each request has one decision"
    assert len(bed.decisions()) == pairs + asked_beside


def withdraw_then_ask(bed: Bed, number: str, index: int) -> None:
    bed.consent(a_withdrawal(event_id=f"w{index}", subject=number, occurred_at=now_ms()))
    bed.flush()
    ask(bed, number, f"pair {index}")
