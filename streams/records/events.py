"""What changes what may be sent: consent, contact uploads, name consents, campaigns."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar

from streams.records.record import Record


class ConsentKind(Enum):
    """What a consent event says."""

    GRANTED = "GRANTED"
    WITHDRAWN = "WITHDRAWN"
    REGISTERED = "REGISTERED"
    UNREGISTERED = "UNREGISTERED"
    NUMBER_ORIGIN = "NUMBER_ORIGIN"
    NUMBER_REASSIGNED = "NUMBER_REASSIGNED"
    NUMBER_DISCONNECTED = "NUMBER_DISCONNECTED"
    ERASURE_REQUESTED = "ERASURE_REQUESTED"
    NUMBER_CHECKED = "NUMBER_CHECKED"
    NUMBER_MOVED = "NUMBER_MOVED"


class Basis(Enum):
    """On what a grant rests. IMPLIED and SOFT_OPT_IN are never taken for EXPRESS."""

    EXPRESS = "EXPRESS"
    IMPLIED = "IMPLIED"
    SOFT_OPT_IN = "SOFT_OPT_IN"


class Source(Enum):
    """Where the event came from."""

    SELF_SERVICE = "SELF_SERVICE"
    INBOUND_SMS = "INBOUND_SMS"
    DOUBLE_OPT_IN = "DOUBLE_OPT_IN"
    OPERATOR = "OPERATOR"
    BULK_IMPORT = "BULK_IMPORT"
    CARRIER = "CARRIER"

    @property
    def from_recipient(self) -> bool:
        """Whether the recipient gave it in person: only such a grant undoes a withdrawal."""
        return self in _FROM_RECIPIENT


_FROM_RECIPIENT = frozenset({Source.SELF_SERVICE, Source.INBOUND_SMS, Source.DOUBLE_OPT_IN})


class Origin(Enum):
    """How the platform came by a number, as the platform declares it."""

    SELF_ENTERED = "SELF_ENTERED"
    CUSTOMER = "CUSTOMER"
    PURCHASED = "PURCHASED"
    PUBLIC = "PUBLIC"


class ContactKind(Enum):
    """Whether an address-book entry was added or its upload taken back."""

    ADDED = "ADDED"
    WITHDRAWN = "WITHDRAWN"


class CampaignState(Enum):
    """What a campaign record says of its campaign."""

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"


@dataclass(frozen=True, slots=True, repr=False)
class Scope(Record):
    """To which sender or campaign an event is limited; both null: to none."""

    SHOWN: ClassVar[tuple[str, ...]] = ("sender_id", "campaign_id")

    sender_id: str | None = None
    campaign_id: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class ConsentEvidence(Record):
    """What proves that the event happened as it says; sealed in the ledger."""

    notice_version: str | None = None
    document_sha256: str | None = None
    channel: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class ConsentEvent(Record):
    """
    One thing a person, an operator or a carrier said about one number.

    ``subject`` is E.164. A null ``purpose`` means all purposes and is meant for WITHDRAWN; a
    GRANTED without one is refused. A writer who does not say on what a grant rests has not said
    that it is EXPRESS. ``effective_at`` is the day a number was reassigned; of
    a NUMBER_CHECKED, the day since which, until ``occurred_at``, it was found not to have been.
    ``moved_to`` is, of a NUMBER_MOVED, the person's new number, E.164.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("kind", "purpose", "source")

    event_id: str
    subject: str
    kind: ConsentKind
    occurred_at: int
    source: Source
    purpose: str | None = None
    basis: Basis = Basis.IMPLIED
    conditional: bool = False
    scope: Scope = field(default_factory=Scope)
    effective_at: int | None = None
    expires_at: int | None = None
    origin: Origin | None = None
    evidence: ConsentEvidence | None = None
    time_zone: str | None = None
    region: str | None = None
    moved_to: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class ContactEntry(Record):
    """
    One number of one uploaded address book: hashed, without a name.

    ``partition`` is the partition of the E.164 number, which the record itself no longer has.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("kind", "upload_id", "position")

    entry_id: str
    kind: ContactKind
    subject_id: bytes
    partition: int
    uploader_id: bytes
    upload_id: str
    position: int
    mandatory: bool
    undisclosed: bool
    uploaded_at: int
    expires_at: int | None = None


@dataclass(frozen=True, slots=True, repr=False)
class NameConsent(Record):
    """Whether a person allows to be named in messages to others; ``subject`` is E.164."""

    SHOWN: ClassVar[tuple[str, ...]] = ("granted", "purpose")

    subject: str
    granted: bool
    purpose: str | None
    until: int | None
    occurred_at: int


@dataclass(frozen=True, slots=True, repr=False)
class Campaign(Record):
    """
    What a campaign may do now.

    A pause (``pause_id``) is ended only by a record whose ``resumes`` names it.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("campaign_id", "state", "pause_id", "resumes")

    campaign_id: str
    state: CampaignState
    pause_id: str | None
    resumes: str | None
    by: str
    reason: str | None
    since: int
