"""
Three brokers, of which one does not answer, dies, or has a clock of its own.

A broker that went away keeps its partitions for five seconds, and a start takes three: 75 seconds
in all. Each test waits for conditions, and leaves the brokers whole to the next one.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from confluent_kafka import (
    Consumer,
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
from tests.deploy.programs import not_tested
from tests.gate.bed import Bed, RunningGate, now_ms, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

PEOPLE = [a_number(index) for index in range(40)]
WITHDRAWN = PEOPLE[::2]
PATIENCE = 90
"""Seconds for what takes five on a quiet machine: a failure takes that long to be told, no more."""

NO_TICK_MS = 3_600_000
"""For a gate that folds nothing but what a batch needs, however long the play takes."""


@pytest.fixture
def bed(kafka3: EmbeddedKafka, topic_prefix: str, tmp_path: Path) -> Iterator[Bed]:
    bed = Bed(kafka3.bootstrap_servers, topic_prefix, tmp_path)
    yield bed
    wait_for(lambda: whole(bed), PATIENCE, "for all brokers to be in step again")


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


class Play:
    """
    Withdraw, freeze the only broker that has some of these withdrawals, ask, and let it go on.

    The consent events of partition 0 are on the broker that freezes alone, those of partition 1
    on another. A mutation changes the gate before the withdrawals. The broker stays frozen until
    what is to be seen has been seen: for a gate that does as it should, that the requests beside
    were decided and the others wait; for a mutated one, that somebody was texted.
    """

    def __init__(
        self,
        kafka3: EmbeddedKafka,
        prefix: str,
        folder: Path,
        frozen: int,
        mutation: Callable[[Gate], None] | None = None,
    ) -> None:
        other = min(kafka3.pids.keys() - {frozen})
        admin = AdminClient({"bootstrap.servers": kafka3.bootstrap_servers})
        lonely = NewTopic(
            f"{prefix}{CONSENT_EVENTS.name}",
            num_partitions=2,
            replica_assignment=[[frozen], [other]],
            config=CONSENT_EVENTS.broker_settings(1),
        )
        admin.create_topics([lonely])[lonely.topic].result(60)
        # A request that hangs is given up sooner than by default: new leaders are found sooner.
        bed = Bed(kafka3.bootstrap_servers, prefix, folder, kafka={"socket.timeout.ms": "3000"})
        bed.producer = patient_producer(bed)
        self.bed = bed
        self.cut_off = [number for number in PEOPLE if bed.partition(number) == 0]
        self.beside = [number for number in PEOPLE if bed.partition(number) == 1]
        self.asked: list[str] = []
        self.decided_meanwhile: set[str] = set()
        """Whose second request was decided while the broker was frozen."""
        self._mutation = mutation
        self._running: RunningGate | None = None

    @contextmanager
    def gate(self) -> Iterator[None]:
        # No tick folds the withdrawals before they are cut off.
        with self.bed.gate(idle_tick_ms=NO_TICK_MS) as self._running:
            yield

    def before(self) -> None:
        bed = self.bed
        for number in PEOPLE:
            bed.consent(grant(number))
        bed.flush()
        self.asked += [ask(bed, number, f"before {number}") for number in PEOPLE]
        bed.flush()
        bed.decided(len(self.asked), PATIENCE)
        if self._mutation is not None:
            self._mutation(self._gate)
        for number in WITHDRAWN:
            bed.consent(withdraw(number))
        bed.flush()

    def meanwhile(self) -> None:
        bed = self.bed
        self.asked += [ask(bed, number, f"after {number}") for number in PEOPLE]
        assert bed.producer.flush(PATIENCE) == 0
        if self._mutation is not None:
            wait_for(lambda: self.texted() & set(self.cut_off), PATIENCE, "for a wrong text")
            return
        served = {f"after {number}" for number in self.beside}
        wait_for(lambda: served <= bed.decided(0).keys(), PATIENCE, "for the other partition")
        owned = self._gate._assignment.owned(0)
        assert owned is not None
        wait_for(lambda: owned.phase is not Phase.LIVE, PATIENCE, "for its requests")
        decided = bed.decided(0)
        self.decided_meanwhile = {n for n in PEOPLE if f"after {n}" in decided}

    def texted(self) -> set[str]:
        """Who was texted after their withdrawal so far."""
        decided = self.bed.decided(0)
        allowed = {key for key, decision in decided.items() if decision.verdict is Outcome.ALLOWED}
        return {number for number in WITHDRAWN if f"after {number}" in allowed}

    def afterwards(self) -> None:
        self.bed.decided(len(self.asked), PATIENCE)
        check_outcomes(self.bed, self.asked)

    @property
    def _gate(self) -> Gate:
        assert self._running is not None
        return self._running.gate


OFFSETS, TRANSACTIONS = "__consumer_offsets", "__transaction_state"


def coordinators(kafka3: EmbeddedKafka) -> dict[str, list[int]]:
    """Return who leads the partitions of Kafka's own topics: the coordinators of all names."""
    servers = {"bootstrap.servers": kafka3.bootstrap_servers}
    # Asking for a coordinator makes these topics where there are none yet. Not with an admin
    # client: librdkafka 2.16 dies of an answer that says "not the coordinator" (its issue 5040).
    Producer({**servers, "transactional.id": "anybody"}).init_transactions(60)
    anybody = Consumer({**servers, "group.id": "anybody"})
    wait_for(lambda: has_a_coordinator(anybody), PATIENCE, "for a group's coordinator")
    anybody.close()
    admin = AdminClient({**servers})

    def leaders() -> dict[str, list[int]]:
        topics = admin.list_topics(timeout=60).topics
        return {
            name: [topics[name].partitions[n].leader for n in sorted(topics[name].partitions)]
            for name in (OFFSETS, TRANSACTIONS)
        }

    wait_for(lambda: min(map(min, leaders().values())) > 0, PATIENCE, "for all their leaders")
    return leaders()


