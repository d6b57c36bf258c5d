"""
``consent-gate state``: a partition that is held goes on, and nothing that is in doubt is allowed.

Each story plays on a real Kafka: a gate folds, is stopped, records are deleted before or after they
were folded, and a gate that starts afterwards shows what the rebuilt state is worth.
"""

from __future__ import annotations

import itertools
import json
import random
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from typer.testing import CliRunner, Result

from streams.audit.topic_log import TopicLog
from streams.broker.cluster import EmbeddedKafka
from streams.cli.main import app
from streams.cli.subjects import resolution
from streams.errors import GroupAtWork, LossUnanswered, ProofBroken
from streams.gate import rewriting as writing_module
from streams.gate.owned import Phase
from streams.gate.rebuilding import read_partition
from streams.gate.rewriting import members, rewriting
from streams.gate.transaction import Transactor
from streams.kafka.topics import apply
from streams.records.decisions import LossAnswer, LossRecord, Outcome, SmsDecision
from streams.records.events import ConsentKind, Scope, Source
from streams.records.requests import Occasion
from streams.records.subject import POSITION_KEY, Position, SubjectState
from streams.telemetry.labels import StallCause
from streams.testing.records import (
    a_consent_event,
    a_contact_entry,
    a_ledger_record,
    a_loss_record,
    a_number,
    a_withdrawal,
    an_sms_requested,
)
from tests.crash.short_lived_gate import hasty
from tests.gate.asking import Asking
from tests.gate.bed import Bed, RunningGate, now_ms, wait_for

pytestmark = pytest.mark.kafka

A_MINUTE = 60_000
PEOPLE = [a_number(index) for index in range(40)]
K = ConsentKind


@pytest.fixture
def bed(kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path) -> Bed:
    return hasty(Bed(kafka.bootstrap_servers, topic_prefix, tmp_path))


# ------------------------------------------------------------------------------ what is played


def grant(bed: Bed, number: str, **changes: Any) -> None:
    """This person agreed to marketing a minute ago, or what ``changes`` say."""
    event = a_consent_event(
        event_id=secrets.token_hex(4), subject=number, occurred_at=now_ms() - A_MINUTE
    )
    bed.consent(replace(event, **changes))


def stop(bed: Bed, number: str) -> None:
    bed.consent(
        a_withdrawal(
            event_id=secrets.token_hex(4), subject=number, purpose=None, occurred_at=now_ms()
        )
    )


def play_events(bed: Bed, seed: int, count: int = 300) -> None:
    """Every kind of event, redelivered, misplaced, misaddressed, unreadable, ahead of its time."""
    choose = random.Random(seed)
    for index in range(count):
        number = choose.choice(PEOPLE)
        kind = choose.choice((*[K.GRANTED] * 6, *[K.WITHDRAWN] * 3, *K))
        event = a_consent_event(
            event_id=f"{seed}-{index}",
            subject=number,
            kind=kind,
            purpose=choose.choice(("marketing", "invite", *[None] * (kind is not K.GRANTED))),
            scope=Scope(choose.choice((None, "SHOP")), choose.choice((None, "spring"))),
            source=choose.choice(tuple(Source)),
            occurred_at=now_ms() + choose.choice((-A_MINUTE, 0, 20 * A_MINUTE)),
            effective_at=choose.choice((None, now_ms() - A_MINUTE)),
            time_zone=choose.choice((None, "Asia/Shanghai")),
            region=choose.choice((None, "CN")),
        )
        value = bed.codecs.consent_events.encode(event)
        for _ in range(choose.choice((1, 1, 1, 2))):
            match choose.randrange(12):
                case 0:
                    wrong = (bed.partition(number) + 1) % bed.settings.partitions
                    bed.write(bed.topics.consent, number.encode(), value, wrong)
                case 1:
                    bed.write(bed.topics.consent, choose.choice(PEOPLE).encode(), value)
                case 2:
                    bed.write(bed.topics.consent, number.encode(), b"garbage")
                case _:
                    bed.write(bed.topics.consent, number.encode(), value)
        if index % 5 == 0:
            entry(bed, number, index)
    bed.flush()


