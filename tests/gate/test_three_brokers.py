"""
Three brokers, of which one does not answer, dies, or has a clock of its own.

Slow by nature: a broker that went away keeps its partitions for five seconds. Run by `make soak`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    ElectionType,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

from streams.broker.cluster import EmbeddedKafka
from streams.gate.barrier import Barrier, Targets
from streams.gate.gate import Gate
from streams.gate.owned import Phase
from streams.kafka.clients import producer_config
from streams.records.decisions import Outcome
from streams.records.events import ConsentEvent
from streams.state.log_reader import At
from streams.testing.records import a_consent_event, a_number, a_withdrawal, an_sms_requested
from streams.topology import CONSENT_EVENTS
from tests.crash.test_kill import check_outcomes, folded_from_scratch, stored
from tests.gate.bed import Bed, now_ms, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.soak]

PEOPLE = [a_number(index) for index in range(40)]
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
"""Debian's package libfaketime."""


@pytest.fixture
def bed(kafka3: EmbeddedKafka, topic_prefix: str, tmp_path: Path) -> Iterator[Bed]:
    bed = Bed(kafka3.bootstrap_servers, topic_prefix, tmp_path)
    yield bed
    wait_for(lambda: whole(bed), 60, "for all brokers to be in step again")


def whole(bed: Bed) -> bool:
    """Whether every partition has a leader and all its replicas in sync."""
    try:
        topics = bed.admin.list_topics(timeout=5).topics.values()
    except KafkaException:
        return False
    return all(
        part.leader > 0 and set(part.isrs) == set(part.replicas)
        for topic in topics
        for part in topic.partitions.values()
    )


def leader(bed: Bed, topic: str, partition: int) -> int:
    try:
        topics = bed.admin.list_topics(topic, timeout=5).topics
    except KafkaException:
        return -1
    return int(topics[topic].partitions[partition].leader)


def grant(number: str) -> ConsentEvent:
    return a_consent_event(event_id=f"g{number}", subject=number, occurred_at=now_ms() - 1000)


def withdraw(number: str) -> ConsentEvent:
    return a_withdrawal(event_id=f"w{number}", subject=number, occurred_at=now_ms())


def ask(bed: Bed, number: str, request_id: str) -> str:
    bed.request(an_sms_requested(request_id=request_id, recipient=number, valid_until=None))
    return request_id


def patient_producer(bed: Bed) -> Producer:
    """A producer that gives no record up for as long as a failure lasts here."""
    patient = bed.settings.model_copy(update={"transaction_timeout_ms": 120_000})
    return Producer(producer_config(patient))


# ----------------------------------------------------------------------------- one does not answer


def brokers_without_a_say(kafka3: EmbeddedKafka, prefix: str) -> tuple[int, int]:
    """
    Return a broker that coordinates neither the group nor the transactions of gate-1, and another.

    What becomes of a gate whose coordinator hangs is another story.
    """
    group = f"{prefix}consent-gate"
    transactional_id = f"{group}-gate-1"
    admin = AdminClient({"bootstrap.servers": kafka3.bootstrap_servers})
    # Asking for a coordinator makes Kafka's own topics where there are none yet.
    Producer(
        {"bootstrap.servers": kafka3.bootstrap_servers, "transactional.id": transactional_id}
    ).init_transactions(30)
    committed = ConsumerGroupTopicPartitions(group, [TopicPartition("none", 0)])
    wait_for(
        lambda: admin.list_consumer_group_offsets([committed])[group].exception() is None,
        what="for the group's coordinator",
    )
    coordinators = {
        admin.list_topics(topic, timeout=10).topics[topic].partitions[java_hash(name) % 4].leader
        for topic, name in (
            ("__consumer_offsets", group),
            ("__transaction_state", transactional_id),
        )
    }
    frozen = max(kafka3.pids.keys() - coordinators)
    return frozen, min(kafka3.pids.keys() - {frozen})


def java_hash(text: str) -> int:
    """Java's hash of a string without its sign: by it Kafka chooses a coordinator's partition."""
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & 0xFFFFFFFF
    return value & 0x7FFFFFFF


