"""``sms.requested``: what a service wants to send, and what it says about who wants it sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar

from streams.records.record import Record


class TextAuthor(Enum):
    """Who wrote the body: the user who is said to send it, or the platform."""

    USER = "USER"
    PLATFORM = "PLATFORM"


class ClaimEvidence(Enum):
    """What a claim about a person rests on."""

    DECLARED = "DECLARED"
    INFERRED = "INFERRED"
    NONE = "NONE"


@dataclass(frozen=True, slots=True, repr=False)
class Occasion(Record):
    """Why a message is due now: an order, a login, a registration, an inbound message."""

    SHOWN: ClassVar[tuple[str, ...]] = ("kind",)

    kind: str
    reference: str
    at: int | None = None


@dataclass(frozen=True, slots=True, repr=False)
class InitiatorEvidence(Record):
    """
    What the platform recorded of the user's own choice to send this text to this person.

    ``confirmed_sha256`` is the lower-case hex SHA-256 of the recipient, a newline and the body, in
    UTF-8, as the user confirmed them.
    """

    recipient_hand_picked: bool = False
    effect_disclosed: bool = False
    text_shown: bool = False
    confirmed_at: int | None = None
    confirmed_sha256: str | None = None
    text_author: TextAuthor = TextAuthor.PLATFORM
    screen_version: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Initiator(Record):
    """Who set the message off, and by what; ``user`` is E.164."""

    SHOWN: ClassVar[tuple[str, ...]] = ("trigger",)

    user: str | None = None
    trigger: str | None = None
    evidence: InitiatorEvidence | None = None


@dataclass(frozen=True, slots=True, repr=False)
class NamedPerson(Record):
    """A person whom the body names; ``number`` is E.164 where it is known."""

    SHOWN: ClassVar[tuple[str, ...]] = ("role",)

    name: str
    number: str | None = None
    role: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Claim(Record):
    """Something the body says about a relationship, such as ``former_colleague``."""

    SHOWN: ClassVar[tuple[str, ...]] = ("kind", "evidence")

    kind: str
    evidence: ClaimEvidence = ClaimEvidence.NONE


@dataclass(frozen=True, slots=True, repr=False)
class Referral(Record):
    """Who refers the recipient to the sender, and whether they know both (Canada's CASL)."""

    SHOWN: ClassVar[tuple[str, ...]] = ("knows_recipient", "knows_sender")

    referrer_name: str
    knows_recipient: bool = False
    knows_sender: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class SmsRequested(Record):
    """
    One SMS that a service asks to be sent.

    The first four fields differ from message to message; what follows repeats within a campaign.
    That order is part of the format. ``purpose`` is compared exactly; ``region`` is ISO 3166-1 or
    3166-2. Of ``valid_until`` on, the request is EXPIRED.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("purpose", "campaign_id")

    request_id: str
    recipient: str
    requested_at: int
    valid_until: int | None
    purpose: str
    campaign_id: str | None
    sender_id: str
    template_id: str | None
    template_params: dict[str, str]
    body: str
    occasion: Occasion | None = None
    initiator: Initiator = field(default_factory=Initiator)
    named_persons: tuple[NamedPerson, ...] = ()
    claims: tuple[Claim, ...] = ()
    referral: Referral | None = None
    region: str | None = None
