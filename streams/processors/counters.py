"""
The agent ``answers``: what people answer to campaigns. And :class:`UploaderCounts`, of uploads.

Both count exactly, after kill -9 too, and say in ``hours.counted`` what their partition has come to
in an hour so far: a person's messages and answers lie in one partition, a campaign's people in all
of them, and ``pauses`` adds up.

* A message is an ALLOWED of ``sms.decisions`` that names a campaign.
* A withdrawal is one that the gate applied (``consent.ledger``): what came twice it has refused.
  What an import withdraws answers no message, nor what came along from a former number.
* A complaint is a withdrawal whose source is CARRIER: carriers pass on so what people report to
  them. Our own people, who note a withdrawal told on the telephone, are OPERATOR.

Which message is answered: :mod:`streams.counting.answers`. Of people the state has the subject id,
and for twice ``answer_hours`` which campaigns wrote to them when. Neither topic may be read more
than ``answer_hours`` ahead of the other: then an answer may find its message forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from hashlib import blake2b
from struct import Struct
from typing import Any, Final

from streams.codec.codec import Codecs
from streams.counting.answers import (
    HOUR_MS,
    Answer,
    Answered,
    Cohort,
    Recent,
    Sent,
    change,
    hour_of,
)
from streams.counting.limits import Counts
from streams.errors import Undecodable
from streams.processors.agent import Agent, Effects, Event, Output, Place, Timer, Tools
from streams.processors.state import AgentState
from streams.records.contacts import ContactsUploaded
from streams.records.counted import HourCounted, uploader
from streams.records.decisions import LedgerRecord, LossRecord, Outcome, SmsDecision
from streams.records.events import ConsentKind, ContactEntry, Source
from streams.state.fold import CARRIED
from streams.topology import CONSENT_LEDGER, HOURS_COUNTED, SHORT_MS, SMS_DECISIONS

FORGET_SECONDS: Final = 3_600.0

TOGETHER_SECONDS: Final = 1.0
"""How long a batch waits for more: each says anew what its campaigns have come to. A pause comes so
much later."""

_NEWEST: Final = "newest"
_PERSON: Final = "person/"
_COHORT: Final = "cohort/"


def answers(tools: Tools) -> Agent:
    """Make the agent."""
    counting = _Counting(tools)
    return Agent(
        "answers",
        {SMS_DECISIONS: tools.codecs.decisions.decode, CONSENT_LEDGER: counting.decode},
        counting.handle,
        timers=[Timer(FORGET_SECONDS, counting.forget)],
        place=Place.THREAD,
        batch_max=1_000,
        batch_seconds=TOGETHER_SECONDS,
    )


class _Counting:
    def __init__(self, tools: Tools) -> None:
        self._codecs = tools.codecs
        self._within_ms = tools.settings.answer_hours * HOUR_MS

    def decode(self, value: bytes | None) -> LedgerRecord | LossRecord:
        """Read either of the two records of the ledger; their headers tell them apart."""
        try:
            return self._codecs.ledger.decode(value)
        except Undecodable as error:
            try:
                return self._codecs.losses.decode(value)
            except Undecodable:
                raise error from None

    def handle(self, events: Sequence[Event[Any]], state: AgentState) -> Effects:
        """Count messages and answers; say what each campaign's hour has come to by them."""
        batch = _Batch(state, self._within_ms)
        for event in events:
            match event.record:
                case SmsDecision() as decision:
                    if decision.verdict is Outcome.ALLOWED and decision.campaign_id is not None:
                        batch.sent(
                            decision.subject_id,
                            Sent(decision.decided_at, decision.campaign_id, decision.sender_id),
                        )
                case LedgerRecord() as said:
                    if _is_an_answer(said):
                        batch.answered(
                            said.subject_id,
                            Answer(
                                said.appended_at,
                                said.source is Source.CARRIER,
                                said.campaign_id,
                                said.sender_id,
                            ),
                        )
        return Effects([_output(self._codecs, counted) for counted in batch.kept()])

    def forget(self, now_ms: int, state: AgentState) -> Effects:
        """Forget whom nothing recent is known of, and hours that no answer can change any more."""
        newest = max(int(state.get(_NEWEST) or b"0"), now_ms - SHORT_MS)
        horizon = newest - 2 * self._within_ms
        for key, value in list(state.items(_PERSON)):
            if _person(value).since(horizon) == Recent():
                state.delete(key)
        for key, _ in list(state.items(_COHORT)):
            if int(key.split("/")[1]) + HOUR_MS < horizon:
                state.delete(key)
        return Effects()


def _is_an_answer(said: LedgerRecord) -> bool:
    return (
        said.kind is ConsentKind.WITHDRAWN
        and said.refusal is None
        and said.source is not Source.BULK_IMPORT
        and not said.event_id.startswith(CARRIED)
    )


