"""
The agent ``uploads``: address books into entries, and entries taken back with their upload.

An upload becomes one ContactEntry for each distinct valid number, without the number
(:mod:`streams.contacts.splitting`). What is kept of it, until its entries expire, is where they
went: hashed, so that a withdrawal of the upload reaches each of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final

from streams.codec.codec import Codecs
from streams.contacts.splitting import Place, Splitting, withdrawn_entries
from streams.errors import KeyMismatch, NotE164, TooLarge, Undecodable
from streams.kafka.placement import partition_of
from streams.processors.agent import Agent, Effects, Event, Output, Timer, Tools, each
from streams.processors.agent import Place as Runs
from streams.processors.counters import UploaderCounts
from streams.processors.state import AgentState
from streams.records.contacts import ContactsUploaded, UploadWithdrawn
from streams.records.e164 import is_e164
from streams.records.events import ContactEntry
from streams.topology import CONTACTS_ENTRIES, CONTACTS_UPLOADED

LONGEST_ID: Final = 200
"""Characters of an upload's id; it names every one of its entries."""

PLACES_TOGETHER: Final = 8_000
"""Places in one value of the state: 192 kB."""

FORGET_SECONDS: Final = 3_600.0

_EXPIRES = Struct(">q")
_PLACE = Struct(">16sii")

Uploaded = ContactsUploaded | UploadWithdrawn


def uploads(tools: Tools) -> Agent:
    """Make the agent."""
    reading = _Reading(tools)
    return Agent(
        "uploads",
        {CONTACTS_UPLOADED: reading.decode},
        each(reading.handle),
        timers=[Timer(FORGET_SECONDS, reading.forget)],
        place=Runs.THREAD,
        batch_max=10,
    )


class _Reading:
    def __init__(self, tools: Tools) -> None:
        self._codecs: Final[Codecs] = tools.codecs
        self._settings = tools.settings
        self._subject_id = tools.keyring.subject_ids.of
        self._partitions = tools.partitions
        self._uploaders = UploaderCounts(tools.codecs)

    def decode(self, value: bytes | None) -> Uploaded:
        """Read either of the two records of the topic; their headers tell them apart."""
        try:
            return self._codecs.uploads.decode(value)
        except Undecodable as error:
            try:
                return self._codecs.upload_withdrawals.decode(value)
            except Undecodable:
                raise error from None

    def handle(self, event: Event[Uploaded], state: AgentState) -> Effects:
        """Give the entries of an upload, or those that take it back."""
        record = event.record
        if not is_e164(record.uploader):
            raise NotE164("The upload's uploader is not an E.164 number.")
        if event.key != record.uploader.encode():
            raise KeyMismatch("The upload's key is not its uploader.")
        if not 0 < len(record.upload_id) <= LONGEST_ID:
            raise TooLarge(f"An upload's id has 1 to {LONGEST_ID} characters.")
        uploader_id = self._subject_id(record.uploader)
        # With the uploader: the same id from somebody else is another upload.
        prefix = f"{uploader_id.hex()}/{record.upload_id}/"
        counted: list[Output] = []
        if isinstance(record, UploadWithdrawn):
            places = _places(state, prefix)
            entries = list(withdrawn_entries(record, uploader_id, places))
            for key, _ in state.items(prefix):
                state.delete(key)
        else:
            entries = self._entries(record)
            known = {place.subject_id for place in _places(state, f"{uploader_id.hex()}/")}
            if not any(state.items(prefix)):
                counted = self._uploaders.counted(record, event.appended_at, entries, known, state)
            _keep(state, prefix, entries)
        return Effects([*(self._output(entry) for entry in entries), *counted])

    def forget(self, now_ms: int, state: AgentState) -> Effects:
        """Forget where the entries of an upload went once the last of them has expired."""
        for key, value in list(state.items()):
            if _EXPIRES.unpack_from(value)[0] <= now_ms:
                state.delete(key)
        return Effects()

    def _entries(self, upload: ContactsUploaded) -> list[ContactEntry]:
        splitting = Splitting(
            upload,
            subject_id=self._subject_id,
            partition=lambda number: partition_of(number.encode(), self._partitions),
            keep_days=self._settings.contact_entry_days,
            contact_purposes=self._settings.contact_purposes,
        )
        return [entry for piece in splitting.pieces() for entry in piece]

    def _output(self, entry: ContactEntry) -> Output:
        value = self._codecs.contact_entries.encode(entry)
        return Output(CONTACTS_ENTRIES, entry.partition, entry.subject_id, value)


def _keep(state: AgentState, prefix: str, entries: list[ContactEntry]) -> None:
    for start in range(0, len(entries), PLACES_TOGETHER):
        some = entries[start : start + PLACES_TOGETHER]
        packed = b"".join(_PLACE.pack(e.subject_id, e.partition, e.position) for e in some)
        state.put(f"{prefix}{start}", _EXPIRES.pack(some[0].expires_at or 0) + packed)


def _places(state: AgentState, prefix: str) -> Iterator[Place]:
    for _, value in state.items(prefix):
        for place in _PLACE.iter_unpack(value[_EXPIRES.size :]):
            yield Place(*place)
