"""kill -9 at every step of the transaction: nothing lost, nothing twice, the state exact."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from streams.broker.cluster import EmbeddedKafka
from streams.records.decisions import Outcome
from streams.records.events import Source
from streams.records.subject import SubjectState
from streams.state.fold import fold_consent
from streams.testing.records import a_consent_event, a_withdrawal, an_sms_requested
from tests.crash.gate_process import STEPS
from tests.gate.bed import PATIENCE, QUICK_TAKEOVER, Bed, RunningGate, now_ms, wait_for
from tests.pace import allowed, until_in_time

pytestmark = pytest.mark.kafka

PEOPLE = [f"+1202555{index:04d}" for index in range(100)]


@pytest.fixture
def bed(kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path) -> Bed:
    # A short session: the successor is the same static member, but a fresh one must not wait.
    return Bed(
        kafka.bootstrap_servers,
        topic_prefix,
        tmp_path,
        **QUICK_TAKEOVER,
    )


@contextmanager
def gate_process(bed: Bed, instance_id: str, *dying: str) -> Iterator[subprocess.Popen[str]]:
    """Run a gate as a process; kill it at the end if it is still there."""
    values = bed.settings.model_dump(mode="json", exclude_defaults=True)
    values |= {"instance_id": instance_id, "http_port": 0}
    config = bed.folder / f"{instance_id}.json"
    config.write_text(json.dumps(values))
    with (bed.folder / f"{instance_id}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.gate_process", str(config), *dying],
            stderr=log,
            stdout=subprocess.PIPE,
            text=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(60)
        if process.stdout is not None:
            process.stdout.close()


def play(bed: Bed, round_number: int, asked: list[str]) -> None:
    """Some consents, some withdrawals, many requests."""
    choose = random.Random(round_number)
    for index in range(60):
        number = choose.choice(PEOPLE)
        event_id = f"{round_number}-{index}"
        if choose.random() < 0.5:
            event = a_consent_event(
                event_id=event_id, subject=number, occurred_at=now_ms(), source=Source.SELF_SERVICE
            )
        else:
            event = a_withdrawal(event_id=event_id, subject=number, occurred_at=now_ms())
        bed.consent(event)
    for index in range(200):
        request_id = f"{round_number}/{index}"
        asked.append(request_id)
        bed.request(
            an_sms_requested(
                request_id=request_id,
                recipient=choose.choice(PEOPLE),
                valid_until=None,
                purpose=choose.choice(("marketing", "otp")),
            )
        )
    bed.flush()


def check_outcomes(bed: Bed, asked: list[str]) -> None:
    """Each request has one decision, and exactly what was allowed is in sms.allowed, once."""
    decisions = bed.decisions()
    assert Counter(d.request_id for d in decisions) == Counter(asked)
    allowed = [d.request_id for d in decisions if d.verdict is Outcome.ALLOWED]
    assert Counter(r.request_id for r in bed.allowed()) == Counter(allowed)
    held = [d.decision_id for d in decisions if d.verdict is Outcome.QUARANTINED]
    assert Counter(h.decision_id for h in bed.held()) == Counter(held)
    for partition in range(bed.settings.partitions):
        chain = [d for d in decisions if d.request_partition == partition]
        assert [d.sequence for d in chain] == list(range(len(chain)))
        assert [d.request_offset for d in chain] == sorted(d.request_offset for d in chain)


def folded_from_scratch(bed: Bed) -> dict[bytes, SubjectState]:
    """What the topic consent.events alone makes of every subject."""
    states: dict[bytes, SubjectState] = {}
    newest: Counter[int] = Counter()
    for message in bed.read(bed.topics.consent):
        event = bed.codecs.consent_events.decode(message.value())
        partition = message.partition() or 0
        newest[partition] = max(newest[partition], message.timestamp()[1])
        subject_id = bed.keyring.subject_ids.of(event.subject)
        states[subject_id] = fold_consent(
            states.get(subject_id, SubjectState(subject_id)),
            event,
            offset=message.offset() or 0,
            appended_at=newest[partition],
            placed=True,
        ).state
    return states


def stored(bed: Bed, store: object) -> dict[bytes, SubjectState]:
    return {
        subject_id: bed.codecs.subject_states.decode(raw)
        for partition in range(bed.settings.partitions)
        for subject_id, raw in store.states(partition)  # type: ignore[attr-defined]
    }


def check_state(bed: Bed, running: RunningGate) -> None:
    """
    The gate's store is, or soon becomes, what the topic makes of everyone.

    A decision is seen before the store is written; what no request waits for is folded on ticks.
    """
    running.until(
        lambda: stored(bed, running.gate._store) == folded_from_scratch(bed),
        what="for the state to be what consent.events makes it",
    )


def until_killed(bed: Bed, process: subprocess.Popen[Any], asked: list[str]) -> None:
    """Ask until it dies of its own hand: a whole round may be the other producer's."""
    for round_number in range(1, 90):
        play(bed, round_number, asked)
        with suppress(subprocess.TimeoutExpired):
            assert process.wait(1) == -signal.SIGKILL
            return
    pytest.fail("it did not die")


