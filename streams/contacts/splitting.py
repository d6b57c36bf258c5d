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
from streams.records.contacts import ContactsUploaded, UploadBasis, UploadWithdrawn
from streams.records.events import ContactEntry, ContactKind

DAY_MS: Final = 86_400_000

PIECE: Final = 500
"""Contacts that are read at a time: some 10 ms, so that whoever splits can do other things too."""


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
    ``contact_purposes`` are the purposes that tell a user that contacts will be written to.
    """

    def __init__(
        self,
        upload: ContactsUploaded,
        *,
        subject_id: Callable[[str], bytes],
        partition: Callable[[str], int],
        keep_days: int,
        contact_purposes: Iterable[str],
    ) -> None:
        self.counts = Counts()
        self.uploader_id: Final = subject_id(upload.uploader)
        self._upload = upload
        self._subject_id = subject_id
        self._partition = partition
        self._expires_at = upload.uploaded_at + keep_days * DAY_MS
        self._mandatory = not upload.basis.optional
        self._undisclosed = undisclosed(upload.basis, contact_purposes)

    def pieces(self) -> Iterator[list[ContactEntry]]:
        """
        Give the entries in pieces of at most :data:`PIECE`, and count. For once through.

        An entry's position is where its number stands first. Memory: 16 bytes and a set's slot for
        each distinct number, whatever the number of contacts.
        """
        upload, counts = self._upload, self.counts
        seen: set[bytes] = set()
        piece: list[ContactEntry] = []
        for position, contact in enumerate(upload.contacts):
            if position % PIECE == 0 and position:
                yield piece
                piece = []
            counts.contacts += 1
            number = as_e164(contact.number, upload.default_region)
            if number is None:
                counts.invalid += 1
                continue
            subject_id = self._subject_id(number)
            if subject_id == self.uploader_id:
                counts.own_number += 1
            elif subject_id in seen:
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
            expires_at=self._expires_at,
        )


def undisclosed(basis: UploadBasis, contact_purposes: Iterable[str]) -> bool:
    """
    Tell whether the user was not told that contacts would be written to.

    True without a notice: a purpose that no text named was not disclosed.
    """
    return basis.notice_version is None or not set(contact_purposes) & set(basis.purposes_disclosed)


def withdrawn_entries(
    withdrawal: UploadWithdrawn, uploader_id: bytes, places: Iterable[Place]
) -> Iterator[ContactEntry]:
    """Give the entries that take an upload's provenance back, one for each that it had."""
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
        )
