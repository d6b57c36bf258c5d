"""
What a reply is answered with: at most one request, which the gate judges like any other.

To a STOP that is the one confirmation that may follow it: without marketing and within five
minutes (47 CFR 64.1200(a)(12)). Its purpose is ``service_reply`` and its occasion is the reply, by
which the gate knows the withdrawal that it may be let past. The id is made of the reply's, so that
a reply that is handled twice asks for the same message twice and never for another.

A doubt is not answered: that would be one message more to somebody who may have asked for none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from streams.config import Settings
from streams.inbound import Reading, Senders, load_answers
from streams.inbound.lists import BASE
from streams.inbound.meaning import Meaning
from streams.processors.agent import Event
from streams.records.inbound import InboundSms
from streams.records.requests import Initiator, Occasion, SmsRequested

PURPOSE: Final = "service_reply"
OCCASION: Final = "inbound_sms"

ANSWERED_MS: Final = 5 * 60 * 1000
"""
How long after a reply it is answered. A confirmation within five minutes is presumed lawful in the
United States; a later one has to be justified
(https://www.rothjackson.com/blog/2024/03/new-fcc-regulation-one-time-text-confirmation-for-consent-revocation-effective-april-8-2024/).
"""


class Answering:
    """Answers replies. Reads the file of texts when it is made; see :func:`load_answers`."""

    def __init__(self, settings: Settings, senders: Senders, now_ms: Callable[[], int]) -> None:
        self._answers = load_answers(settings.answers_file)
        self._confirm_stops = settings.confirm_stops
        self._senders = senders
        self._now_ms = now_ms

    def answer(self, event: Event[InboundSms], reading: Reading) -> SmsRequested | None:
        """
        Give the request that answers a reply, None where it is not answered.

        ``reading`` has been judged by the register. Nothing is answered after five minutes, nor
        where no sender's id is known to answer from.
        """
        reply = event.record
        until = min(reply.received_at, event.appended_at) + ANSWERED_MS
        sender = self._senders.of(reply.recipient)
        sender_id = sender.sender_id if sender else reply.recipient
        # English keywords are typed everywhere; those of another language tell the language.
        spoken = reading.language if reading.language != BASE else None
        body = self._text(reply, reading, spoken or (sender.language if sender else None))
        if body is None or not sender_id or self._now_ms() >= until:
            return None
        return SmsRequested(
            request_id=f"inbound/{reply.message_id}",
            recipient=reply.sender,
            requested_at=event.appended_at,
            valid_until=until,
            purpose=PURPOSE,
            campaign_id=None,
            sender_id=sender_id,
            template_id=None,
            template_params={},
            body=body,
            occasion=Occasion(OCCASION, reply.message_id, reply.received_at),
            initiator=Initiator(trigger=OCCASION),
        )

    def _text(self, reply: InboundSms, reading: Reading, language: str | None) -> str | None:
        match reading.meaning:
            case Meaning.STOP:
                if not self._confirm_stops:
                    return None
                covered = self._senders.coverage(reading, reply.recipient).sender
                name = None if covered is None else covered.name or reply.recipient
                return self._answers.stop(language, name)
            case Meaning.START:
                return self._answers.start(language)
            case Meaning.HELP:
                return self._answers.help(language)
            case Meaning.UNCERTAIN | Meaning.NONE:
                return None