class _Batch:
    """What a batch changes, each person and campaign read once and written once."""

    def __init__(self, state: AgentState, within_ms: int) -> None:
        self._state = state
        self._within_ms = within_ms
        self._people: dict[str, Recent] = {}
        self._cohorts: dict[Cohort, Counts] = {}
        self._newest = int(state.get(_NEWEST) or b"0")

    def sent(self, subject_id: bytes, message: Sent) -> None:
        self._add(Cohort(message.campaign_id, hour_of(message.at)), Counts(sends=1))
        before = self._person(subject_id)
        self._become(subject_id, before, before.with_sent(message), message.at)

    def answered(self, subject_id: bytes, answer: Answer) -> None:
        before = self._person(subject_id)
        self._become(subject_id, before, before.with_answer(answer), answer.at)

    def kept(self) -> list[HourCounted]:
        """Write what changed into the state, and give what is to be said of it."""
        self._state.put(_NEWEST, str(self._newest).encode())
        horizon = self._newest - 2 * self._within_ms
        for key, person in self._people.items():
            self._state.put(key, _written(person.since(horizon)))
        counted = []
        for cohort, counts in self._cohorts.items():
            self._state.put(_key(cohort), json.dumps(counts).encode())
            counted.append(
                HourCounted(
                    cohort.campaign_id,
                    cohort.hour,
                    self._state.partition,
                    counts.sends,
                    counts.withdrawals,
                    counts.complaints,
                )
            )
        return counted

    def _become(self, subject_id: bytes, before: Recent, after: Recent, at: int) -> None:
        self._newest = max(self._newest, at)
        self._people[_PERSON + subject_id.hex()] = after
        for cohort, by in change(before, after, self._within_ms).items():
            self._add(cohort, _counts(by))

    def _add(self, cohort: Cohort, more: Counts) -> None:
        counts = self._cohorts.get(cohort)
        if counts is None:
            kept = self._state.get(_key(cohort))
            counts = Counts() if kept is None else Counts(*json.loads(kept))
        self._cohorts[cohort] = counts.plus(more)

    def _person(self, subject_id: bytes) -> Recent:
        key = _PERSON + subject_id.hex()
        known = self._people.get(key)
        if known is None:
            kept = self._state.get(key)
            known = Recent() if kept is None else _person(kept)
        return known


def _counts(answered: Answered) -> Counts:
    return Counts(withdrawals=answered.withdrawals, complaints=answered.complaints)


def _key(cohort: Cohort) -> str:
    """Campaign ids may be longer than a key."""
    digest = blake2b(cohort.campaign_id.encode(), digest_size=16).hexdigest()
    return f"{_COHORT}{cohort.hour}/{digest}"


def _written(person: Recent) -> bytes:
    return json.dumps([person.sent, person.answers], separators=(",", ":")).encode()


def _person(kept: bytes) -> Recent:
    sent, answered = json.loads(kept)
    return Recent(tuple(Sent(*each) for each in sent), tuple(Answer(*each) for each in answered))


def _output(codecs: Codecs, counted: HourCounted) -> Output:
    key = f"{counted.about}#{counted.hour}#{counted.partition}".encode()
    return Output(HOURS_COUNTED, 0, key, codecs.counted.encode(counted))


class UploaderCounts:
    """
    Counts what uploaders bring in, within the agent that reads uploads.

    All uploads of a person lie in one partition. An upload counts once: those of the last two days
    are known by their ids, older ones by their entries as long as these are kept.
    """

    def __init__(self, codecs: Codecs) -> None:
        self._codecs = codecs

    def counted(
        self,
        upload: ContactsUploaded,
        at: int,
        entries: Collection[ContactEntry],
        known: Collection[bytes],
        state: AgentState,
    ) -> list[Output]:
        """
        Count an upload, appended ``at``, that its entries do not show to be an old one; say what
        its hour has come to.

        ``known`` are the subject ids that the uploader's earlier uploads held.
        """
        hour = hour_of(at)
        uploader_id = next((entry.uploader_id for entry in entries), None)
        if uploader_id is None:
            return []  # nothing in it is a number
        prefix = f"counted/{uploader_id.hex()}/"
        upload_id = blake2b(upload.upload_id.encode(), digest_size=_DIGEST).digest()
        for _, earlier in state.items(prefix):
            if upload_id in _uploads(earlier):
                return []
        value = state.get(f"{prefix}{hour}")
        _, contacts, new_numbers = (0, 0, 0) if value is None else _HOUR.unpack_from(value)
        counted = HourCounted(
            uploader(uploader_id),
            hour,
            state.partition,
            contacts=contacts + len(upload.contacts),
            new_numbers=new_numbers + len({entry.subject_id for entry in entries} - {*known}),
        )
        uploads = [*(_uploads(value) if value is not None else ()), upload_id][-_MOST_UPLOADS:]
        head = _HOUR.pack(hour + _KNOWN_MS, counted.contacts, counted.new_numbers)
        state.put(f"{prefix}{hour}", head + b"".join(uploads))
        return [_output(self._codecs, counted)]


_HOUR: Final = Struct(">qqq")
"""When it may be forgotten, as ``uploads`` has it in front of each value; contacts; new numbers."""
_DIGEST: Final = 8
_KNOWN_MS: Final = 48 * HOUR_MS
_MOST_UPLOADS: Final = 10_000


def _uploads(value: bytes) -> list[bytes]:
    """Return the digests of the ids of the uploads that an hour's value counts."""
    return [value[at : at + _DIGEST] for at in range(_HOUR.size, len(value), _DIGEST)]