def entry(bed: Bed, number: str, index: int) -> None:
    subject_id = bed.keyring.subject_ids.of(number)
    record = a_contact_entry(
        entry_id=f"entry-{index}",
        subject_id=subject_id,
        partition=bed.partition(number),
        upload_id=f"upload-{index % 9}",
        uploaded_at=now_ms(),
    )
    value = bed.codecs.contact_entries.encode(record)
    bed.write(bed.topics.contacts, subject_id, value, record.partition)


def folded(bed: Bed, running: RunningGate) -> None:
    """Wait until the gate has folded all that there is, what it has re-sent itself too."""

    def done() -> bool:
        with TopicLog(bed.settings) as log:
            return all(
                owned.phase is Phase.LIVE
                and owned.position.consent_offset >= end_of(log, bed.topics.consent, owned)
                and owned.position.contacts_offset >= end_of(log, bed.topics.contacts, owned)
                for owned in running.gate._assignment.all()
            )

    def end_of(log: TopicLog, topic: str, owned: Any) -> int:
        return log._consumer.get_watermark_offsets(TopicPartition(topic, owned.partition), 10)[1]

    wait_for(lambda: running.gate._assignment.all() and done() and done(), what="for the fold")


def states(bed: Bed) -> dict[bytes, SubjectState]:
    """What stands in the changelog."""
    newest = {m.key(): m.value() for m in bed.read(bed.topics.changelog)}
    return {
        key: bed.codecs.subject_states.decode(value)
        for key, value in newest.items()
        if key != POSITION_KEY and value is not None
    }


def positions(bed: Bed) -> dict[int, Position]:
    found = {}
    for message in bed.read(bed.topics.changelog):
        if message.key() == POSITION_KEY:
            found[message.partition() or 0] = bed.codecs.positions.decode(message.value())
    return found


def losses(bed: Bed) -> list[LossRecord]:
    """What the ledger has of losses."""
    schema = bed.codecs.losses.encode(a_loss_record())[:10]
    return [
        bed.codecs.losses.decode(value)
        for m in bed.read(bed.topics.ledger)
        if (value := m.value()) is not None and value.startswith(schema)
    ]


def delete(bed: Bed, topic: str, *, keep: int = 0) -> dict[int, int]:
    """Delete what is in a topic, as its retention would; return each partition's new beginning."""
    metadata = bed.admin.list_topics(topic, timeout=60).topics[topic]
    with TopicLog(bed.settings) as log:
        ends = {
            number: log._consumer.get_watermark_offsets(TopicPartition(topic, number), 10)[1]
            for number in metadata.partitions
        }
    until = [TopicPartition(topic, number, max(0, end - keep)) for number, end in ends.items()]
    for answer in bed.admin.delete_records(until).values():
        answer.result(60)
    return {tp.partition: tp.offset for tp in until}


def made_anew(bed: Bed, topic: str) -> None:
    """Delete a topic and make it again, empty."""
    bed.admin.delete_topics([topic])[topic].result(60)
    wait_for(lambda: topic not in bed.admin.list_topics(timeout=60).topics, what="for its end")
    apply(bed.settings, bed.admin)


def left(bed: Bed) -> None:
    """Wait until stopped gates are out of the group."""
    wait_for(lambda: not members(bed.admin, bed.settings.group_id), what="for the group to empty")


def run(bed: Bed, *args: str, answers: str | None = None) -> Result:
    """Run ``consent-gate state``."""
    names = ("bootstrap_servers", "topic_prefix", "secrets_dir")
    env = {f"CONSENT_GATE_{name.upper()}": str(getattr(bed.settings, name)) for name in names}
    return CliRunner().invoke(app, ["state", *args], env=env, input=answers)


def ok(result: Result) -> Result:
    assert result.exception is None, (result.output, result.exception)
    return result


