"""
One uploaded address book into entries: hashed, without names, one for each distinct number.

What a person did not agree to is not guessed at either: a contact whose number cannot be read makes
no entry and is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from streams.contacts.numbers import as_e164
from streams.errors import TooLarge
from streams.records.contacts import ContactsUploaded, UploadBasis, UploadWithdrawn
from streams.records.events import ContactEntry, ContactKind

DAY_MS: Final = 86_400_000

PIECE: Final = 500
"""Contacts that are read at a time: 10 ms, after which whoever splits may give way to others."""

MOST_WRITTEN: Final = 200_000
"""Different texts that are read as a number in one upload: four seconds, for which its
partition waits. No address book has as many; the same text again costs nothing."""


@dataclass(slots=True)
class Counts:
    """What became of an upload's contacts; the four others sum up to ``contacts``."""

    contacts: int = 0
    entries: int = 0
    invalid: int = 0
    duplicates: int = 0
    own_number: int = 0


class Place(NamedTuple):
    """What is kept of one entry so that it can be taken back: whose, where, which."""

    subject_id: bytes
    partition: int
    position: int


class Splitting:
    """
    Splits one upload. The same upload always gives the same entries, ids included.

    ``subject_id`` gives a number's keyed hash and ``partition`` its partition. ``keep_days`` is for
    how long an entry counts from the upload on: 0 keeps nothing of it, but it is still screened.
    ``appended_at`` is when the upload came in: one that is dated later is not kept for longer.
    ``contact_purposes`` are the purposes that tell a user that contacts will be written to.
    """

    def __init__(
        self,
        upload: ContactsUploaded,
        *,
        subject_id: Callable[[str], bytes],
        partition: Callable[[str], int],
        keep_days: int,
        appended_at: int,
        contact_purposes: Iterable[str],
    ) -> None:
        self.counts = Counts()
        self.uploader_id: Final = subject_id(upload.uploader)
        self._upload = upload
        self._subject_id = subject_id
        self._partition = partition
        self.expires_at: Final = min(upload.uploaded_at, appended_at) + keep_days * DAY_MS
        self._mandatory = not upload.basis.optional
        self._undisclosed = undisclosed(upload.basis, contact_purposes)

    def pieces(self) -> Iterator[list[ContactEntry]]:
        """
        Give the entries in pieces of at most :data:`PIECE`, and count. For once through.

        An entry's position is where its number stands first. Memory: 16 bytes and two slots for
        each distinct number, whatever the number of contacts. Raises :class:`TooLarge` beyond
        :data:`MOST_WRITTEN`.
        """
        upload, counts = self._upload, self.counts
        seen: set[bytes] = set()
        read: dict[str, bytes | None] = {}
        piece: list[ContactEntry] = []
        for position, contact in enumerate(upload.contacts):
            if position % PIECE == 0 and position:
                yield piece
                piece = []
            counts.contacts += 1
            written, number = contact.number, None
            if written in read:
                subject_id = read[written]
            else:
                if len(read) >= MOST_WRITTEN:
                    raise TooLarge(f"An upload has at most {MOST_WRITTEN:,} different numbers.")
                number = as_e164(written, upload.default_region)
                subject_id = None if number is None else self._subject_id(number)
                read[written] = subject_id
            if subject_id is None:
                counts.invalid += 1
            elif subject_id == self.uploader_id:
                counts.own_number += 1
            elif number is None or subject_id in seen:
                counts.duplicates += 1
            else:
                seen.add(subject_id)
                counts.entries += 1
                piece.append(self._entry(subject_id, self._partition(number), position))
        yield piece

    def _entry(self, subject_id: bytes, partition: int, position: int) -> ContactEntry:
        upload = self._upload
        return ContactEntry(
            entry_id=f"{upload.upload_id}/{position}",
            kind=ContactKind.ADDED,
            subject_id=subject_id,
            partition=partition,
            uploader_id=self.uploader_id,
            upload_id=upload.upload_id,
            position=position,
            mandatory=self._mandatory,
            undisclosed=self._undisclosed,
            uploaded_at=upload.uploaded_at,
            expires_at=self.expires_at,
        )


def undisclosed(basis: UploadBasis, contact_purposes: Iterable[str]) -> bool:
    """
    Tell whether the user was not told that contacts would be written to.

    True without a notice: a purpose that no text named was not disclosed.
    """
    return basis.notice_version is None or not set(contact_purposes) & set(basis.purposes_disclosed)


def withdrawn_entries(
    withdrawal: UploadWithdrawn, uploader_id: bytes, places: Iterable[Place], expires_at: int | None
) -> Iterator[ContactEntry]:
    """
    Give the entries that take an upload's provenance back, one for each that it had.

    ``expires_at`` is when those run out by themselves: until then one that comes again is refused.
    """
    for place in places:
        yield ContactEntry(
            entry_id=f"{withdrawal.upload_id}/{place.position}/withdrawn",
            kind=ContactKind.WITHDRAWN,
            subject_id=place.subject_id,
            partition=place.partition,
            uploader_id=uploader_id,
            upload_id=withdrawal.upload_id,
            position=place.position,
            mandatory=False,
            undisclosed=False,
            uploaded_at=withdrawal.withdrawn_at,
            expires_at=expires_at,
        )
