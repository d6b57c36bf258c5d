"""
The agent ``uploads``: address books into entries, and entries taken back with their upload.

An upload becomes one ContactEntry for each distinct valid number, without the number
(:mod:`streams.contacts.splitting`), and an UploadSplit that says how many there are, for whoever
counts what becomes of them (:mod:`~streams.processors.receipts`). What is kept of it, until its
entries expire, is where they went: hashed, so that a withdrawal of the upload reaches each of them.
An upload that was withdrawn and comes again makes nothing.

A large one is split in slices of some 10 ms, and gives way after each: those of other partitions do
not wait for it. Those of its own partition do, which are one after the other in every respect.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from hashlib import blake2b
from struct import Struct
from typing import Final

from streams.codec.codec import Codecs
from streams.config import Settings
from streams.contacts.splitting import PIECE, Counts, Place, Splitting, withdrawn_entries
from streams.errors import KeyMismatch, NotE164, TooLarge, Undecodable
from streams.kafka.placement import partition_of
from streams.processors.agent import Agent, Effects, Event, GivingWay, Output, Timer, Tools, each
from streams.processors.agent import Place as Runs
from streams.processors.counters import UploaderCounts
from streams.processors.state import AgentState
from streams.records.contacts import ContactsUploaded, UploadSplit, UploadWithdrawn
from streams.records.e164 import is_e164
from streams.records.events import ContactEntry
from streams.topology import CONTACTS_ENTRIES, CONTACTS_UPLOADED, UPLOADS_SPLIT, Topic

LONGEST_ID: Final = 200
"""Characters of an upload's id; it names every one of its entries."""

UPLOAD_MAX_BYTES: Final = 16 * 1024 * 1024
"""Of a record, uncompressed: what its topic takes compressed may be a thousand times as long. Eight
million contacts without a text have so many, and take half a gigabyte while they are split."""

PLACES_TOGETHER: Final = 8_000
"""Places in one value of the state: 192 kB."""

FORGET_SECONDS: Final = 3_600.0

_EXPIRES = Struct(">q")
_PLACE = Struct(">16sii")