@contextmanager
def asking(bed: Bed, **changes: Any) -> Iterator[Asking]:
    """A gate that starts now, to be asked."""
    with bed.ready_gate(**changes) as running:
        asked = Asking(bed, running)
        # Ids of their own: what an earlier gate said is in the topic, too.
        asked._numbers = itertools.count(secrets.randbits(40))
        try:
            yield asked
        finally:
            asked.close()


def verdicts(bed: Bed, **changes: Any) -> dict[str, tuple[Any, ...]]:
    """What a gate says of a message of each kind to everybody."""
    found = {}
    with asking(bed, **changes) as asked:
        for number in PEOPLE:
            for purpose in ("marketing", "invite"):
                decision = asked.ask(number, purpose=purpose)
                found[f"{number} {purpose}"] = (
                    decision.verdict,
                    decision.reasons,
                    decision.basis,
                    decision.consent_event_id,
                )
    return found


def held(bed: Bed, running: RunningGate, partition: int) -> bool:
    owned = running.gate._assignment.owned(partition)
    return owned is not None and owned.stall is StallCause.OUT_OF_RANGE


OTP = {"purpose": "otp", "body": "Your code is 4711."}


def asked_for_a_code(asked: Asking, number: str) -> SmsDecision:
    occasion = Occasion("login", "login-1", now_ms())
    return asked.ask(number, occasion=occasion, **OTP)


def resolve_one(bed: Bed) -> None:
    """A person lets somebody go on whose event could not be read: the last of all."""
    by_id = {bed.keyring.subject_ids.of(number): number for number in PEOPLE}
    subject_id, offset = max(
        ((key, state.undecodable[-1]) for key, state in states(bed).items() if state.undecodable),
        key=lambda held: held[1],
    )
    key = by_id[subject_id].encode()
    headers = resolution(bed.keyring, key, str(offset).encode())
    bed.write(bed.topics.consent, key, None, headers=headers)
    bed.flush()


# -------------------------------------------------------------------------------- equal to the gate


@pytest.fixture
def lived(bed: Bed) -> tuple[dict[bytes, SubjectState], dict[str, tuple[Any, ...]]]:
    """A gate has folded many events, and decided. Nobody lost anything yet."""
    play_events(bed, seed=1)
    with bed.ready_gate() as running:
        folded(bed, running)
        resolve_one(bed)
        folded(bed, running)
    before = verdicts(bed)
    left(bed)
    return states(bed), before


def test_what_is_rebuilt_is_what_the_gate_had(
    bed: Bed, lived: tuple[dict[bytes, SubjectState], dict[str, tuple[Any, ...]]]
) -> None:
    had, before = lived
    delete(bed, bed.topics.consent)

    report = json.loads(ok(run(bed, "rebuild", "--all", "--yes", "--json")).stdout)

    assert states(bed) == had
    assert all(part["written"] and not part["lost"] for part in report)
    assert sum(part["rebuilt"]["consent_events"] for part in report) == len(bed.ledger())
    assert sum(part["rebuilt"]["kept_refused"] for part in report) == 0
    assert sum(part["rebuilt"]["held_by_unreadable_events"] for part in report) > 0
    assert verdicts(bed) == before


def without_holds(state: SubjectState) -> SubjectState:
    """All but who is held and by which upload, and the order in which events are remembered."""
    return replace(
        state,
        undecodable=(),
        uploads=(),
        uploads_taken=(),
        applied=(),
    )


