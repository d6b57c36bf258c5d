"""``contacts.uploaded``, ``uploads.split``, ``contacts.screened``, ``uploads.completed``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from streams.records.record import Record


@dataclass(frozen=True, slots=True, repr=False)
class UploadBasis(Record):
    """
    What the user was told and could choose when the address book was uploaded.

    ``optional`` is whether the service could be used without it; ``purposes_disclosed`` are the
    purposes that were named; ``notice_version`` is the text that named them, null when there was
    none.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("optional", "notice_version")

    optional: bool
    purposes_disclosed: tuple[str, ...] = ()
    notice_version: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class UploadedContact(Record):
    """One line of an address book, as the user has it there: any text at all."""

    number: str
    name: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class ContactsUploaded(Record):
    """
    One uploaded address book. ``uploader`` is E.164; the people in it know nothing of it.

    ``default_region`` (ISO 3166-1) is where national numbers are dialled from. A contact's place in
    ``contacts``, from 0, is its position: what is told about it later names nothing else.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("upload_id", "basis")

    upload_id: str
    uploader: str
    uploaded_at: int
    app_version: str
    basis: UploadBasis
    default_region: str
    contacts: tuple[UploadedContact, ...]


@dataclass(frozen=True, slots=True, repr=False)
class UploadWithdrawn(Record):
    """The user takes an upload back, or deletes it. ``uploader`` is E.164, as in the upload."""

    SHOWN: ClassVar[tuple[str, ...]] = ("upload_id",)

    upload_id: str
    uploader: str
    withdrawn_at: int


@dataclass(frozen=True, slots=True, repr=False)
class UploadSplit(Record):
    """
    What the worker made of an upload, or of its withdrawal, in numbers: what is to be counted.

    ``entries`` were written, of the kind ADDED, or WITHDRAWN where ``withdrawn``; then they are
    those that were still known, and the four other numbers are 0. ``gone_at`` is when the last of
    them neither counts nor lies in its topic any more.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("upload_id", "withdrawn")

    upload_id: str
    uploader_id: bytes
    contacts: int
    entries: int
    invalid: int
    duplicates: int
    own_number: int
    withdrawn: bool
    split_at: int
    gone_at: int


@dataclass(frozen=True, slots=True, repr=False)
class ContactsScreened(Record):
    """
    Which entries of an upload a gate has folded, and which of them are members.

    ``members`` are positions among ``screened``: people who are registered and allow to be found.
    All others are told apart by nothing. ``taken_back`` are positions whose provenance ended, since
    the upload was withdrawn. ``partition`` is where the gate found the entries. A position may be
    told more than once; the first time counts (:mod:`streams.contacts.receipts`).
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("upload_id", "partition")

    upload_id: str
    uploader_id: bytes
    partition: int
    screened: tuple[int, ...]
    members: tuple[int, ...]
    screened_at: int
    taken_back: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class UploadCompleted(Record):
    """
    The receipt of an upload: what became of its contacts, in numbers only.

    ``contacts`` came in; ``invalid``, ``duplicates`` and ``own_number`` of them made no entry;
    ``entries`` did, of which ``matched`` are members who allow to be found and ``forgotten`` are
    not. ``last_trace_at`` is when the last keyed hash of the upload neither counts nor lies in
    ``contacts.entries`` any more; null: there was none. ``withdrawn`` says that the upload was
    taken back, and everywhere; then it is the receipt of that, with the numbers of the upload as
    far as they were still known.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("upload_id", "withdrawn", "completed_at")

    upload_id: str
    uploader_id: bytes
    contacts: int
    entries: int
    matched: int
    forgotten: int
    invalid: int
    duplicates: int
    own_number: int
    last_trace_at: int | None
    withdrawn: bool
    completed_at: int