def allowed_without_their_state(
    kafka3: EmbeddedKafka,
    prefix: str,
    folder: Path,
    mutation: Callable[[Gate], None] | None = None,
) -> list[str]:
    """
    Withdraw, freeze the only broker that has these withdrawals, ask, and let it go on.

    Returns who was texted all the same. The people of the other partition are served meanwhile.
    """
    frozen, other = brokers_without_a_say(kafka3, prefix)
    admin = AdminClient({"bootstrap.servers": kafka3.bootstrap_servers})
    lonely = NewTopic(
        f"{prefix}{CONSENT_EVENTS.name}",
        num_partitions=2,
        replica_assignment=[[frozen], [other]],
        config=CONSENT_EVENTS.broker_settings(1),
    )
    admin.create_topics([lonely])[lonely.topic].result(30)
    # A request that hangs is given up sooner than by default: everybody finds new leaders sooner.
    bed = Bed(kafka3.bootstrap_servers, prefix, folder, kafka={"socket.timeout.ms": "3000"})
    bed.producer = patient_producer(bed)
    cut_off = [number for number in PEOPLE if bed.partition(number) == 0]
    beside = [number for number in PEOPLE if bed.partition(number) == 1]
    for number in PEOPLE:
        bed.consent(grant(number))
    bed.flush()
    asked = [ask(bed, number, f"before {number}") for number in PEOPLE]
    bed.flush()
    # No tick folds the withdrawals before they are cut off.
    with bed.ready_gate(idle_tick_ms=60_000) as running:
        bed.decided(len(asked))
        if mutation is not None:
            mutation(running.gate)
        for number in PEOPLE[::2]:
            bed.consent(withdraw(number))
        bed.flush()
        kafka3.pause_broker(frozen)
        try:
            asked += [ask(bed, number, f"after {number}") for number in PEOPLE]
            bed.flush()
            served = {f"after {number}" for number in beside}
            wait_for(lambda: served <= bed.decided(0).keys(), 60, "for the other partition")
            if mutation is None:
                owned = running.gate._assignment.owned(0)
                assert owned is not None
                wait_for(lambda: owned.phase is not Phase.LIVE, what="for its requests")
                assert bed.decided(0).keys() == served | {f"before {number}" for number in PEOPLE}
        finally:
            kafka3.resume_broker(frozen)
        decided = bed.decided(len(asked), 60)
        wait_for(lambda: whole(bed), 60, "for all brokers to be in step again")
        check_outcomes(bed, asked)
    return [
        number
        for number in cut_off
        if number in PEOPLE[::2] and decided[f"after {number}"].verdict is Outcome.ALLOWED
    ]


def test_requests_wait_for_a_state_partition_that_no_broker_answers_for(
    kafka3: EmbeddedKafka, topic_prefix: str, tmp_path: Path
) -> None:
    assert allowed_without_their_state(kafka3, topic_prefix, tmp_path) == []


def silence_is_consent(gate: Gate) -> None:
    """The mutation: who does not answer is taken to have nothing new."""
    barrier: Barrier = gate._barrier
    read = barrier.read

    def trusting(partitions: list[At]) -> Targets:
        targets = read(partitions)
        targets.offsets |= dict.fromkeys(targets.unreachable, 0)
        targets.unreachable.clear()
        return targets

    barrier.read = trusting  # type: ignore[method-assign,assignment]
    gate._distrust = lambda works, targets: None  # type: ignore[method-assign]


def test_the_same_play_fails_where_silence_is_taken_for_an_answer(
    kafka3: EmbeddedKafka, topic_prefix: str, tmp_path: Path
) -> None:
    assert allowed_without_their_state(kafka3, topic_prefix, tmp_path, silence_is_consent)


# --------------------------------------------------------------------------------------- one dies