@pytest.mark.parametrize("turn", [0, 1])
@pytest.mark.parametrize("step", STEPS)
def test_a_gate_killed_at_this_step_loses_and_doubles_nothing(
    bed: Bed, step: str, turn: int
) -> None:
    asked: list[str] = []
    armed = bed.folder / "armed"
    with gate_process(bed, "gate-1", step, str(armed), str(turn)) as process:
        play(bed, 0, asked)
        bed.decided(len(asked))
        armed.touch()
        until_killed(bed, process, asked)
    play(bed, 99, asked)
    # The same name takes over its own store, or what is left of it.
    with bed.ready_gate("gate-1") as running:
        bed.decided(len(asked))
        check_outcomes(bed, asked)
        check_state(bed, running)
    # Another name starts on an empty disk and comes to the same.
    with bed.ready_gate("gate-2", state_dir=bed.folder / "elsewhere") as running:
        check_state(bed, running)


def test_a_gate_killed_in_its_very_first_transaction_starts_again(bed: Bed) -> None:
    """The changelog then holds bytes, but nothing that was ever committed."""
    asked: list[str] = []
    play(bed, 0, asked)
    armed = bed.folder / "armed"
    armed.touch()
    with gate_process(bed, "gate-1", "after produce", str(armed), "0") as process:
        assert process.wait(PATIENCE) == -signal.SIGKILL
    assert bed.read(bed.topics.changelog) == []
    with bed.ready_gate("gate-1") as running:
        bed.decided(len(asked))
        check_outcomes(bed, asked)
        check_state(bed, running)


def test_a_gate_that_was_stopped_longer_than_its_session_commits_nothing_late(bed: Bed) -> None:
    """SIGSTOP, another gate takes over, SIGCONT: nothing lost, nothing twice."""
    asked: list[str] = []
    with gate_process(bed, "gate-1") as frozen:
        play(bed, 0, asked)
        bed.decided(len(asked))
        frozen.send_signal(signal.SIGSTOP)
        play(bed, 1, asked)
        with bed.ready_gate("gate-2") as running:
            bed.decided(len(asked))
            frozen.send_signal(signal.SIGCONT)
            play(bed, 2, asked)
            bed.decided(len(asked))
            # Both are members again: each has a partition, and both decide.
            wait_for(lambda: len(running.gate._assignment.all()) == 1, what="for the share")
            play(bed, 3, asked)
            bed.decided(len(asked))
    check_outcomes(bed, asked)


def test_a_gate_ends_within_five_seconds_of_sigterm_with_all_committed(bed: Bed) -> None:
    asked: list[str] = []
    took: list[float] = []
    for _ in until_in_time(took, 5):
        with gate_process(bed, "gate-1") as process:
            play(bed, len(asked), asked)
            bed.decided(len(asked))
            for _ in range(9):
                play(bed, len(asked), asked)
            began = time.monotonic()
            process.terminate()
            assert process.wait(PATIENCE) == 0
            took.append(time.monotonic() - began)
    assert min(took) < allowed(5)
    with bed.ready_gate("gate-1"):
        bed.decided(len(asked))
    check_outcomes(bed, asked)