def a_bystander(brokers: Iterable[int], leaders: dict[str, list[int]]) -> tuple[int, str]:
    """
    Return a broker, and a prefix for topics whose gate-1 has no coordinator on that broker.

    What becomes of a gate whose coordinator hangs is another story. The broker is not chosen first:
    of the gate's two transactional ids, one always falls on an even partition of the coordinators
    and one on an odd one, and a broker may lead an even and an odd one of them.
    """
    for _ in range(1_000):
        prefix = f"t{secrets.token_hex(3)}."
        group = f"{prefix}consent-gate"
        coordinated = [(OFFSETS, group)]
        coordinated += [(TRANSACTIONS, f"{group}-gate-1{ending}") for ending in ("-a", "-b")]
        asked = {
            leaders[topic][java_hash(name) % len(leaders[topic])] for topic, name in coordinated
        }
        for broker in brokers:
            if broker not in asked:
                return broker, prefix
    raise AssertionError(f"every broker is asked by every gate-1: {leaders}")


def has_a_coordinator(consumer: Consumer) -> bool:
    try:
        consumer.committed([TopicPartition("none", 0)], 5)
    except KafkaException:
        return False
    return True


def java_hash(text: str) -> int:
    """Java's hash of a string without its sign: by it Kafka chooses a coordinator's partition."""
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & 0xFFFFFFFF
    return value & 0x7FFFFFFF


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


def played(
    kafka3: EmbeddedKafka, folder: Path, mutation: Callable[[Gate], None] | None = None
) -> Play:
    frozen, prefix = a_bystander(kafka3.pids, coordinators(kafka3))
    play = Play(kafka3, prefix, folder, frozen, mutation)
    try:
        with play.gate():
            play.before()
            kafka3.pause_broker(frozen)
            try:
                play.meanwhile()
            finally:
                kafka3.resume_broker(frozen)
            if mutation is None:
                play.afterwards()
    finally:
        wait_for(lambda: whole(play.bed), PATIENCE, "for all brokers to be in step again")
    return play


def test_requests_wait_for_a_state_partition_that_no_broker_answers_for(
    kafka3: EmbeddedKafka, tmp_path: Path
) -> None:
    play = played(kafka3, tmp_path)
    assert play.decided_meanwhile == set(play.beside)
    assert play.texted() == set()


def test_the_same_play_fails_where_silence_is_taken_for_an_answer(
    kafka3: EmbeddedKafka, tmp_path: Path
) -> None:
    play = played(kafka3, tmp_path, silence_is_consent)
    assert play.texted() & set(play.cut_off)


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
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(2 * PATIENCE)
        assert not self._thread.is_alive()

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
            acknowledged = producer.flush(PATIENCE) == 0 and not failed
            request = an_sms_requested(request_id=number, recipient=number, valid_until=None)
            producer.produce(bed.topics.requests, codecs.requests.encode(request), number.encode())
            if acknowledged:
                self.acknowledged.append(number)
            self.asked.append(number)
        assert producer.flush(PATIENCE) == 0


