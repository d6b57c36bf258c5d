"""
Folding: consent events and address-book entries up to the barrier, and not one further.

Every record that stands below the barrier ends in exactly one of these ways:

* **folded** into its subject's state, or refused by the fold; both stand in the ledger;
* **re-sent** to where it belongs, if its subject or its partition is another: by a plain producer,
  acknowledged before the transaction that passes it here commits. Its first append time goes along
  in a signed header, which the fold there uses;
* **holding its subject** (STATE_UNDECODABLE) and dead-lettered, if it cannot be read but its key
  says whose it is;
* dead-lettered, if nothing says whose it is.

What an address-book entry says of its number is folded; which of its upload's entries are members
is told to ``contacts.screened`` in the same transaction (:mod:`streams.state.screening`).

A record whose key is another number than its subject restricts the key too, in case the key was
right, but allows it nothing (:func:`streams.state.fold.fold_consent`).
"""

from __future__ import annotations

from typing import Final

from streams.codec.codec import Codecs
from streams.errors import DeadLetter
from streams.gate.ledger_entries import LedgerEntries
from streams.gate.routes import Routes, Stood
from streams.gate.sealers import Sealers
from streams.gate.topics import GateTopics
from streams.gate.transaction import Output
from streams.gate.work import Work
from streams.kafka.placement import partition_of
from streams.records.drafts import replacing
from streams.records.events import ConsentEvent, ConsentKind
from streams.records.subject import SubjectState
from streams.sealing.data_keys import DataKeys
from streams.sealing.keyring import KeyRing
from streams.state.arrivals import (
    RESOLVES_ALL,
    Counts,
    consent_arrival,
    entry_arrival,
    first_appended,
    number_of,
    offset_of,
    resent_digest,
    resolution,
    timestamp_of,
)
from streams.state.fold import carried, fold_consent
from streams.state.fold_contacts import fold_contact
from streams.state.log_reader import At, Fetched, LogReader
from streams.state.screening import Screening
from streams.state.subjects import Subjects
from streams.state.unreadable import mark_undecodable, resolve_all_undecodable, resolve_undecodable
from streams.topology import CONSENT_EVENTS, CONTACTS_ENTRIES

_state: Final = replacing(SubjectState)
_NOTHING: Final = SubjectState(b"")
# Looking a member up in its enum takes longer than comparing with it.
_OWN: Final = Counts.OWN
_ELSEWHERE: Final = Counts.ELSEWHERE


