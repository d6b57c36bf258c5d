"""
The agent ``replies``: what people reply, into consent events, and one answer to each.

* STOP ends what the register of senders says it covers (:mod:`streams.inbound.senders`): the sender
  or campaign that it names or that it came to, else everything.
* What may be a STOP ends the sender or campaign it came to, and goes to ``inbound.uncertain`` for a
  person.
* START is the person's own yes to the purposes that ``start_purposes`` names.
* A plain yes confirms what waits to be confirmed, if the policy wants that of anything: what it is
  that waits, the gate knows.
* HELP and everything else change nothing.

The event is on all replicas before the reply counts as read, and before an answer is asked for. Its
id is made of the reply's, so that the same reply twice changes nothing. The answer is an ordinary
request, judged by the gate like any other (:mod:`streams.processors.answering`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import phonenumbers

from streams.errors import KeyMismatch, NotE164, TooLarge
from streams.inbound import Reading, Senders, classify, confirms, load_lists, load_senders
from streams.inbound.meaning import Meaning
from streams.kafka.placement import partition_of
from streams.policy.policy import load_policy
from streams.processors.agent import Agent, Effects, Event, Output, Place, Tools, each
from streams.processors.answering import Answering
from streams.processors.state import AgentState
from streams.records.e164 import is_e164
from streams.records.events import (
    Basis,
    ConsentEvent,
    ConsentEvidence,
    ConsentKind,
    Scope,
    Source,
)
from streams.records.inbound import InboundSms, UncertainReply, event_of_reply
from streams.topology import CONSENT_EVENTS, INBOUND_UNCERTAIN, SMS_INBOUND, SMS_REQUESTED

LONGEST_ID: Final = 200
"""Characters of a message's id, and of the number or code it was sent to."""

CHANNEL: Final = "sms"
"""How the evidence of a withdrawal or a consent calls the way it came."""


def replies(tools: Tools) -> Agent:
    """Make the agent. Raises :class:`Stop` for lists, senders, texts or a policy with mistakes."""
    reading = _Reading(tools, lambda: int(time.time() * 1000))
    return Agent(
        "replies",
        {SMS_INBOUND: tools.codecs.inbound.decode},
        each(reading.handle),
        place=Place.THREAD,
        batch_max=100,
    )


class _Reading:
    def __init__(self, tools: Tools, now_ms: Callable[[], int]) -> None:
        self._codecs = tools.codecs
        self._partitions = tools.partitions
        self._subject_id = tools.keyring.subject_ids.of
        self._start_purposes = tools.settings.start_purposes
        self._lists = load_lists(tools.settings.keywords_dir)
        self._senders: Senders = load_senders(tools.settings.senders_file, self._lists)
        self._answering = Answering(tools.settings, self._senders, now_ms)
        self._confirming = load_policy(tools.settings.policy_dir).confirming is not None

    def handle(self, event: Event[InboundSms], _state: AgentState) -> Effects:
        """Give the events that one reply comes to, each to its sender's partition."""
        reply = event.record
        if not is_e164(reply.sender):
            raise NotE164("The reply's sender is not an E.164 number.")
        if event.key != reply.sender.encode():
            raise KeyMismatch("The reply's key is not its sender.")
        if max(len(reply.message_id), len(reply.recipient)) > LONGEST_ID:
            raise TooLarge(f"A reply's ids have at most {LONGEST_ID} characters.")
        country = _country(reply.sender)
        reading = self._senders.judged(classify(reply.body, country, self._lists))
        said = self._said(event, reading)
        if self._confirming and confirms(reply.body, country, self._lists):
            said.append(_confirmed(event, self._senders.whose(reply.recipient)))
        outputs = [self._to_sender(event, each) for each in said]
        if reading.meaning is Meaning.UNCERTAIN:
            outputs.append(self._note(event, reading, country))
        return Effects(outputs, then=self._answer(event, reading))

    def _said(self, event: Event[InboundSms], reading: Reading) -> list[ConsentEvent]:
        match reading.meaning:
            case Meaning.STOP | Meaning.UNCERTAIN:
                covered = self._senders.coverage(reading, event.record.recipient)
                return [_withdrawn(event, covered.scope)]
            case Meaning.START:
                return [_granted(event, purpose) for purpose in self._start_purposes]
            case Meaning.HELP | Meaning.NONE:
                return []

    def _to_sender(self, event: Event[InboundSms], said: ConsentEvent) -> Output:
        key = event.record.sender.encode()
        value = self._codecs.consent_events.encode(said)
        return Output(CONSENT_EVENTS, partition_of(key, self._partitions), key, value)

    def _note(self, event: Event[InboundSms], reading: Reading, country: str | None) -> Output:
        """Tell the reviewers where the reply stands, and never what it says."""
        told = UncertainReply(
            message_id=event.record.message_id,
            subject_id=self._subject_id(event.record.sender),
            inbound_partition=event.partition,
            inbound_offset=event.offset,
            why=reading.explanation,
            country=country,
            classified_at=event.appended_at,
        )
        value = self._codecs.uncertain.encode(told)
        return Output(INBOUND_UNCERTAIN, event.partition, told.subject_id, value)

    def _answer(self, event: Event[InboundSms], reading: Reading) -> list[Output]:
        asked = self._answering.answer(event, reading)
        if asked is None:
            return []
        key = asked.recipient.encode()
        value = self._codecs.requests.encode(asked)
        return [Output(SMS_REQUESTED, partition_of(key, self._partitions), key, value)]


def _withdrawn(event: Event[InboundSms], scope: Scope) -> ConsentEvent:
    return ConsentEvent(
        event_id=event_of_reply(event.record.message_id),
        subject=event.record.sender,
        kind=ConsentKind.WITHDRAWN,
        occurred_at=event.record.received_at,
        source=Source.INBOUND_SMS,
        scope=scope,
        evidence=_evidence(event),
    )


def _granted(event: Event[InboundSms], purpose: str) -> ConsentEvent:
    return ConsentEvent(
        event_id=f"inbound/{event.record.message_id}/{purpose}",
        subject=event.record.sender,
        kind=ConsentKind.GRANTED,
        occurred_at=event.record.received_at,
        source=Source.INBOUND_SMS,
        purpose=purpose,
        basis=Basis.EXPRESS,
        evidence=_evidence(event),
    )


def _confirmed(event: Event[InboundSms], scope: Scope) -> ConsentEvent:
    return ConsentEvent(
        event_id=f"inbound/{event.record.message_id}/yes",
        subject=event.record.sender,
        kind=ConsentKind.GRANTED,
        occurred_at=event.record.received_at,
        source=Source.INBOUND_SMS,
        basis=Basis.EXPRESS,
        scope=scope,
        evidence=_evidence(event),
    )


def _evidence(event: Event[InboundSms]) -> ConsentEvidence:
    """Name the message: by this the gate knows the withdrawal that a confirmation is about."""
    return ConsentEvidence(channel=CHANNEL, reference=event.record.message_id)


def _country(number: str) -> str | None:
    """Give the number's country, ISO 3166-1, as far as the number tells."""
    try:
        region = phonenumbers.region_code_for_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return None
    return region if region and region.isalpha() else None