@contextmanager
def dead_leader(kafka3: EmbeddedKafka, bed: Bed) -> Iterator[None]:
    """Kill the leader of partition 0's consent events; go on when there is another one."""
    victim = leader(bed, bed.topics.consent, 0)
    kafka3.kill_broker(victim)
    try:
        wait_for(
            lambda: leader(bed, bed.topics.consent, 0) not in (victim, -1),
            PATIENCE,
            "for another leader",
        )
        yield
    finally:
        kafka3.start_broker(victim)


def test_withdrawals_acknowledged_while_a_leader_dies_are_honoured(
    kafka3: EmbeddedKafka, bed: Bed
) -> None:
    everyone = [f"+1202555{index:04d}" for index in range(3_000)]
    for number in everyone:
        bed.consent(grant(number))
    bed.flush()
    with bed.ready_gate() as running, Pairs(bed) as pairs:
        wait_for(lambda: len(pairs.acknowledged) >= 20, PATIENCE, "for some pairs before")
        with dead_leader(kafka3, bed):
            before = len(pairs.acknowledged)
            wait_for(
                lambda: len(pairs.acknowledged) >= before + 100, PATIENCE, "for some pairs after"
            )
            pairs.stop()
            assert len(pairs.asked) < len(everyone), "all had consented"
            decided = bed.decided(len(pairs.asked), PATIENCE)
            wait_for(
                lambda: stored(bed, running.gate._store) == folded_from_scratch(bed),
                PATIENCE,
                "for the state to be what consent.events makes it",
            )
    check_outcomes(bed, pairs.asked)
    assert [n for n in pairs.acknowledged if decided[n].verdict is Outcome.ALLOWED] == []
    assert pairs.acknowledged


# -------------------------------------------------------------------------- one has another clock


def ten_seconds_behind() -> dict[str, str]:
    """The environment of a program whose clock is 10 s behind, but not the one that only counts."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        not_tested("brokers with different clocks: libfaketime is not installed (Debian's package)")
    return {
        "LD_PRELOAD": str(found[0]),
        "FAKETIME": "-10s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
    }


def test_a_late_yes_does_not_undo_a_stop_that_a_slow_clock_stamped(
    kafka3: EmbeddedKafka, bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The stop is stamped 10 s too early; then a yes arrives that was given a second before the stop.

    By the stamps alone the yes would be the newer one.
    """
    slow = ten_seconds_behind()
    person, other = [number for number in PEOPLE if bed.partition(number) == 0][:2]
    at = TopicPartition(bed.topics.consent, 0)

    def elected(node: int) -> bool:
        if leader(bed, at.topic, at.partition) == node:
            return True
        with suppress(KafkaException):  # it may not be eligible yet
            bed.admin.elect_leaders(ElectionType.PREFERRED, [at]).result(60)
        return False

    partitions = bed.admin.list_topics(at.topic, timeout=60).topics[at.topic].partitions
    skewed = partitions[at.partition].replicas[0]  # the preferred leader
    kafka3.stop_broker(skewed)
    with monkeypatch.context() as environment:
        for name, value in slow.items():
            environment.setenv(name, value)
        kafka3.start_broker(skewed)
    try:
        wait_for(lambda: whole(bed), PATIENCE, "for the broker to be in step")
        bed.consent(grant(other))  # by a true clock, and not long before the slow one leads
        bed.flush()
        wait_for(lambda: elected(skewed), PATIENCE, "for the slow clock to lead")
        stopped_at = now_ms()
        given_before = stopped_at - 1_000
        bed.consent(withdraw(person))
        bed.flush()
    finally:
        kafka3.stop_broker(skewed)
        kafka3.start_broker(skewed)
    bed.consent(a_consent_event(event_id="late", subject=person, occurred_at=given_before))
    bed.flush()
    ask(bed, person, "after")
    bed.flush()
    with bed.ready_gate():
        decided = bed.decided(1, PATIENCE)

    stamps = {
        bed.codecs.consent_events.decode(message.value()).event_id: message.timestamp()[1]
        for message in bed.read(bed.topics.consent)
    }
    assert stamps[f"w{person}"] < given_before < stopped_at, "the clock was slow"
    assert decided["after"].verdict is Outcome.DROPPED
    appended = [record.appended_at for record in bed.ledger()]
    assert appended == sorted(appended)
