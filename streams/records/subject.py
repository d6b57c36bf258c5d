"""``subjects.state``, ``subjects.keys``: what the gate knows of a number; how far it read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from streams.records.events import Basis, Origin, Source
from streams.records.record import Record


@dataclass(frozen=True, slots=True, repr=False)
class Grant(Record):
    """
    A consent as it was given.

    ``counts_from`` is the earlier of its own date and its append time; ``confirmed_at`` the append
    time of the person's confirmation of it, if there was one; ``asked`` when the person was last
    asked for one, the question and its reminder. Whether it is effective for a message
    is decided against the withdrawals that cover that message, never stored.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("purpose", "basis", "source", "offset")

    purpose: str
    basis: Basis
    conditional: bool
    sender_id: str | None
    campaign_id: str | None
    counts_from: int
    offset: int
    expires_at: int | None
    source: Source
    event_id: str
    confirmed_at: int | None = None
    asked: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Withdrawal(Record):
    """
    A STOP. A null ``purpose``, ``sender_id`` or ``campaign_id`` covers every one.

    ``at`` is its append time, made monotone within its partition.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("purpose", "source", "offset")

    purpose: str | None
    sender_id: str | None
    campaign_id: str | None
    at: int
    offset: int
    source: Source
    event_id: str


@dataclass(frozen=True, slots=True, repr=False)
class Membership(Record):
    """The person is registered with the platform since ``since``."""

    since: int
    offset: int
    event_id: str


@dataclass(frozen=True, slots=True, repr=False)
class UploadTrace(Record):
    """The number stood in an uploaded address book; forgotten after ``expires_at``."""

    SHOWN: ClassVar[tuple[str, ...]] = ("mandatory", "undisclosed", "expires_at")

    upload_id: str
    uploader_id: bytes
    mandatory: bool
    undisclosed: bool
    uploaded_at: int
    expires_at: int


@dataclass(frozen=True, slots=True, repr=False)
class UploadTaken(Record):
    """An upload was taken back: an entry of it that comes late adds nothing, until ``until``."""

    upload_id: str
    until: int


@dataclass(frozen=True, slots=True, repr=False)
class StopSaid(Record):
    """
    The person's own message that was a STOP, while one answer to it is still owed.

    ``digest`` tells which message (:func:`streams.policy.once.message_digest`), ``at`` is the
    append time of the withdrawal that it became.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("at",)

    digest: bytes
    at: int


@dataclass(frozen=True, slots=True, repr=False)
class SubjectState(Record):
    """
    All that the gate keeps of one number: no number, no name, no edge to another person by name.

    ``placed`` is set by a record whose own number belongs to this partition. ``undecodable`` holds
    the offsets of consent events of this subject that could not be read: while there is one, the
    subject is held (STATE_UNDECODABLE). :data:`OLDER_UNDECODABLE` among them stands for older ones
    that are not named any more. ``applied`` are digests of the last events, oldest first.
    ``reassigned_at`` is the latest day before which no consent counts; ``unregistered_at`` the
    latest end of a membership. ``stop`` is the newest STOP by SMS that was not confirmed,
    ``answered`` are digests of the messages that were answered last, oldest first, ``referred``
    says that somebody was let refer the person. From ``checked_since`` until ``checked_at`` the
    number was found not to have changed its holder.
    """

    subject_id: bytes
    placed: bool = False
    grants: tuple[Grant, ...] = ()
    withdrawals: tuple[Withdrawal, ...] = ()
    membership: Membership | None = None
    unregistered_at: int | None = None
    reassigned_at: int | None = None
    erased_at: int | None = None
    origin: Origin | None = None
    origin_at: int | None = None
    uploads: tuple[UploadTrace, ...] = ()
    uploads_taken: tuple[UploadTaken, ...] = ()
    time_zone: str | None = None
    region: str | None = None
    undecodable: tuple[int, ...] = ()
    applied: tuple[bytes, ...] = ()
    stop: StopSaid | None = None
    answered: tuple[bytes, ...] = ()
    referred: bool = False
    checked_since: int | None = None
    checked_at: int | None = None


OLDER_UNDECODABLE = -1
"""In the place of an offset: there were more of them than a state can name."""


@dataclass(frozen=True, slots=True, repr=False)
class SubjectKey(Record):
    """A data key wrapped by the key-encryption key ``kek_id``. Its tombstone shreds it."""

    SHOWN: ClassVar[tuple[str, ...]] = ("key_id", "kek_id")

    subject_id: bytes
    key_id: str
    kek_id: str
    wrapped: bytes
    created_at: int


@dataclass(frozen=True, slots=True, repr=False)
class Position(Record):
    """
    How far one partition was processed: the one source of truth for positions.

    Offsets are the next to read. Written in every transaction that moves any of them, in the same
    partition of ``subjects.state`` under :data:`POSITION_KEY`. ``key_check`` tells whether the
    subject-id key is the one the partition was written with. Append times are the newest folded,
    which later ones are made not to fall below.

    While ``rebuilding_since`` is set, the states beside it are half written and nobody may use
    them; ``rebuilt_at`` tells a local copy from before the last rebuild. ``doubt`` is what counts
    for everybody of the partition after events of it were lost for good: a withdrawal of
    everything.
    """

    SHOWN: ClassVar[tuple[str, ...]] = (
        "partition",
        "request_offset",
        "consent_offset",
        "contacts_offset",
        "decision_sequence",
    )

    partition: int
    request_offset: int = 0
    consent_offset: int = 0
    contacts_offset: int = 0
    reviews_offset: int = 0
    consent_append_at: int = 0
    contacts_append_at: int = 0
    decision_sequence: int = 0
    decision_hash: bytes = b""
    ledger_sequence: int = 0
    ledger_hash: bytes = b""
    send_checkpoint: int = 0
    key_check: bytes = b""
    written_at: int = 0
    rebuilding_since: int | None = None
    rebuilt_at: int | None = None
    doubt: Withdrawal | None = None


POSITION_KEY = b"position"
"""The reserved key. Subject ids have 16 bytes, so that none can equal it."""