def test_a_state_that_is_gone_is_rebuilt_but_for_what_is_named(
    bed: Bed, lived: tuple[dict[bytes, SubjectState], dict[str, tuple[Any, ...]]]
) -> None:
    had, before = lived
    made_anew(bed, bed.topics.changelog)
    delete(bed, bed.topics.consent, keep=100)  # and with it some of the unreadable events
    with bed.gate() as running:
        wait_for(lambda: held(bed, running, 0) and held(bed, running, 1), what="for both held")
    left(bed)

    refused = run(bed, "rebuild", "--all", "--yes")
    assert isinstance(refused.exception, LossUnanswered)
    assert "who was held for an event that could not be read" in refused.output
    assert positions(bed) == {}
    ok(run(bed, "rebuild", "--all", "--yes", "--loss-restored", "looked at each by hand"))

    now = states(bed)
    with bed.ready_gate() as running:  # which takes the address books from their topic again
        folded(bed, running)
        now = states(bed)
    assert now.keys() <= had.keys()
    for subject_id, was in had.items():
        is_now = now.get(subject_id, SubjectState(subject_id))
        assert without_holds(is_now) == without_holds(was)
        # An unreadable event that was re-sent is remembered too, and may have gone with its topic.
        assert set(is_now.applied) <= set(was.applied)
        assert set(is_now.undecodable) <= set(was.undecodable)
        assert {t.upload_id for t in is_now.uploads} == {t.upload_id for t in was.uploads}
    lost_holds = {key for key, was in had.items() if was.undecodable and not now[key].undecodable}
    assert any(is_now.undecodable for is_now in now.values())
    assert lost_holds
    after = verdicts(bed)
    for number in PEOPLE:
        if bed.keyring.subject_ids.of(number) not in lost_holds:
            for purpose in ("marketing", "invite"):
                assert after[f"{number} {purpose}"] == before[f"{number} {purpose}"]


def test_the_chain_holds_over_a_rebuild_and_goes_on(bed: Bed) -> None:
    number = PEOPLE[0]
    grant(bed, number)
    bed.flush()
    with asking(bed) as asked:
        asked.ask(number)
    left(bed)
    made_anew(bed, bed.topics.changelog)
    delete(bed, bed.topics.consent)
    ok(run(bed, "rebuild", "--all", "--yes", "--loss-restored", "tried out"))
    with asking(bed) as asked:
        assert asked.ask(number).verdict is Outcome.ALLOWED
        stop(bed, number)
        bed.flush()
        assert asked.ask(number).verdict is Outcome.DROPPED

    names = ("bootstrap_servers", "topic_prefix", "secrets_dir")
    env = {f"CONSENT_GATE_{name.upper()}": str(getattr(bed.settings, name)) for name in names}
    verified = CliRunner().invoke(app, ["audit", "verify", "--json", "--jobs", "1"], env=env)
    assert verified.exception is None, verified.output
    assert all(part["holds"] for part in json.loads(verified.stdout))
    assert [loss.answer for loss in losses(bed)] == [LossAnswer.RESTORED] * len(losses(bed))
    assert losses(bed)


# ------------------------------------------------------------------------------------------- loss


def lose_a_stop(bed: Bed, *, consenting: list[str], stopping: str) -> int:
    """
    Two agreed and were folded; one says STOP while no gate runs, and Kafka deletes it unread.

    Returns the partition of them all.
    """
    partition = bed.partition(stopping)
    for number in (*consenting, stopping):
        grant(bed, number)
    bed.flush()
    with bed.ready_gate() as running:
        folded(bed, running)
    left(bed)
    stop(bed, stopping)
    bed.flush()
    delete(bed, bed.topics.consent)
    return partition


def neighbours(bed: Bed, count: int) -> list[str]:
    """So many people of one partition."""
    return [number for number in PEOPLE if bed.partition(number) == 0][:count]


def test_a_lost_stop_is_named_and_nothing_goes_on_without_an_answer(bed: Bed) -> None:
    yes, stopped = neighbours(bed, 2)
    partition = lose_a_stop(bed, consenting=[yes], stopping=stopped)
    with bed.gate() as running:
        wait_for(lambda: held(bed, running, partition), what="for the partition to be held")
    left(bed)
    before = [m.value() for m in bed.read(bed.topics.changelog)]

    dry = run(bed, "rebuild", "--partition", str(partition), "--dry-run")
    refused = run(bed, "rebuild", "--partition", str(partition), "--yes")

    ok(dry)
    assert "LOST        consent.events 2 to 2" in dry.output
    assert "withdrawals may be among them" in dry.output
    assert isinstance(refused.exception, LossUnanswered)
    assert refused.exception.exit_code == 13
    assert [m.value() for m in bed.read(bed.topics.changelog)] == before
    with bed.gate() as running:
        wait_for(lambda: held(bed, running, partition), what="for it to be held as before")


