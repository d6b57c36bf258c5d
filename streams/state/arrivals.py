"""
What a record of ``consent.events`` or ``contacts.entries`` is, where it stands. Pure.

The gate folds by it (:mod:`streams.gate.folding`), a rebuild and a replay read history again by it:
what one of them applies, passes on or holds somebody for, the others do too.
"""

from __future__ import annotations

from enum import Enum
from hashlib import blake2b
from typing import Final, NamedTuple

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE

from streams.codec.codec import RecordCodec
from streams.errors import DeadLetter, KeyMismatch, Misplaced, NotE164, TooLarge, Undecodable
from streams.kafka.bounds import EVENT_MAX_BYTES, IDENTIFIERS_MAX_CHARACTERS, refuse_long
from streams.kafka.placement import partition_of
from streams.kafka.record_headers import last_header
from streams.records.e164 import is_e164
from streams.records.events import ConsentEvent, ConsentKind, ContactEntry, ContactKind
from streams.sealing.signatures import Statement, Verifier
from streams.sealing.subject_ids import SUBJECT_ID_BYTES
from streams.state.log_reader import Fetched

FIRST_APPENDED_HEADER: Final = "consent-gate-first-appended"
"""On a re-sent event: when it was first appended, signed over its key and value."""

RESOLVES_HEADER: Final = "consent-gate-resolves"
"""On a record without value: the offset of an undecodable event that a person has dealt with, or
:data:`RESOLVES_ALL`."""

RESOLVES_ALL: Final = b"all"
"""In the place of an offset: all of the subject's undecodable events, also those not named."""

RESOLVED_HEADER: Final = "consent-gate-resolved"
"""On the same record: the signed statement that our own tool wrote it."""


class Counts(Enum):
    """For whom a consent event counts where it stands."""

    OWN = "OWN"
    """Its subject is its key, and belongs here."""
    KEY_ONLY = "KEY_ONLY"
    """Its key belongs here but is another number than its subject: it may restrict the key."""
    ELSEWHERE = "ELSEWHERE"
    """For nobody here: it is passed on."""


class ConsentArrival(NamedTuple):
    """
    One record of ``consent.events``.

    ``key`` is the number that its key is, null if it is none; ``here`` says that this number
    belongs to the partition. ``said`` is the event, or why it cannot be one: then the record holds
    the key that is here, is passed on to where the key belongs, or is nobody's.
    """

    key: str | None
    here: bool
    said: ConsentEvent | DeadLetter
    counts: Counts


def consent_arrival(
    message: Fetched, partition: int, partitions: int, codec: RecordCodec[ConsentEvent]
) -> ConsentArrival:
    """
    Read a record that stands in ``partition`` of so many and resolves nothing (:func:`resolution`).

    Raises :class:`streams.errors.RegistryUnavailable` where it cannot be read before the registry
    can be asked.
    """
    key = number_of(message.key())
    here = key is not None and partition_of(key.encode(), partitions) == partition
    value = message.value()
    try:
        event = codec.decode(_bounded(value))
        if value is None or len(value) > IDENTIFIERS_MAX_CHARACTERS:
            # A shorter record has no room for longer texts.
            scope = event.scope
            refuse_long(event.event_id, event.purpose, scope.sender_id, scope.campaign_id)
            refuse_long(event.time_zone, event.region)
    except (Undecodable, TooLarge) as error:
        return ConsentArrival(key, here, error, Counts.ELSEWHERE)
    if here and key == event.subject:
        if goes_nowhere(event):
            unfit = NotE164("The number that the person moved to is no other E.164 number.")
            return ConsentArrival(key, here, unfit, Counts.ELSEWHERE)
        return ConsentArrival(key, here, event, Counts.OWN)
    if not is_e164(event.subject):
        unfit = NotE164("The event's subject is not an E.164 number.")
        return ConsentArrival(key, here, unfit, Counts.ELSEWHERE)
    return ConsentArrival(key, here, event, Counts.KEY_ONLY if here else Counts.ELSEWHERE)


def goes_nowhere(event: ConsentEvent) -> bool:
    """Whether this is a move that names no other E.164 number: it can be followed by nobody."""
    if event.kind is not ConsentKind.NUMBER_MOVED:
        return False
    number = event.moved_to
    return number is None or number == event.subject or not is_e164(number)


