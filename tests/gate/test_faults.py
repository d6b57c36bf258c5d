"""
Commits that do not go through, or of which nobody knows whether they did; and who says nothing.

Whatever becomes of a transaction: each request has exactly one decision, and no withdrawal that was
folded in vain is forgotten. Each play is also made to fail, by taking away what it rests on.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer

from streams.broker.cluster import EmbeddedKafka
from streams.errors import KafkaUnavailable
from streams.gate import rebuilding
from streams.gate.gate import Gate
from streams.gate.transaction import Output, Transactor
from streams.kafka.clients import consumer_config
from streams.records.decisions import Outcome
from streams.telemetry.labels import TransactionResult
from streams.telemetry.metrics import TRANSACTIONS
from streams.testing.records import a_consent_event, a_number, a_withdrawal, an_sms_requested
from tests.conftest import need_embedded_kafka
from tests.crash.test_kill import check_outcomes, folded_from_scratch, play, stored
from tests.gate.bed import PATIENCE, Bed, RunningGate, now_ms, wait_for
from tests.gate.lost_answers import OFFSET_FETCH, LossyWire, wired_kafka

pytestmark = pytest.mark.kafka

PEOPLE = [a_number(index) for index in range(20)]
WITHDRAWN = PEOPLE[::2]

NO_TICK_MS = 3_600_000
"""For a gate that folds nothing but what a batch needs, however long the play takes."""

Run = Callable[..., None]
"""What stands in for :meth:`streams.gate.transaction.Transactor.run`."""


@pytest.fixture
def bed(kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path) -> Bed:
    # Rebalances are heard of with the next heartbeat. What is taken back here, the broker refuses:
    # no time-out on a busy machine may be what ends a transaction, or a member's session.
    return Bed(
        kafka.bootstrap_servers,
        topic_prefix,
        tmp_path,
        kafka={"heartbeat.interval.ms": "200"},
        transaction_timeout_ms=120_000,
        session_timeout_ms=120_000,
    )


def ask(bed: Bed, number: str, request_id: str) -> None:
    bed.request(an_sms_requested(request_id=request_id, recipient=number, valid_until=None))


def until_decided(bed: Bed, request_ids: Iterable[str]) -> None:
    """Wait until each of these has a decision at least."""
    wanted = set(request_ids)
    wait_for(lambda: wanted <= bed.decided(0).keys(), what="for requests to be decided")


def transactions(running: RunningGate, result: TransactionResult) -> float:
    return running.telemetry.values(TRANSACTIONS).get((result.value,), 0)


def decides(bed: Bed, outputs: list[Output]) -> bool:
    """Whether a transaction carries decisions, and not only what a tick folds."""
    return any(output.topic == bed.topics.decisions for output in outputs)


# ------------------------------------------- taken before a rebalance, to be committed after it


def decided_across_a_rebalance(bed: Bed, *, fresh_metadata: bool) -> Counter[str]:
    """
    Ask ten people, and rebalance between the gate's taking of that batch and its commit.

    Returns how often each request was decided. The second gate gets one of the partitions, and
    decides it while the first one still holds its batch. ``fresh_metadata`` is the mutation: the
    commit then names the group as it is now, not as it was when the batch was taken.
    """
    asked = [number for number in PEOPLE if bed.partition(number) == 1][:10]
    taken, release = threading.Event(), threading.Event()
    with bed.ready_gate("gate-1") as first:
        transactor: Transactor = first.gate._transactor
        consumer = first.gate._assignment._consumer
        run: Run = transactor.run

        def held(outputs: Any, offsets: Any, group: object, **options: Any) -> None:
            outputs = list(outputs)
            if decides(bed, outputs) and not taken.is_set():
                taken.set()
                while not release.is_set():
                    consumer.consume(1, 0.02)  # the rebalance comes in here
                if fresh_metadata:
                    group = consumer.consumer_group_metadata()
            run(outputs, offsets, group, **options)

        transactor.run = held  # type: ignore[method-assign]
        for number in asked:
            ask(bed, number, number)
        bed.flush()
        assert taken.wait(PATIENCE)
        with bed.gate("gate-2") as second:
            wait_for(lambda: second.gate._assignment.owned(1), what="for the second gate's share")
            bed.decided(len(asked))
            release.set()
            wait_for(
                lambda: (
                    transactions(first, TransactionResult.ABORTED)
                    or len(bed.decisions()) > len(asked)
                ),
                what="for the end of the transaction that came too late",
            )
    return Counter(decision.request_id for decision in bed.decisions())


def test_a_batch_taken_before_a_rebalance_is_not_committed_after_it(bed: Bed) -> None:
    assert set(decided_across_a_rebalance(bed, fresh_metadata=False).values()) == {1}


def test_the_same_play_decides_twice_with_fresh_group_metadata(bed: Bed) -> None:
    assert 2 in decided_across_a_rebalance(bed, fresh_metadata=True).values()


# ------------------------------------------------------- an abort with consent events folded in it


def with_a_generation_past(bed: Bed, running: RunningGate) -> object:
    """Let somebody else join the group and leave; return the metadata of the time before."""
    assignment = running.gate._assignment
    before = assignment.group
    config = consumer_config(bed.settings, bed.settings.group_id)
    other = Consumer({**config, "partition.assignment.strategy": "range"})
    other.subscribe([bed.topics.requests])
    wait_for(lambda: (other.poll(0.05), other.assignment())[1], what="for somebody else's share")
    other.close()
    wait_for(lambda: len(assignment.live()) == 2, what="for the partitions to come back")
    return before


def what_an_abort_breaks(bed: Bed, running: RunningGate) -> set[str]:
    """Withdraw and ask, have the broker refuse what the gate writes of it, and look at the end."""
    stale = with_a_generation_past(bed, running)
    for number in PEOPLE:
        bed.consent(
            a_consent_event(event_id=f"g{number}", subject=number, occurred_at=now_ms() - 1000)
        )
    bed.flush()
    asked = [f"before {number}" for number in PEOPLE]
    for number in PEOPLE:
        ask(bed, number, f"before {number}")
    bed.flush()
    bed.decided(len(PEOPLE))

    refused = False
    run: Run = running.gate._transactor.run

    def refusing(outputs: Any, offsets: Any, group: object, **options: Any) -> None:
        nonlocal refused
        outputs = list(outputs)
        if decides(bed, outputs) and not refused:
            refused, group = True, stale
        run(outputs, offsets, group, **options)

    running.gate._transactor.run = refusing  # type: ignore[method-assign]
    for number in WITHDRAWN:
        bed.consent(a_withdrawal(event_id=f"w{number}", subject=number, occurred_at=now_ms()))
    bed.flush()
    for number in PEOPLE:
        asked.append(f"after {number}")
        ask(bed, number, f"after {number}")
    bed.flush()
    wait_for(lambda: transactions(running, TransactionResult.ABORTED), what="for the abort")
    # Partitions keep their order: when these are decided nothing before them is still to come.
    last = {bed.partition(number): number for number in PEOPLE}
    for number in last.values():
        asked.append(f"last {number}")
        ask(bed, number, f"last {number}")
    bed.flush()
    until_decided(bed, (f"last {number}" for number in last.values()))

    decisions = bed.decisions()
    times = Counter(decision.request_id for decision in decisions)
    allowed = {d.request_id for d in decisions if d.verdict is Outcome.ALLOWED}
    broken = {
        "requests lost": bool(set(asked) - times.keys()),
        "decided twice": max(times.values()) > 1,
        "withdrawal forgotten": bool(allowed & {f"after {number}" for number in WITHDRAWN}),
        "ledger wrong": [r.refusal for r in bed.ledger()]
        != [None] * (len(PEOPLE) + len(WITHDRAWN)),
        "state wrong": stored(bed, running.gate._store) != folded_from_scratch(bed),
    }
    return {what for what, wrong in broken.items() if wrong}


def test_an_aborted_transaction_is_taken_back_on_both_sides(bed: Bed) -> None:
    with bed.ready_gate(idle_tick_ms=NO_TICK_MS) as running:
        assert what_an_abort_breaks(bed, running) == set()
        # librdkafka may need a second abort to get rid of what the broker refused.
        assert transactions(running, TransactionResult.ABORTED) >= 1
        assert transactions(running, TransactionResult.REBUILT) == 0


def events_not_put_back(gate: Gate) -> None:
    gate._reader.put_back = lambda at, messages: None  # type: ignore[method-assign]


def overlay_kept(gate: Gate) -> None:
    gate._subjects.discard = lambda partition: None  # type: ignore[method-assign]


def requests_not_rewound(gate: Gate) -> None:
    gate._assignment.rewind = lambda partitions: None  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("mutation", "what"),
    [
        (events_not_put_back, "withdrawal forgotten"),
        (overlay_kept, "ledger wrong"),
        (requests_not_rewound, "requests lost"),
    ],
)
def test_the_same_play_fails_where_one_side_is_not_taken_back(
    bed: Bed, mutation: Callable[[Gate], None], what: str
) -> None:
    with bed.ready_gate(idle_tick_ms=NO_TICK_MS) as running:
        mutation(running.gate)
        assert what in what_an_abort_breaks(bed, running)


# ------------------------------------------------------ a commit that nobody answered, but was done


@pytest.fixture(scope="module")
def wired() -> Iterator[tuple[EmbeddedKafka, LossyWire]]:
    """A broker that clients reach through a wire."""
    need_embedded_kafka()
    with wired_kafka() as both:
        yield both


def decided_around_a_lost_answer(
    wired: tuple[EmbeddedKafka, LossyWire],
    prefix: str,
    folder: Path,
    producer: str,
    mutation: Callable[[Gate], None] | None = None,
) -> tuple[Bed, list[str]]:
    """
    Lose the broker's answer to a commit that it carries out, with traffic before and after.

    ``producer`` is the ending of the ``transactional.id`` whose commit it is. Returns the bed and
    all that was asked, decided at least once.
    """
    kafka, wire = wired
    # A commit is waited for during half of it: two seconds are much for one that is answered.
    bed = Bed(kafka.bootstrap_servers, prefix, folder, transaction_timeout_ms=4_000)
    # Requests are what a mutated gate decides twice: none of its commits may be a tick's.
    changes = {} if mutation is None else {"idle_tick_ms": NO_TICK_MS}
    asked: list[str] = []
    with bed.ready_gate(**changes) as running:
        if mutation is not None:
            mutation(running.gate)
        play(bed, 0, asked)
        bed.decided(len(asked))
        lost = wire.lost
        deadline = time.monotonic() + PATIENCE
        while wire.lost == lost:  # the other producer may take a whole round
            assert time.monotonic() < deadline, "no commit of this producer"
            # Again each time: a producer that began anew meanwhile has ended it.
            wire.lose_commit_answers(f"gate-1{producer}")
            before = len(asked)
            play(bed, before, asked)
            wait_for(
                lambda: wire.lost > lost or bed.decided(0).keys() >= set(asked), what="for a commit"
            )
        # Committed, and the gate does not know.
        wait_for(lambda: len(bed.decisions()) > before, what="for the commit's effect")
        play(bed, 2, asked)
        until_decided(bed, asked)
        # On a busy machine other commits may come too late, too.
        assert transactions(running, TransactionResult.REBUILT) >= 1
        if mutation is None:
            wait_for(
                lambda: stored(bed, running.gate._store) == folded_from_scratch(bed),
                what="for the state to be what consent.events makes it",
            )
    return bed, asked


@pytest.mark.parametrize("producer", ["-a", "-b"])
def test_a_commit_whose_answer_was_lost_is_found_in_the_topics_and_not_repeated(
    wired: tuple[EmbeddedKafka, LossyWire], topic_prefix: str, tmp_path: Path, producer: str
) -> None:
    bed, asked = decided_around_a_lost_answer(wired, topic_prefix, tmp_path, producer)
    check_outcomes(bed, asked)


def rewinds_from_memory(gate: Gate) -> None:
    """The mutation: what is not known to be committed is tried again, as after an abort."""

    def start_over() -> None:
        while True:
            with suppress(KafkaUnavailable):
                gate._transactor.restart()
                break
        gate._assignment.rewind(owned.partition for owned in gate._assignment.all())
        for owned in gate._assignment.all():
            gate._subjects.discard(owned.partition)

    gate._start_over = start_over  # type: ignore[method-assign]


def test_the_same_play_decides_twice_when_the_gate_goes_on_from_memory(
    wired: tuple[EmbeddedKafka, LossyWire], topic_prefix: str, tmp_path: Path
) -> None:
    bed, _ = decided_around_a_lost_answer(wired, topic_prefix, tmp_path, "-b", rewinds_from_memory)
    times = Counter(decision.request_id for decision in bed.decisions())
    assert max(times.values()) >= 2


# ------------------------------------------------------ a coordinator that does not say its offsets


def test_a_rebuild_does_not_take_silence_about_offsets_for_none(
    wired: tuple[EmbeddedKafka, LossyWire],
    topic_prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kafka, wire = wired
    bed = Bed(kafka.bootstrap_servers, topic_prefix, tmp_path)
    with bed.ready_gate():
        ask(bed, PEOPLE[0], "decided")
        bed.flush()
        bed.decided(1)
    partition = bed.partition(PEOPLE[0])
    assert rebuilding._committed(bed.settings, partition) == 1

    monkeypatch.setattr(rebuilding, "ANSWER_SECONDS", 1.0)
    wire.hold(OFFSET_FETCH)
    try:
        with pytest.raises(KafkaUnavailable, match="does not say its offsets"):
            rebuilding._committed(bed.settings, partition)
    finally:
        wire.lose_held()
