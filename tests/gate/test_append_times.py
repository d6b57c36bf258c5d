"""
Brokers whose clocks disagree by ten seconds, as the fold sees them. Pure: no Kafka.

A partition's leader stamps what is appended; when another broker leads, the stamps may go back.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.codec.codec import Codecs, open_codecs
from streams.gate.folding import Folding
from streams.gate.owned import Owned
from streams.gate.topics import GateTopics
from streams.gate.work import Chain, Work
from streams.policy.consent import consent_for
from streams.policy.vocabulary import Consent
from streams.records.events import ConsentEvent, ConsentKind
from streams.records.subject import Position
from streams.sealing.keyring import KeyRing, open_keyring
from streams.sealing.secrets_folder import init_secrets
from streams.state.log_reader import At
from streams.state.subjects import Subjects
from streams.testing.records import NOON, a_consent_event, a_number, a_withdrawal
from streams.topology import TopicNames

SKEW = 10_000
PERSON, ANOTHER = a_number(1), a_number(2)
TOPICS = GateTopics.of(TopicNames())
CONSENT = At(TOPICS.consent, 0)


@cache
def codecs() -> Codecs:
    return open_codecs()


@cache
def keyring() -> KeyRing:
    with TemporaryDirectory() as folder:
        secrets = Path(folder) / "secrets"
        init_secrets(secrets)
        return open_keyring(secrets)


class NothingStored:
    """A store in which nobody is known."""

    def state(self, partition: int, subject_id: bytes) -> None:
        return None

    key = state


class Log:
    """A reader of one partition, all of which is there."""

    def __init__(self, stamped: Sequence[tuple[ConsentEvent, int]]) -> None:
        self._messages = [
            Message(
                topic=CONSENT.topic,
                partition=0,
                offset=offset,
                key=event.subject.encode(),
                value=codecs().consent_events.encode(event),
                timestamp=(TIMESTAMP_LOG_APPEND_TIME, stamp),
            )
            for offset, (event, stamp) in enumerate(stamped)
        ]

    def take_below(self, at: At, target: int, most: int) -> list[Any]:
        return self._messages[:target] if at == CONSENT else []

    def next_waiting(self, at: At) -> None:
        return None

    def reached(self, at: At, target: int) -> bool:
        return True


class Folded:
    """What the fold made of these events, each with the stamp of the broker that led then."""

    def __init__(self, *stamped: tuple[ConsentEvent, int]) -> None:
        self._subjects = Subjects(
            NothingStored(),  # type: ignore[arg-type]
            codecs().subject_states,
            codecs().subject_keys,
        )
        folding = Folding(
            reader=Log(stamped),  # type: ignore[arg-type]
            subjects=self._subjects,
            codecs=codecs(),
            keyring=keyring(),
            data_keys=keyring().data_keys(),
            topics=TOPICS,
            partitions=1,
            contact_entry_days=30,
            group_id="gates",
        )
        ledger = Chain(codecs().ledger.frame, TOPICS.ledger, 0, 0, b"")
        decisions = Chain(codecs().decisions.frame, TOPICS.decisions, 0, 0, b"")
        work = Work(Owned(0, position=Position(partition=0)), [], decisions, ledger)
        work.targets = {CONSENT: len(stamped), At(TOPICS.contacts, 0): 0}
        folding.fold(work, len(stamped), NOON)
        ledger.seal(keyring().signer)
        self.appended_at = [
            codecs().ledger.decode(output.value).appended_at for output in ledger.outputs
        ]
        self.position = work.position(NOON)

    def consents(self, number: str) -> bool:
        """Whether an advertisement could be sent to this person."""
        state = self._subjects.state(0, keyring().subject_ids.of(number))
        view = consent_for(state, "marketing", "SHOP", "spring", NOON + 3_600_000)
        return view.status is Consent.GRANTED


def grant(number: str, given_at: int, event_id: str = "yes") -> ConsentEvent:
    return a_consent_event(event_id=event_id, subject=number, occurred_at=given_at)


def stop(number: str, event_id: str = "stop") -> ConsentEvent:
    return a_withdrawal(event_id=event_id, subject=number)


def test_append_times_never_go_back_within_a_partition() -> None:
    folded = Folded(
        (grant(ANOTHER, NOON), NOON),
        (stop(PERSON), NOON + 1_000 - SKEW),
        (grant(ANOTHER, NOON, "again"), NOON + 2_000),
    )
    assert folded.appended_at == [NOON, NOON, NOON + 2_000]
    assert folded.position.consent_append_at == NOON + 2_000, "the next batch goes on from there"


def test_a_yes_from_before_the_stop_stays_ended_though_the_stop_has_the_older_stamp() -> None:
    given_at = NOON - 5_000
    stamped_too_early = NOON + 1_000 - SKEW
    assert stamped_too_early < given_at
    late = (grant(PERSON, given_at), NOON + 2_000)
    # By a true clock alone, by the slow one behind it, and by the slow one alone.
    assert not Folded((stop(PERSON), NOON + 1_000), late).consents(PERSON)
    before = (grant(ANOTHER, NOON), NOON)
    assert not Folded(before, (stop(PERSON), stamped_too_early), late).consents(PERSON)


def test_a_stop_ends_every_yes_before_it_in_the_log_whatever_its_stamp() -> None:
    ahead = (grant(PERSON, NOON + SKEW), NOON + SKEW)
    assert Folded(ahead).consents(PERSON)
    assert not Folded(ahead, (stop(PERSON), NOON)).consents(PERSON)


@st.composite
def a_log(draw: st.DrawFn) -> list[tuple[ConsentEvent, int]]:
    """Events of two people, a second apart, stamped by brokers that disagree by up to 10 s."""
    log: list[tuple[ConsentEvent, int]] = []
    for index in range(draw(st.integers(1, 10))):
        true_time = NOON + 1_000 * index
        stamp = true_time + draw(st.sampled_from((0, -SKEW, SKEW)))
        number = draw(st.sampled_from((PERSON, ANOTHER)))
        if draw(st.booleans()):
            log.append((stop(number, f"{index}"), stamp))
        else:
            given_at = true_time - draw(st.integers(0, 2 * SKEW))
            log.append((grant(number, given_at, f"{index}"), stamp))
    return log


@given(log=a_log())
@settings(deadline=None)
def test_only_a_yes_from_after_all_that_was_stamped_before_the_stop_undoes_it(
    log: list[tuple[ConsentEvent, int]],
) -> None:
    folded = Folded(*log)
    assert folded.appended_at == sorted(folded.appended_at)
    for number in (PERSON, ANOTHER):
        stops = [
            offset
            for offset, (event, _) in enumerate(log)
            if event.subject == number and event.kind is ConsentKind.WITHDRAWN
        ]
        last = stops[-1] if stops else -1
        newest_stamp = max((stamp for _, stamp in log[: last + 1]), default=0)
        carried = any(
            event.subject == number
            and event.kind is ConsentKind.GRANTED
            and min(event.occurred_at, folded.appended_at[offset]) > newest_stamp
            for offset, (event, _) in enumerate(log)
            if offset > last
        )
        assert folded.consents(number) == carried
