"""
What a gate makes of what it finds when it starts: offsets, keys, and its store on disk.

The topics are the truth: with expired group offsets, an old store or none at all it comes to the
same state and decides nothing twice. With another subject-id key it must not begin.
"""

from __future__ import annotations

import logging
import re
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import OffsetSpec

from streams.broker.cluster import EmbeddedKafka
from streams.errors import Aborted, SecretsError
from streams.gate import assembly
from streams.gate.gate import Gate
from streams.gate.owned import Phase
from streams.kafka.clients import producer_config
from streams.records.events import ConsentEvidence, ConsentKind
from streams.records.subject import SubjectState
from streams.sealing.secrets_folder import init_secrets
from streams.state.restore import COPY_USABLE_MS
from streams.state.store import PartitionWrite, Store, boot_id
from streams.telemetry.labels import RestoreKind, StallCause
from streams.telemetry.metrics import RESTORES
from streams.testing.records import a_consent_event, a_number, an_sms_requested
from tests.crash.short_lived_gate import hasty
from tests.crash.test_kill import (
    check_outcomes,
    check_state,
    folded_from_scratch,
    play,
    stored,
)
from tests.gate.bed import PATIENCE, Bed, RunningGate, now_ms, wait_for

pytestmark = pytest.mark.kafka

A_DAY_MS = 24 * 3600 * 1000
GHOST = bytes(16)
"""A subject id that no number has."""


@pytest.fixture
def bed(kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path) -> Bed:
    return hasty(Bed(kafka.bootstrap_servers, topic_prefix, tmp_path))


# ----------------------------------------------------------------------------------- group offsets


def delete_offsets(bed: Bed) -> bool:
    """Let the broker forget the group, as it does when its offsets have expired."""
    try:
        bed.admin.delete_consumer_groups([bed.settings.group_id])[bed.settings.group_id].result()
    except KafkaException:
        return False  # a member's session has not ended yet
    return True


def has_offsets(bed: Bed) -> bool:
    group = bed.settings.group_id
    asked = bed.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group]
    try:
        return any(tp.offset >= 0 for tp in asked.result().topic_partitions)
    except KafkaException:
        return False  # there is no such group


def test_a_gate_whose_group_offsets_have_expired_goes_on_from_its_position(bed: Bed) -> None:
    asked: list[str] = []
    with bed.ready_gate():
        play(bed, 0, asked)
        bed.decided(len(asked))
    assert has_offsets(bed)
    wait_for(lambda: delete_offsets(bed), what="for the group to be gone")
    assert not has_offsets(bed)
    play(bed, 1, asked)
    with bed.ready_gate() as running:
        bed.decided(len(asked))
        check_state(bed, running)
    check_outcomes(bed, asked)


# ----------------------------------------------------------------- requests that end in a marker


def ask_in_transactions(bed: Bed, people: list[str], *, commit: bool) -> None:
    """Write a request for each of these people, in one transaction."""
    producer = Producer(producer_config(bed.settings, f"{bed.settings.group_id}-shop"))
    producer.init_transactions(60)
    producer.begin_transaction()
    for number in people:
        request = an_sms_requested(request_id=number, recipient=number, valid_until=None)
        value = bed.codecs.requests.encode(request)
        producer.produce(bed.topics.requests, value, number.encode(), bed.partition(number))
    if commit:
        producer.commit_transaction(60)
    else:
        assert producer.flush(60) == 0
        producer.abort_transaction(60)


def ends(bed: Bed) -> dict[TopicPartition, int]:
    asked = {TopicPartition(bed.topics.requests, n): OffsetSpec.latest() for n in (0, 1)}
    return {tp: int(answer.result().offset) for tp, answer in bed.admin.list_offsets(asked).items()}


@pytest.mark.parametrize("already_decided", [0, 3])
def test_a_gate_begins_to_read_requests_at_its_position_and_asks_for_no_other_place(
    bed: Bed, already_decided: int, caplog: pytest.LogCaptureFixture
) -> None:
    """
    The client may go on from wherever it was first told to begin: see assignment.py.

    It asks for an end in any case, and passes requests over only if the position becomes known just
    then. So its own log is what tells.
    """
    number = a_number(1)
    partition, topic = bed.partition(number), bed.topics.requests
    if already_decided:
        ask(bed, number, already_decided)
        with bed.ready_gate():
            bed.decided(already_decided)
    with (
        caplog.at_level(logging.DEBUG, "streams.kafka.librdkafka"),
        bed.ready_gate(kafka={**bed.settings.kafka, "debug": "topic"}),
    ):
        ask(bed, number, 2)
        bed.decided(already_decided + 2)
    said = [r.getMessage() for r in caplog.records if f"{topic} [{partition}]" in r.getMessage()]
    begun = [
        m[1] for line in said if (m := re.search(r"Start fetch for .* at (.*) \(leader", line))
    ]
    assert f"offset {already_decided}" in begun
    assert all(re.fullmatch(r"offset \d+", each) for each in begun)
    assert not [line for line in said if "logical offset" in line]