def test_an_accepted_loss_lets_codes_pass_and_nothing_that_is_in_doubt(bed: Bed) -> None:
    yes, again, stopped, unknown, imported = neighbours(bed, 5)
    partition = lose_a_stop(bed, consenting=[yes, again], stopping=stopped)

    ok(
        run(
            *(bed, "rebuild", "--partition", str(partition)),
            *("--yes", "--accept-loss", "no copy of them anywhere"),
        )
    )

    with asking(bed) as asked:
        assert asked.ask(yes).verdict is Outcome.DROPPED
        assert asked.ask(stopped).verdict is Outcome.DROPPED
        assert asked_for_a_code(asked, yes).verdict is Outcome.ALLOWED
        assert asked_for_a_code(asked, unknown).verdict is Outcome.ALLOWED
        assert "SUPPRESSED" in asked.ask(unknown).reasons
        # Whom nobody knows may have said STOP as well: an import does not make them reachable.
        grant(bed, imported, source=Source.BULK_IMPORT, occurred_at=now_ms())
        grant(bed, again, source=Source.SELF_SERVICE, occurred_at=now_ms())
        bed.flush()
        assert asked.ask(imported).verdict is Outcome.DROPPED
        assert asked.ask(again).verdict is Outcome.ALLOWED
    (loss,) = losses(bed)
    assert (loss.topic, loss.partition, loss.answer) == (
        "consent.events",
        partition,
        LossAnswer.CONSENTS_ENDED,
    )
    assert (loss.first, loss.end, loss.reason) == (3, 4, "no copy of them anywhere")


def test_what_was_written_again_lifts_the_doubt_and_counts(bed: Bed) -> None:
    yes, stopped = neighbours(bed, 2)
    partition = str(lose_a_stop(bed, consenting=[yes], stopping=stopped))
    ok(run(bed, "rebuild", "--partition", partition, "--yes", "--accept-loss", "for tonight"))
    with asking(bed) as asked:
        assert asked.ask(yes).verdict is Outcome.DROPPED
    left(bed)
    assert "IN DOUBT" in run(bed, "rebuild", "--partition", partition, "--dry-run").output

    stop(bed, stopped)
    bed.flush()
    ok(run(bed, "rebuild", "--partition", partition, "--yes", "--loss-restored", "written again"))

    with asking(bed) as asked:
        assert asked.ask(yes).verdict is Outcome.ALLOWED
        assert asked.ask(stopped).verdict is Outcome.DROPPED
    assert [loss.answer for loss in losses(bed)] == [
        LossAnswer.CONSENTS_ENDED,
        LossAnswer.RESTORED,
    ]


def test_a_doubt_outlives_another_rebuild(bed: Bed) -> None:
    yes, stopped = neighbours(bed, 2)
    partition = str(lose_a_stop(bed, consenting=[yes], stopping=stopped))
    ok(run(bed, "rebuild", "--partition", partition, "--yes", "--accept-loss", "for tonight"))
    made_anew(bed, bed.topics.changelog)

    ok(run(bed, "rebuild", "--partition", partition, "--yes", "--accept-loss", "and its state"))

    assert positions(bed)[int(partition)].doubt is not None
    with TopicLog(bed.settings) as log:
        reading = read_partition(log, bed.settings, bed.codecs, bed.keyring, 0)
    assert len(reading.doubted) == 2


# ------------------------------------------------------------------------------ nobody is at work


def test_nothing_is_written_while_a_gate_is_at_work(bed: Bed) -> None:
    grant(bed, PEOPLE[0])
    bed.flush()
    with bed.ready_gate() as running:
        folded(bed, running)
        before = positions(bed)
        ok(run(bed, "rebuild", "--all", "--dry-run"))
        refused = run(bed, "rebuild", "--all", "--yes")
    assert isinstance(refused.exception, GroupAtWork)
    assert "gate-1" in str(refused.exception)
    assert positions(bed) == before