class Folding:
    """Applies what the reader has fetched. Pure but for the overlay and the work it fills."""

    def __init__(
        self,
        *,
        reader: LogReader,
        subjects: Subjects,
        codecs: Codecs,
        keyring: KeyRing,
        data_keys: DataKeys,
        topics: GateTopics,
        partitions: int,
        contact_entry_days: int,
        group_id: str,
    ) -> None:
        self._reader = reader
        self._subjects = subjects
        self._codecs = codecs
        self._keyring = keyring
        self._data_keys = data_keys
        self._routes = Routes(keyring, topics, group_id)
        self._ledger = LedgerEntries(codecs, Sealers(subjects, data_keys))
        self._topics = topics
        self._partitions = partitions
        self._contact_entry_days = contact_entry_days

    def fold(self, work: Work, most: int, now_ms: int) -> None:
        """
        Fold this partition's state exactly up to ``work.targets``, but at most ``most`` records.

        What is folded is then a prefix of the log. If the targets are not reached with it, the
        work gives its requests back (:meth:`Work.catches_up`): they are decided in the turn that
        gets there.

        Raises :class:`streams.errors.RegistryUnavailable` where a record cannot be read before the
        registry can be asked; the caller then throws the work away.
        """
        consent = At(self._topics.consent, work.partition)
        contacts = At(self._topics.contacts, work.partition)
        for at in (consent, contacts):
            taken = self._reader.take_below(at, work.targets[at], most)
            work.folded[at] = taken
            most -= len(taken)
        partition = work.partition
        for message in work.folded[consent]:
            at_ms = max(work.consent_append_at, timestamp_of(message))
            work.consent_append_at = at_ms
            self._consent(work, message, Stood(partition, offset_of(message), at_ms), now_ms)
        # After the consent events of this turn, which are all there are below the barrier: else
        # `most` has left no entries over.
        screening = Screening(partition)
        for message in work.folded[contacts]:
            at_ms = max(work.contacts_append_at, timestamp_of(message))
            work.contacts_append_at = at_ms
            self._contact(work, message, at_ms, screening, now_ms)
        self._tell(work, screening, now_ms)
        work.consent_offset = max(work.consent_offset, self._folded_to(work, consent))
        work.contacts_offset = max(work.contacts_offset, self._folded_to(work, contacts))
        if any(self._folded_to(work, at) < work.targets[at] for at in (consent, contacts)):
            work.catches_up()

    def _folded_to(self, work: Work, at: At) -> int:
        """The next offset to fold: the target, unless records below it are still to come."""
        target = work.targets[at]
        waiting = self._reader.next_waiting(at)
        if waiting is not None and waiting < target:
            return waiting
        return target if self._reader.reached(at, target) else self._reader.next_fetch(at)

    # ----------------------------------------------------------------------------- consent events

    def _consent(self, work: Work, message: Fetched, stood: Stood, now_ms: int) -> None:
        if message.value() is None and self._resolved(work, message):
            return
        codec = self._codecs.consent_events
        arrival = consent_arrival(message, stood.partition, self._partitions, codec)
        key, here, event, counts = arrival
        if isinstance(event, DeadLetter):
            self._unreadable(work, message, stood, event, key, here=here)
            return
        if key is not None and counts is not _ELSEWHERE:
            own = counts is _OWN
            self._apply(work, event, key, stood, message, now_ms, own=own)
            if own:
                return
        # Either its key is another number, or this is not where it belongs.
        subject = event.subject.encode()
        belongs = partition_of(subject, self._partitions)
        self._routes.resend(work, message, stood, CONSENT_EVENTS.name, belongs, subject)

    def _apply(
        self,
        work: Work,
        event: ConsentEvent,
        key: str,
        stood: Stood,
        message: Fetched,
        now_ms: int,
        *,
        own: bool,
    ) -> None:
        partition = stood.partition
        subject_id = self._keyring.subject_ids.of(key)
        before = self._subjects.state(partition, subject_id)
        if before is None:
            before = _state(_NOTHING, subject_id=subject_id)
        appended_at = self._routes.first_appended(message, stood.appended_at)
        folded = fold_consent(
            before,
            event,
            offset=stood.offset,
            appended_at=appended_at,
            placed=True,
            for_key_only=not own,
        )
        if folded.state is not before:
            self._subjects.change(partition, folded.state)
        if event.kind is ConsentKind.ERASURE_REQUESTED and folded.refusal is None:
            self._subjects.change_key(partition, subject_id, None)
            self._data_keys.forget(subject_id)
        if event.kind is ConsentKind.NUMBER_MOVED and folded.refusal is None:
            self._carry(work, event, stood, folded.state)
        self._ledger.add(work, event, subject_id, stood, appended_at, folded.refusal, now_ms)
        result = "applied" if folded.refusal is None else folded.refusal.value
        # Not .value: a descriptor written in Python.
        work.tally.consent[event.kind._value_, result] += 1

    def _carry(self, work: Work, event: ConsentEvent, stood: Stood, state: SubjectState) -> None:
        """Send the withdrawals of who moved to the new number, before this is committed."""
        number = event.moved_to or ""
        where = f"{stood.partition}-{stood.offset}"
        partition = partition_of(number.encode(), self._partitions)
        for withdrawal in carried(state, number, where):
            value = self._codecs.consent_events.encode(withdrawal)
            work.resends.append(
                Output(self._topics.consent, partition, number.encode(), value, None)
            )

    def _unreadable(
        self,
        work: Work,
        message: Fetched,
        stood: Stood,
        error: DeadLetter,
        key: str | None,
        *,
        here: bool,
    ) -> None:
        if key is not None and not here:
            # Whose it is can be told, and that is not for this partition to hold.
            subject = key.encode()
            belongs = partition_of(subject, self._partitions)
            self._routes.resend(work, message, stood, CONSENT_EVENTS.name, belongs, subject)
            return
        if key is not None:
            subject_id = self._keyring.subject_ids.of(key)
            before = self._subjects.state(stood.partition, subject_id) or SubjectState(subject_id)
            first = first_appended(message, self._keyring.verifier)
            resent = None if first is None else resent_digest(message.value(), first)
            state = mark_undecodable(before, offset=stood.offset, resent=resent)
            if state is not before:
                self._subjects.change(stood.partition, state)
        self._routes.dead_letter(work, message, error, CONSENT_EVENTS.name)

    def _resolved(self, work: Work, message: Fetched) -> bool:
        """Take a hold back if our own tool says so; whether the record was such a one."""
        offset = resolution(message, self._keyring.verifier)
        key = number_of(message.key())
        if offset is None or key is None:
            return False
        if partition_of(key.encode(), self._partitions) != work.partition:
            return False
        subject_id = self._keyring.subject_ids.of(key)
        before = self._subjects.state(work.partition, subject_id)
        if before is not None:
            if offset == RESOLVES_ALL:
                after = resolve_all_undecodable(before)
            else:
                after = resolve_undecodable(before, offset=int(offset))
            if after is not before:
                self._subjects.change(work.partition, after)
        return True

    # ----------------------------------------------------------------------- address-book entries

    def _contact(
        self, work: Work, message: Fetched, appended_at: int, screening: Screening, now_ms: int
    ) -> None:
        codec, partition = self._codecs.contact_entries, work.partition
        entry, unfit = entry_arrival(message, partition, self._partitions, appended_at, codec)
        if unfit is not None:
            self._routes.dead_letter(work, message, unfit, CONTACTS_ENTRIES.name)
        if entry is None:
            return
        if entry.partition != partition:
            stood = Stood(partition, offset_of(message), appended_at)
            self._routes.resend(
                work, message, stood, CONTACTS_ENTRIES.name, entry.partition, entry.subject_id
            )
            return
        known = self._subjects.state(partition, entry.subject_id)
        before = known or SubjectState(entry.subject_id)
        state = fold_contact(
            before, entry, appended_at=appended_at, kept_days=self._contact_entry_days
        )
        # Where nothing is to be kept not even the hash is.
        if state is not before:
            self._subjects.change(partition, state)
        if unfit is None:
            screening.add(entry, known, now_ms)
            work.tally.contacts[entry.kind.value] += 1

    def _tell(self, work: Work, screening: Screening, now_ms: int) -> None:
        """Write what was screened, each upload's to where its receipt is counted."""
        for told in screening.told(now_ms):
            key = told.upload_id.encode()
            place = partition_of(key, self._partitions)
            value = self._codecs.screened.encode(told)
            work.outputs.append(Output(self._topics.screened, place, key, value))