_WITHDRAWN: Final = "withdrawn"
"""After an upload's key: it was taken back. After it in numbers: its places, from which on."""

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
        self._uploaded_kept_ms = kept_ms(tools.settings, CONTACTS_UPLOADED)
        self._entries_kept_ms = kept_ms(tools.settings, CONTACTS_ENTRIES)

    def decode(self, value: bytes | None) -> Uploaded:
        """Read either of the two records of the topic; their headers tell them apart."""
        if value is not None and len(value) > UPLOAD_MAX_BYTES:
            raise TooLarge(f"An upload has at most {UPLOAD_MAX_BYTES} bytes.")
        try:
            return self._codecs.uploads.decode(value)
        except Undecodable as error:
            try:
                return self._codecs.upload_withdrawals.decode(value)
            except Undecodable:
                raise error from None

    def handle(self, event: Event[Uploaded], state: AgentState) -> GivingWay:
        """Give the entries of an upload, or those that take it back, and how many they are."""
        record = event.record
        if not is_e164(record.uploader):
            raise NotE164("The upload's uploader is not an E.164 number.")
        if event.key != record.uploader.encode():
            raise KeyMismatch("The upload's key is not its uploader.")
        if not 0 < len(record.upload_id) <= LONGEST_ID:
            raise TooLarge(f"An upload's id has 1 to {LONGEST_ID} characters.")
        uploader_id = self._subject_id(record.uploader)
        upload = _key(uploader_id, record.upload_id)
        if isinstance(record, UploadWithdrawn):
            return (yield from self._withdrawn(event, record, uploader_id, upload, state))
        if state.get(upload + _WITHDRAWN) is not None:
            return Effects()
        splitting = Splitting(
            record,
            subject_id=self._subject_id,
            partition=lambda number: partition_of(number.encode(), self._partitions),
            keep_days=self._settings.contact_entry_days,
            appended_at=event.appended_at,
            contact_purposes=self._settings.contact_purposes,
        )
        entries: list[ContactEntry] = []
        outputs: list[Output] = []
        for piece in splitting.pieces():
            entries += piece
            outputs += map(self._output, piece)
            yield
        counted: list[Output] = []
        if next(_values(state, upload), None) is None:
            known = yield from _known(state, uploader_id)
            counted = self._uploaders.counted(record, event.appended_at, entries, known, state)
            yield
        if self._settings.contact_entry_days:
            yield from _keep(state, upload, entries, splitting.expires_at)
        split = self._split(
            event, uploader_id, splitting.counts, splitting.expires_at, withdrawn=False
        )
        return Effects([*outputs, split, *counted])

    def forget(self, now_ms: int, state: AgentState) -> Effects:
        """Forget where the entries of an upload went once the last of them has expired."""
        for key, value in list(state.items()):
            if _EXPIRES.unpack_from(value)[0] <= now_ms:
                state.delete(key)
        return Effects()

    def _withdrawn(
        self,
        event: Event[Uploaded],
        record: UploadWithdrawn,
        uploader_id: bytes,
        upload: str,
        state: AgentState,
    ) -> GivingWay:
        expires_at = event.appended_at
        places: list[Place] = []
        for key, value in _values(state, upload):
            expires_at = max(expires_at, _EXPIRES.unpack_from(value)[0])
            places += _places(value)
            state.delete(key)
            yield
        # The upload itself may be read again as long as it lies in its topic.
        until = max(expires_at, event.appended_at + self._uploaded_kept_ms)
        state.put(upload + _WITHDRAWN, _EXPIRES.pack(until))
        entries = withdrawn_entries(record, uploader_id, places, expires_at)
        outputs: list[Output] = []
        while piece := list(itertools.islice(entries, PIECE)):
            outputs += map(self._output, piece)
            yield
        counts = Counts(entries=len(outputs))
        split = self._split(event, uploader_id, counts, expires_at, withdrawn=True)
        return Effects([*outputs, split])

    def _split(
        self,
        event: Event[Uploaded],
        uploader_id: bytes,
        counts: Counts,
        expires_at: int,
        *,
        withdrawn: bool,
    ) -> Output:
        split = UploadSplit(
            upload_id=event.record.upload_id,
            uploader_id=uploader_id,
            contacts=counts.contacts,
            entries=counts.entries,
            invalid=counts.invalid,
            duplicates=counts.duplicates,
            own_number=counts.own_number,
            withdrawn=withdrawn,
            split_at=event.appended_at,
            gone_at=max(expires_at, event.appended_at + self._entries_kept_ms),
        )
        key = split.upload_id.encode()
        place = partition_of(key, self._partitions)
        return Output(UPLOADS_SPLIT, place, key, self._codecs.splits.encode(split))

    def _output(self, entry: ContactEntry) -> Output:
        value = self._codecs.contact_entries.encode(entry)
        return Output(CONTACTS_ENTRIES, entry.partition, entry.subject_id, value)


def kept_ms(settings: Settings, topic: Topic) -> int:
    """
    Tell for how long a record can stay in a topic that has a retention, in milliseconds.

    A broker deletes closed segments only: the record that opened one waits for it to be closed.
    """
    configured = settings.configured(topic)
    return (configured.retention_ms or 0) + configured.segment_ms


def _key(uploader_id: bytes, upload_id: str) -> str:
    """Begin the keys of an upload: the same id from somebody else is another upload."""
    return f"{uploader_id.hex()}/{blake2b(upload_id.encode(), digest_size=16).hexdigest()}/"


def _known(state: AgentState, uploader_id: bytes) -> Generator[None, None, set[bytes]]:
    """Give the subject ids of all that is kept of an uploader's uploads."""
    known: set[bytes] = set()
    for key, value in state.items(f"{uploader_id.hex()}/"):
        if not key.endswith(_WITHDRAWN):
            known.update(place.subject_id for place in _places(value))
            yield
    return known


def _places(value: bytes) -> Iterator[Place]:
    return itertools.starmap(Place, _PLACE.iter_unpack(value[_EXPIRES.size :]))


def _keep(
    state: AgentState, upload: str, entries: list[ContactEntry], expires_at: int
) -> Generator[None]:
    # Kept before, under another setting: what is out there may count for longer.
    before = [_EXPIRES.unpack_from(value)[0] for _, value in _values(state, upload)]
    expires = _EXPIRES.pack(max([expires_at, *before]))
    for start in range(0, len(entries), PLACES_TOGETHER):
        some = entries[start : start + PLACES_TOGETHER]
        packed = b"".join(_PLACE.pack(e.subject_id, e.partition, e.position) for e in some)
        state.put(f"{upload}{start}", expires + packed)
        yield


def _values(state: AgentState, upload: str) -> Iterator[tuple[str, bytes]]:
    """Give the keys and values that hold an upload's places, in their order."""
    start = 0
    while (value := state.get(key := f"{upload}{start}")) is not None:
        yield key, value
        start += PLACES_TOGETHER