def test_a_partition_that_waited_while_another_began_goes_on(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client keeps a partition paused through assignments without it."""
    people = [next(n for n in map(a_number, range(99)) if bed.partition(n) == p) for p in (0, 1)]
    turn: Callable[[Gate], None] = Gate.turn
    done: list[str] = []

    def eventful(gate: Gate) -> None:
        first, second = (gate._assignment.owned(number) for number in (0, 1))
        if first is not None and second is not None and second.phase is Phase.LIVE:
            if first.phase is Phase.LIVE and not done:
                gate._assignment.stall(first, StallCause.STATE_NOT_REACHED, {}, PATIENCE)
                gate._assignment._read.discard(second.partition)
                done.append("the first waits, the second begins")
            elif first.phase is Phase.STALLED and gate._assignment._read == {1}:
                first.not_before = 0.0
                done.append("the first goes on")
        turn(gate)

    monkeypatch.setattr(Gate, "turn", eventful)
    with bed.ready_gate():
        wait_for(lambda: len(done) == 2, what="for both steps")
        for number in people:
            ask(bed, number, 1)
        bed.decided(2)


def ask(bed: Bed, number: str, count: int) -> None:
    for _ in range(count):
        bed.request(an_sms_requested(recipient=number, valid_until=None))
    bed.flush()


@pytest.mark.parametrize("last", ["committed", "aborted"])
def test_requests_that_end_in_a_marker_are_not_taken_for_lost_when_it_is_deleted(
    bed: Bed, last: str
) -> None:
    """Behind a transaction's last record lies its marker, which no consumer is given."""
    people = [a_number(index) for index in range(10)]
    with bed.ready_gate() as running:
        ask_in_transactions(bed, people, commit=True)
        if last == "aborted":
            ask_in_transactions(bed, people, commit=False)
        bed.decided(len(people))
        ended = ends(bed)
        assignment = running.gate._assignment
        wait_for(
            lambda: (
                {o.partition: o.next_request for o in assignment.all()}
                == {tp.partition: end for tp, end in ended.items()}
            ),
            what="for the positions to pass the markers",
        )
    gone = [TopicPartition(tp.topic, tp.partition, end) for tp, end in ended.items()]
    for answer in bed.admin.delete_records(gone).values():
        answer.result()
    asked = [*people, "after"]
    with bed.ready_gate():
        bed.request(an_sms_requested(request_id="after", recipient=people[0], valid_until=None))
        bed.flush()
        bed.decided(len(asked))
    check_outcomes(bed, asked)


def test_requests_that_go_back_are_not_passed_over_with_the_marker_behind_them(bed: Bed) -> None:
    """Their end is told while they are about to be committed, and then they are not."""
    people = [a_number(index) for index in range(20) if bed.partition(a_number(index)) == 0]
    with bed.ready_gate(batch_max_records=2) as running:
        owned = running.gate._assignment.owned(0)
        assert owned is not None
        transactor = running.gate._transactor
        run, failed = transactor.run, threading.Event()

        def failing(outputs: Any, *rest: Any, **options: Any) -> None:
            outputs = list(outputs)
            if not failed.is_set() and any(o.topic == bed.topics.decisions for o in outputs):
                while not owned.end:
                    running.gate._intake.take(0.1, 0, 1)
                failed.set()
                raise Aborted("in a test")
            run(outputs, *rest, **options)

        transactor.run = failing  # type: ignore[method-assign]
        ask_in_transactions(bed, people, commit=True)
        bed.decided(len(people))
        assert failed.is_set()
    check_outcomes(bed, people)


# ------------------------------------------------------------------------------ the subject-id key


def test_a_gate_with_another_subject_id_key_decides_nothing(bed: Bed) -> None:
    asked: list[str] = []
    with bed.ready_gate():
        play(bed, 0, asked)
        bed.decided(len(asked))
    play(bed, 1, [])
    other = bed.folder / "other-secrets"
    init_secrets(other)
    with (
        pytest.raises(SecretsError, match="Put the installation's own key back"),
        bed.gate(secrets_dir=other) as running,
    ):
        running.thread.join(60)
    check_outcomes(bed, asked)


# ---------------------------------------------------------------------------------- the store


class Disk:
    """The store's folder of a gate that does not run."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        self._folder = bed.settings.state_dir / "gate-1"
        self._copy = bed.folder / "copy"

    def copy(self) -> None:
        """Keep the folder as it is now."""
        shutil.copytree(self._folder, self._copy)

    def put_back(self, *, age_ms: int) -> None:
        """
        Put the copy back and make it this old.

        It gets a subject of its own that no topic knows of, to tell its content by.
        """
        shutil.rmtree(self._folder)
        shutil.copytree(self._copy, self._folder)
        cluster = self._bed.admin.list_topics(timeout=60).cluster_id
        check = self._bed.keyring.subject_ids.check_value.hex()
        written_by = " ".join((boot_id(), cluster, self._bed.topics.changelog, check))
        ghost = self._bed.codecs.subject_states.encode(SubjectState(GHOST))
        store = Store(self._folder, map_bytes=2**30, written_by=written_by)
        try:
            for partition in range(self._bed.settings.partitions):
                reached = store.reached(partition)
                assert reached is not None
                older = replace(reached, saved_at=reached.saved_at - age_ms)
                store.write([PartitionWrite(partition, {GHOST: ghost}, {}, older)])
        finally:
            store.close()


def decided_beyond_a_copy(bed: Bed) -> tuple[Disk, str]:
    """
    Decide, copy the store, decide more. Returns the disk and a person erased in between.

    Their data key is in the copy, and was shredded since.
    """
    disk, erased, asked = Disk(bed), a_number(50), []
    evidence = ConsentEvidence(
        notice_version="1", document_sha256=None, channel="web", reference="r"
    )
    with bed.ready_gate() as running:
        bed.consent(
            a_consent_event(
                event_id="sealed", subject=erased, occurred_at=now_ms() - 1000, evidence=evidence
            )
        )
        play(bed, 0, asked)
        bed.decided(len(asked))
        check_state(bed, running)
        assert has_key(bed, running, erased)
    disk.copy()
    with bed.ready_gate() as running:
        bed.consent(
            a_consent_event(
                event_id="erase",
                subject=erased,
                kind=ConsentKind.ERASURE_REQUESTED,
                purpose=None,
                occurred_at=now_ms(),
            )
        )
        play(bed, 1, asked)
        bed.decided(len(asked))
        check_state(bed, running)
    return disk, erased


def has_key(bed: Bed, running: RunningGate, number: str) -> bool:
    subject_id = bed.keyring.subject_ids.of(number)
    with running.gate._store._env.begin() as txn:
        prefix = bed.partition(number).to_bytes(2, "big")
        return txn.get(prefix + subject_id, db=running.gate._store._keys) is not None


def ghosts(running: RunningGate) -> int:
    store = running.gate._store
    return sum(subject_id == GHOST for n in (0, 1) for subject_id, _ in store.states(n))


def restored(running: RunningGate, kind: RestoreKind) -> float:
    return running.telemetry.values(RESTORES).get((kind.value,), 0)


def test_a_store_that_is_a_day_old_is_brought_up_to_date(bed: Bed) -> None:
    disk, erased = decided_beyond_a_copy(bed)
    disk.put_back(age_ms=A_DAY_MS)
    with bed.ready_gate() as running:
        assert restored(running, RestoreKind.CONTINUED) == 2
        assert ghosts(running) == 2, "it went on from the copy"
        assert not has_key(bed, running, erased)
        states = stored(bed, running.gate._store)
    del states[GHOST]
    assert states == folded_from_scratch(bed)


def test_a_store_that_cannot_be_trusted_is_built_anew(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One older than the deletions that it may have missed; one of another boot; none at all."""
    disk, erased = decided_beyond_a_copy(bed)

    def check_built_anew() -> None:
        with bed.ready_gate() as running:
            assert restored(running, RestoreKind.REBUILT) == 2
            assert ghosts(running) == 0
            assert not has_key(bed, running, erased)
            check_state(bed, running)

    disk.put_back(age_ms=COPY_USABLE_MS)
    check_built_anew()

    disk.put_back(age_ms=0)
    with monkeypatch.context() as rebooted:
        rebooted.setattr(assembly, "boot_id", lambda: "the next boot")
        check_built_anew()

    shutil.rmtree(bed.settings.state_dir)
    check_built_anew()