def resolution(message: Fetched, verifier: Verifier) -> bytes | None:
    """
    Say which hold a record takes back, if our own tool wrote it; None for any other record.

    An offset in digits, or :data:`RESOLVES_ALL`. It counts for the key, where that belongs.
    """
    if message.value() is not None:
        return None
    said = last_header(message, RESOLVES_HEADER)
    statement = last_header(message, RESOLVED_HEADER)
    if said is None or statement is None or (said != RESOLVES_ALL and not said.isdigit()):
        return None
    stated = signed_of(message.key(), said)
    return None if verifier.verify_header(Statement.RESOLVED, stated, statement) is None else said


def first_appended(message: Fetched, verifier: Verifier) -> int | None:
    """When a record was first appended, if a gate of ours re-sent it; None for any other."""
    statement = last_header(message, FIRST_APPENDED_HEADER)
    if statement is None:
        return None
    stated = signed_of(message.key(), message.value())
    return verifier.verify_header(Statement.FIRST_APPENDED, stated, statement)


def resent_digest(value: bytes | None, first_appended: int) -> bytes:
    """Tell a re-sent record that cannot be read from any other, in 16 bytes."""
    said = b"unreadable" + first_appended.to_bytes(8, "big") + (value or b"")
    return blake2b(said, digest_size=16).digest()


def signed_of(key: bytes | None, value: bytes | None) -> bytes:
    """The bytes that a statement about a record is tied to; key and value cannot be shifted."""
    key = key or b""
    return len(key).to_bytes(4, "big") + key + (value or b"")


# ------------------------------------------------------------------------------- address books


class EntryArrival(NamedTuple):
    """
    One record of ``contacts.entries``.

    ``entry`` is what it says, or the worst that it may have said if it cannot be read and its key
    names somebody: without that the number would look as if it stood in nobody's address book
    (guarantee I5). It may belong to another partition. ``unfit`` says what is wrong with it.
    """

    entry: ContactEntry | None
    unfit: DeadLetter | None


def entry_arrival(
    message: Fetched,
    partition: int,
    partitions: int,
    appended_at: int,
    codec: RecordCodec[ContactEntry],
) -> EntryArrival:
    """
    Read a record that stands in ``partition`` of so many; ``appended_at`` is monotone.

    Raises :class:`streams.errors.RegistryUnavailable` as :func:`consent_arrival` does.
    """
    try:
        entry = codec.decode(_bounded(message.value()))
        refuse_long(entry.upload_id)
    except (Undecodable, TooLarge) as error:
        return EntryArrival(_worst_entry(message, partition, appended_at), error)
    unfit: DeadLetter | None = None
    if message.key() != entry.subject_id:
        unfit = KeyMismatch("The entry's key is not its subject id.")
    elif {len(entry.subject_id), len(entry.uploader_id)} != {SUBJECT_ID_BYTES}:
        unfit = Undecodable(f"The entry's ids do not have {SUBJECT_ID_BYTES} bytes.")
    elif not 0 <= entry.partition < partitions:
        unfit = Misplaced("The entry names a partition that does not exist.")
    return EntryArrival(None if unfit is not None else entry, unfit)


def _worst_entry(message: Fetched, partition: int, appended_at: int) -> ContactEntry | None:
    subject_id = message.key()
    if not isinstance(subject_id, bytes) or len(subject_id) != SUBJECT_ID_BYTES:
        return None
    return ContactEntry(
        entry_id="",
        kind=ContactKind.ADDED,
        subject_id=subject_id,
        partition=partition,
        uploader_id=b"",
        upload_id=f"unreadable-{offset_of(message)}",
        position=0,
        mandatory=True,
        undisclosed=True,
        uploaded_at=appended_at,
    )


# ---------------------------------------------------------------------------------- any record


def number_of(key: bytes | str | None) -> str | None:
    """The E.164 number that a key is, or None."""
    if not isinstance(key, bytes) or len(key) > 16:
        return None
    try:
        text = key.decode("ascii")
    except UnicodeDecodeError:
        return None
    return text if is_e164(text) else None


def offset_of(message: Fetched) -> int:
    """The offset of a record; every fetched one has one."""
    offset = message.offset()
    if offset is None:
        raise ValueError("a fetched record has an offset")
    return offset


def timestamp_of(message: Fetched) -> int:
    """The time of a record, milliseconds since the epoch; 0 where it has none."""
    kind, at_ms = message.timestamp()
    return 0 if kind == TIMESTAMP_NOT_AVAILABLE else int(at_ms)


def _bounded(value: bytes | None) -> bytes:
    """What the ledger and the changelog repeat of an event must fit into their records."""
    if value is not None and len(value) > EVENT_MAX_BYTES:
        raise TooLarge(f"The record has {len(value)} bytes; at most {EVENT_MAX_BYTES} are read.")
    return value or b""