def test_a_gate_that_starts_in_the_middle_waits_for_the_end(bed: Bed) -> None:
    for number in PEOPLE:
        grant(bed, number)
    bed.flush()
    with bed.ready_gate() as running:
        folded(bed, running)
    left(bed)
    with (
        TopicLog(bed.settings) as log,
        rewriting(bed.settings, bed.admin, log, bed.codecs, bed.keyring.signer) as writing,
    ):
        parts = [
            read_partition(log, bed.settings, bed.codecs, bed.keyring, number) for number in (0, 1)
        ]
        writing.rebuild(parts[1], None)
        begun: list[RunningGate] = []

        with bed.gate() as running:
            wait_for(lambda: running.gate._assignment.all(), what="for the assignment")
        left(bed)

        def start(_states: int) -> None:
            if not begun:
                begun.append(stack.enter_context(bed.gate()))
                owned = begun[0].gate._assignment.owned
                wait_for(lambda: begun[0].health.readyz() and owned(1) is not None)
                wait_for(lambda: owned(1).phase is Phase.LIVE, what="for the other partition")
                assert owned(0).phase is Phase.RESTORING

        with ExitStack() as stack:
            writing.rebuild(parts[0], None, start)
            wait_for(
                lambda: begun[0].gate._assignment.owned(0).phase is Phase.LIVE,
                what="for it to go on by itself",
            )
            asked = Asking(bed, begun[0])
            assert asked.ask(neighbours(bed, 1)[0]).verdict is Outcome.ALLOWED
            asked.close()


class Died(Exception):
    """The process is gone at this point."""


