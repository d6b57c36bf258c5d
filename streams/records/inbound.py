"""``sms.inbound``, ``inbound.uncertain``: what people reply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from streams.records.record import Record


@dataclass(frozen=True, slots=True, repr=False)
class InboundSms(Record):
    """
    A message that a person sent to one of the company's numbers.

    ``sender`` is the person's E.164 number; ``recipient`` is what it was sent to: a short code or a
    number, as the carrier writes it.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("message_id",)

    message_id: str
    sender: str
    recipient: str
    body: str
    received_at: int


def event_of_reply(message_id: str) -> str:
    """Give the id of the withdrawal that a STOP comes to: the same reply twice is one event."""
    return f"inbound/{message_id}"


@dataclass(frozen=True, slots=True, repr=False)
class UncertainReply(Record):
    """
    A reply that may be a STOP, for a person to read: where it stands, never what it says.

    ``why`` says in our own words what made it uncertain.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("message_id", "inbound_partition", "inbound_offset", "why")

    message_id: str
    subject_id: bytes
    inbound_partition: int
    inbound_offset: int
    why: str
    country: str | None
    classified_at: int
