"""
Screening: which entries of an address book are members who allow to be found. Pure.

What leaves the gate of it are positions in the upload, never a number, a name or a subject id. An
entry is screened each time it is folded; one that was written twice is told twice, and whoever
counts takes the first (:mod:`streams.contacts.receipts`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from streams.policy.consent import consent_for
from streams.policy.vocabulary import Basis, Consent
from streams.records.contacts import ContactsScreened
from streams.records.events import ContactEntry, ContactKind
from streams.records.subject import SubjectState

DISCOVERABLE: Final = "discoverable"
"""The purpose of a consent to be found by those who have one's number in their address book."""

MOST_POSITIONS: Final = 10_000
"""Positions in one record, of each kind: 100 kB at most, far below what the topic takes."""

_NOBODY: Final = ""
"""Being found is no message of a sender: a yes or no that is limited to one is none to this."""


def findable(state: SubjectState | None, now_ms: int) -> bool:
    """
    Tell whether this person is a member and lets others find them.

    True only with a membership and with a grant for :data:`DISCOVERABLE` that is in force by
    :func:`~streams.policy.consent.consent_for`, EXPRESS, and not the condition of anything: to be
    shown to strangers is no consequence of something else. A person whose events could not all be
    read is not found, since the one that could not be read may be a no (guarantee I5).
    """
    if state is None or state.membership is None or state.undecodable:
        return False
    consent = consent_for(state, DISCOVERABLE, _NOBODY, None, now_ms)
    return (
        consent.status is Consent.GRANTED
        and consent.basis is Basis.EXPRESS
        and not consent.conditional
    )


class Screening:
    """What was screened of one partition in one turn of the gate, by upload."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._uploads: dict[tuple[bytes, str], _Positions] = {}

    def add(self, entry: ContactEntry, state: SubjectState | None, now_ms: int) -> None:
        """Screen one entry; ``state`` is its subject's, with all that was folded before it."""
        of = (entry.uploader_id, entry.upload_id)
        positions = self._uploads.get(of)
        if positions is None:
            positions = self._uploads[of] = _Positions()
        match entry.kind:
            case ContactKind.ADDED:
                positions.screened.append(entry.position)
                if findable(state, now_ms):
                    positions.members.append(entry.position)
            case ContactKind.WITHDRAWN:
                positions.taken_back.append(entry.position)

    def told(self, now_ms: int) -> Iterator[ContactsScreened]:
        """Give what is to be told of each upload, in pieces of :data:`MOST_POSITIONS`."""
        for (uploader_id, upload_id), positions in self._uploads.items():
            members = set(positions.members)
            most = max(len(positions.screened), len(positions.taken_back))
            for start in range(0, most, MOST_POSITIONS):
                some = slice(start, start + MOST_POSITIONS)
                screened = tuple(positions.screened[some])
                yield ContactsScreened(
                    upload_id=upload_id,
                    uploader_id=uploader_id,
                    partition=self._partition,
                    screened=screened,
                    members=tuple(each for each in screened if each in members),
                    screened_at=now_ms,
                    taken_back=tuple(positions.taken_back[some]),
                )


class _Positions:
    """Of one upload."""

    __slots__ = ("members", "screened", "taken_back")

    def __init__(self) -> None:
        self.screened: list[int] = []
        self.members: list[int] = []
        self.taken_back: list[int] = []