def test_a_rebuild_that_dies_half_way_leaves_nothing_that_a_gate_would_use(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    yes, stopped = neighbours(bed, 2)
    partition = lose_a_stop(bed, consenting=[yes], stopping=stopped)
    arguments = ("rebuild", "--partition", str(partition), "--yes")
    monkeypatch.setattr(writing_module, "STATES_AT_ONCE", 1)
    whole = Transactor.run
    count = 0

    def dying(self: Transactor, *args: Any, **kwargs: Any) -> None:
        nonlocal count
        count += 1
        if count == 3:  # the warning and one state are written
            raise Died
        whole(self, *args, **kwargs)

    monkeypatch.setattr(Transactor, "run", dying)
    assert isinstance(run(bed, *arguments, "--loss-restored", "none was a STOP").exception, Died)
    monkeypatch.undo()
    assert positions(bed)[partition].rebuilding_since is not None
    with bed.gate() as running:
        other = running.gate._assignment.owned
        wait_for(lambda: other(1) is not None and other(1).phase is Phase.LIVE)
        bed.request(an_sms_to(yes))
        bed.flush()
        owned = other(partition)
        assert owned is not None
        assert owned.phase is Phase.RESTORING
    left(bed)
    assert bed.decisions() == []

    ok(run(bed, *arguments, "--loss-restored", "none was a STOP"))

    with asking(bed) as asked:
        assert asked.ask(yes).verdict is Outcome.ALLOWED
    assert len(losses(bed)) == 1


def test_a_local_copy_from_before_is_not_caught_up_with(bed: Bed) -> None:
    """The topic was made anew and is longer by now than the copy's offset in the old one."""
    stopped, others = neighbours(bed, 8)[:2], neighbours(bed, 8)[2:]
    for number in stopped:
        grant(bed, number)
    bed.flush()
    with bed.ready_gate() as running:
        folded(bed, running)
    with bed.ready_gate("gate-2", state_dir=bed.folder / "elsewhere") as running:
        for number in stopped:
            stop(bed, number)
        for number in others:
            grant(bed, number)
        bed.flush()
        folded(bed, running)
    left(bed)
    made_anew(bed, bed.topics.changelog)
    ok(run(bed, "rebuild", "--all", "--yes", "--loss-restored", "tried out"))

    with asking(bed) as asked:  # gate-1, whose copy knows of no STOP
        assert {asked.ask(number).verdict for number in stopped} == {Outcome.DROPPED}
        assert {asked.ask(number).verdict for number in others} == {Outcome.ALLOWED}


# -------------------------------------------------------------------------------- a broken chain


def test_a_ledger_with_a_forged_consent_is_refused(bed: Bed) -> None:
    yes, forged = neighbours(bed, 2)
    grant(bed, yes)
    bed.flush()
    with bed.ready_gate() as running:
        folded(bed, running)
    left(bed)
    forgery = a_ledger_record(
        subject_id=bed.keyring.subject_ids.of(forged),
        offset=1,
        sequence=1,
        previous=bytes(32),
        occurred_at=now_ms() - A_MINUTE,
        appended_at=now_ms(),
    )
    bed.write(bed.topics.ledger, b"", bed.codecs.ledger.encode(forgery), 0)
    bed.flush()

    refused = run(bed, "rebuild", "--partition", "0", "--yes", "--loss-restored", "why not")
    unanswered = run(bed, "rebuild", "--partition", "0", "--yes", "--despite-broken-chain")

    assert isinstance(refused.exception, ProofBroken)
    assert "sequence 1" in str(refused.exception)
    assert isinstance(unanswered.exception, LossUnanswered)
    ok(
        run(
            *(bed, "rebuild", "--partition", "0", "--yes", "--despite-broken-chain"),
            *("--accept-loss", "forged"),
        )
    )
    with asking(bed) as asked:
        assert asked.ask(forged).verdict is Outcome.DROPPED


# ------------------------------------------------------------------------------------ lost requests


def an_sms_to(number: str) -> Any:
    return an_sms_requested(recipient=number, request_id=secrets.token_hex(4), valid_until=None)


def test_lost_requests_are_filed_and_the_next_ones_decided(bed: Bed) -> None:
    yes = neighbours(bed, 1)[0]
    grant(bed, yes)
    bed.flush()
    with asking(bed) as asked:
        assert asked.ask(yes).verdict is Outcome.ALLOWED
    left(bed)
    for _ in range(5):
        bed.request(an_sms_to(yes))
    bed.flush()
    delete(bed, bed.topics.requests, keep=2)
    with bed.gate() as running:
        wait_for(lambda: held(bed, running, 0), what="for the partition to be held")
    left(bed)
    arguments = ("skip-lost", "--partition", "0", "--reason", "gates down for 8 days")

    dry = ok(run(bed, *arguments, "--dry-run"))
    assert "requests 1 to 3 were never decided" in dry.output
    assert losses(bed) == []
    declined = run(bed, *arguments, answers="n\n")
    assert declined.exit_code == 1
    assert losses(bed) == []
    (report,) = json.loads(ok(run(bed, *arguments, "--yes", "--json")).stdout)

    assert report == {"partition": 0, "first": 1, "end": 4, "lost_at_most": 3, "written": True}
    (loss,) = losses(bed)
    assert (loss.topic, loss.first, loss.end) == ("sms.requested", 1, 4)
    assert (loss.answer, loss.reason) == (LossAnswer.SKIPPED, "gates down for 8 days")
    with bed.ready_gate():
        assert len(bed.decided(3)) == 3  # the first, and the two that were left
    assert ok(run(bed, *arguments, "--yes")).output.endswith("Nothing was written.\n")


# ------------------------------------------------------------------------------------------ asking


@pytest.mark.parametrize("reason", ["", "  ", "asked by +1 202 555 0123", "x" * 501])
def test_a_reason_is_short_and_names_nobody(bed: Bed, reason: str) -> None:
    result = run(bed, "rebuild", "--all", "--yes", "--accept-loss", reason)

    assert result.exit_code == 2
    assert "555" not in result.output.replace(reason, "") or not reason.strip()


def test_two_answers_are_none(bed: Bed) -> None:
    result = run(bed, "rebuild", "--all", "--accept-loss", "a", "--loss-restored", "b")

    assert result.exit_code == 2


def test_which_partition_must_be_said(bed: Bed) -> None:
    assert run(bed, "rebuild", "--yes").exit_code == 2
    assert run(bed, "skip-lost", "--yes", "--reason", "why").exit_code == 2
    absent = run(bed, "rebuild", "--partition", "7", "--dry-run")
    assert "from 0 on: there is no 7" in str(absent.exception)