class Pairs:
    """Withdraws and then asks, one person after the other, until it is told to stop."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.acknowledged: list[str] = []
        """Who was asked for after their withdrawal was acknowledged."""
        self.asked: list[str] = []

    def __enter__(self) -> Pairs:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        bed, codecs = self._bed, self._bed.codecs
        producer = patient_producer(bed)
        index = 0
        while not self._stop.is_set():
            number, index = f"+1202555{index:04d}", index + 1
            failed: list[object] = []
            producer.produce(
                bed.topics.consent,
                codecs.consent_events.encode(withdraw(number)),
                number.encode(),
                on_delivery=lambda error, _, failed=failed: error and failed.append(error),
            )
            acknowledged = producer.flush(60) == 0 and not failed
            request = an_sms_requested(request_id=number, recipient=number, valid_until=None)
            producer.produce(bed.topics.requests, codecs.requests.encode(request), number.encode())
            if acknowledged:
                self.acknowledged.append(number)
            self.asked.append(number)
        assert producer.flush(60) == 0


def test_withdrawals_acknowledged_while_a_leader_dies_are_honoured(
    kafka3: EmbeddedKafka, bed: Bed
) -> None:
    everyone = [f"+1202555{index:04d}" for index in range(5_000)]
    for number in everyone:
        bed.consent(grant(number))
    bed.flush()
    with bed.ready_gate() as running, Pairs(bed) as pairs:
        wait_for(lambda: len(pairs.acknowledged) >= 20, what="for some pairs before")
        victim = leader(bed, bed.topics.consent, 0)
        kafka3.kill_broker(victim)
        try:
            wait_for(
                lambda: leader(bed, bed.topics.consent, 0) not in (victim, -1),
                what="for another leader",
            )
            before = len(pairs.acknowledged)
            wait_for(lambda: len(pairs.acknowledged) >= before + 100, 60, "for some pairs after")
            after = pairs.acknowledged[-1]
            wait_for(lambda: after in bed.decided(0), 60, "for decisions without the dead broker")
            assert len(pairs.asked) < len(everyone), "all had consented"
        finally:
            kafka3.start_broker(victim)
        pairs.__exit__()
        decided = bed.decided(len(pairs.asked), 60)
        wait_for(
            lambda: stored(bed, running.gate._store) == folded_from_scratch(bed),
            what="for the state to be what consent.events makes it",
        )
    check_outcomes(bed, pairs.asked)
    assert [n for n in pairs.acknowledged if decided[n].verdict is Outcome.ALLOWED] == []
    assert pairs.acknowledged


# -------------------------------------------------------------------------- one has another clock


@contextmanager
def ten_seconds_behind(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start brokers whose clock is 10 s behind, all but the one that never goes back."""
    with patch.context() as environment:
        environment.setenv("LD_PRELOAD", str(FAKETIME))
        environment.setenv("FAKETIME", "-10s")
        environment.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        environment.setenv("FAKETIME_FORCE_MONOTONIC_FIX", "0")
        yield


@pytest.mark.skipif(
    not FAKETIME.exists(), reason="NOT TESTED, brokers with different clocks: no libfaketime"
)
def test_a_late_yes_does_not_undo_a_stop_that_a_slow_clock_stamped(
    kafka3: EmbeddedKafka, bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The stop is stamped 10 s too early; then a yes arrives that was given 5 s before the stop.

    By the stamps alone the yes would be the newer one.
    """
    person = next(number for number in PEOPLE if bed.partition(number) == 0)
    other = next(n for n in PEOPLE if n != person and bed.partition(n) == 0)
    at = TopicPartition(bed.topics.consent, 0)

    def leads(node: int) -> bool:
        return leader(bed, at.topic, at.partition) == node

    skewed = leader(bed, at.topic, at.partition)  # as assigned: the preferred leader
    kafka3.stop_broker(skewed)
    with ten_seconds_behind(monkeypatch):
        kafka3.start_broker(skewed)
    try:
        wait_for(lambda: whole(bed), 60, "for the broker to be in step")
        bed.consent(grant(other))  # by a true clock, and not long before the slow one leads
        bed.flush()
        bed.admin.elect_leaders(ElectionType.PREFERRED, [at]).result()
        wait_for(lambda: leads(skewed), what="for the slow clock to lead")
        given_before = now_ms() - 5_000
        stopped_at = now_ms()
        bed.consent(withdraw(person))
        bed.flush()
    finally:
        kafka3.stop_broker(skewed)
        kafka3.start_broker(skewed)
    wait_for(lambda: whole(bed), 60, "for the broker to be in step")
    bed.consent(a_consent_event(event_id="late", subject=person, occurred_at=given_before))
    bed.flush()
    ask(bed, person, "after")
    bed.flush()
    with bed.ready_gate():
        decided = bed.decided(1)

    stamps = {
        bed.codecs.consent_events.decode(message.value()).event_id: message.timestamp()[1]
        for message in bed.read(bed.topics.consent)
    }
    assert stamps[f"w{person}"] < given_before < stopped_at, "the clock was slow"
    assert decided["after"].verdict is Outcome.DROPPED
    appended = [record.appended_at for record in bed.ledger()]
    assert appended == sorted(appended)
