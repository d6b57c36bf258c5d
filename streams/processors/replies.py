"""
The agent ``replies``: what people reply, into consent events.

* STOP ends every purpose of every sender: whose number a reply came to is not known here, and the
  wider withdrawal is the one that nobody can regret.
* What may be a STOP ends the sender it was sent to, and goes to ``inbound.uncertain`` for a person.
* START is the person's own yes to the purposes that ``start_purposes`` names.
* HELP and everything else change nothing.

The event is on all replicas before the reply counts as read. Its id is made of the reply's, so that
the same reply twice changes nothing.
"""

from __future__ import annotations

from typing import Final

import phonenumbers

from streams.errors import KeyMismatch, NotE164, TooLarge
from streams.inbound import classify, load_lists
from streams.inbound.meaning import Meaning
from streams.kafka.placement import partition_of
from streams.processors.agent import Agent, Effects, Event, Output, Place, Tools, each
from streams.processors.state import AgentState
from streams.records.e164 import is_e164
from streams.records.events import Basis, ConsentEvent, ConsentKind, Scope, Source
from streams.records.inbound import InboundSms, UncertainReply, event_of_reply
from streams.topology import CONSENT_EVENTS, INBOUND_UNCERTAIN, SMS_INBOUND

LONGEST_ID: Final = 200
"""Characters of a message's id, and of the number or code it was sent to."""


def replies(tools: Tools) -> Agent:
    """Make the agent."""
    reading = _Reading(tools)
    return Agent(
        "replies",
        {SMS_INBOUND: tools.codecs.inbound.decode},
        each(reading.handle),
        place=Place.THREAD,
        batch_max=100,
    )


class _Reading:
    def __init__(self, tools: Tools) -> None:
        self._codecs = tools.codecs
        self._partitions = tools.partitions
        self._subject_id = tools.keyring.subject_ids.of
        self._start_purposes = tools.settings.start_purposes
        self._lists = load_lists(tools.settings.keywords_dir)

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
        reading = classify(reply.body, country, self._lists)
        match reading.meaning:
            case Meaning.STOP:
                return self._events(event, [_withdrawn(event, Scope())])
            case Meaning.UNCERTAIN:
                told = UncertainReply(
                    message_id=reply.message_id,
                    subject_id=self._subject_id(reply.sender),
                    inbound_partition=event.partition,
                    inbound_offset=event.offset,
                    why=reading.explanation,
                    country=country,
                    classified_at=event.appended_at,
                )
                effects = self._events(event, [_withdrawn(event, Scope(reply.recipient or None))])
                value = self._codecs.uncertain.encode(told)
                note = Output(INBOUND_UNCERTAIN, event.partition, told.subject_id, value)
                return Effects([*effects.outputs, note])
            case Meaning.START:
                return self._events(
                    event, [_granted(event, purpose) for purpose in self._start_purposes]
                )
            case Meaning.HELP | Meaning.NONE:
                return Effects()

    def _events(self, event: Event[InboundSms], events: list[ConsentEvent]) -> Effects:
        key = event.record.sender.encode()
        partition = partition_of(key, self._partitions)
        encode = self._codecs.consent_events.encode
        return Effects([Output(CONSENT_EVENTS, partition, key, encode(each)) for each in events])


def _withdrawn(event: Event[InboundSms], scope: Scope) -> ConsentEvent:
    return ConsentEvent(
        event_id=event_of_reply(event.record.message_id),
        subject=event.record.sender,
        kind=ConsentKind.WITHDRAWN,
        occurred_at=event.record.received_at,
        source=Source.INBOUND_SMS,
        scope=scope,
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
    )


def _country(number: str) -> str | None:
    """Give the number's country, ISO 3166-1, as far as the number tells."""
    try:
        region = phonenumbers.region_code_for_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return None
    return region if region and region.isalpha() else None
