"""
History read again: every decision of a partition with what the gate knew when it made it.

The decisions are read in their order. Before each is handed on, ``consent.events``,
``contacts.entries`` and the broadcast topics are folded exactly up to the offsets that it stamps,
by the gate's own functions; afterwards it leaves in the state what a decision leaves (what may be
sent once, the send memory). Nothing is written anywhere. In memory are the people of the partition,
about two kilobytes each, and the broadcast topics.

Not everything is kept for ever. Where ``consent.events`` is gone, the ledger takes its place; what
else is gone is told: as a :class:`Why` where a decision cannot be derived for it, as a :class:`Gap`
where the history has a hole that only some decisions fall into. The order between consent events
and address-book entries is not stamped: an entry of an upload made after an erasure was requested,
but folded before it, may count here and not there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from streams.audit.broadcast_history import read_broadcasts
from streams.audit.seen import Gap, Seen, Why
from streams.audit.stamps import with_ahead
from streams.audit.topic_log import Extent, Progress, TopicLog
from streams.codec.codec import Codecs
from streams.config import Settings
from streams.errors import DeadLetter, Undecodable
from streams.policy.once import after_decision, answered_message
from streams.records.decisions import LedgerRecord, LossAnswer, LossRecord, Outcome, SmsDecision
from streams.records.requests import SmsRequested
from streams.records.subject import SubjectState
from streams.sealing.signatures import Verifier
from streams.sealing.subject_ids import SubjectIds
from streams.state.arrivals import (
    RESOLVES_ALL,
    Counts,
    consent_arrival,
    entry_arrival,
    first_appended,
    offset_of,
    resent_digest,
    resolution,
    timestamp_of,
)
from streams.state.fold import fold_consent
from streams.state.fold_contacts import fold_contact
from streams.state.log_reader import Fetched
from streams.state.rebuild import Rebuild
from streams.state.sends import Memory, entry_of_decision
from streams.state.unreadable import mark_undecodable, resolve_all_undecodable, resolve_undecodable
from streams.topology import (
    CONSENT_EVENTS,
    CONSENT_LEDGER,
    CONTACTS_ENTRIES,
    SMS_DECISIONS,
    SMS_REQUESTED,
    Topic,
)

_NEVER_OFFSET: Final = 1 << 62
_LATE_MS: Final = 3_600_000
"""How far the time of a decision's record may be from the time it says; a transaction ends within
minutes. Less would leave out sends just before a window begins."""

_HELD_REMEMBERED: Final = 50_000
"""Requests of holds that are kept until they are decided again: some 30 MB. Of the others each is
looked for anew, in about ten milliseconds."""

_LEFT_NOTHING: Final = (
    b"\x10referral\x08NONE",
    b"\x0canswer\x08NONE",
    b"\x0casking\x08NONE",
)
"""In the bytes of a decision that left nothing for ever: no referral, answer or question."""


_Item = TypeVar("_Item")


class _Cursor(Generic[_Item]):
    """Takes items in the order of their offsets, up to one that is told."""

    def __init__(self, items: Iterable[tuple[int, _Item]]) -> None:
        self._items = iter(items)
        self._next: tuple[int, _Item] | None = next(self._items, None)

    def below(self, end: int) -> Iterator[_Item]:
        """Take everything below ``end`` that was not taken yet."""
        while self._next is not None and self._next[0] < end:
            item = self._next[1]
            self._next = next(self._items, None)
            yield item

    def at(self, offset: int) -> _Item | None:
        """Give what stands at ``offset``, without taking it; what is below is passed over."""
        for _ in self.below(offset):
            pass
        return self._next[1] if self._next is not None and self._next[0] == offset else None


@dataclass(slots=True)
class _Folded:
    """How far a topic of the state was folded, and its newest append time."""

    end: int
    next_offset: int = 0
    appended_at: int = 0


class History:
    """
    One partition's history. For one thread; close it, or use it as a context.

    ``open_log`` opens a reader of its own for each topic. Raises what :class:`TopicLog` does.
    """

    def __init__(
        self,
        settings: Settings,
        codecs: Codecs,
        subject_ids: SubjectIds,
        verifier: Verifier,
        partition: int,
        open_log: Callable[[Settings], TopicLog] = TopicLog,
    ) -> None:
        self._settings = settings
        self._codecs = codecs
        self._subject_ids = subject_ids
        self._verifier = verifier
        self._partition = partition
        self._open_log = open_log
        self._logs: list[TopicLog] = []
        self._decision_log = self._log()
        # First where the decisions end: what they stamp is then there in the other topics.
        self._decided = self._decision_log.extent(SMS_DECISIONS, partition)
        self._partitions = self._decision_log.partitions(SMS_REQUESTED)
        self._rebuild = Rebuild(offsets_from=_NEVER_OFFSET)
        self._states = self._rebuild.states
        self._gaps: set[Gap] = set()
        self._losses: list[LossRecord] = []
        self._consent, consent = self._state_topic(CONSENT_EVENTS)
        self._consent_start = consent.start
        self._ledger = self._read_ledger() if consent.start else _Cursor[LedgerRecord](())
        self._contacts, contacts = self._state_topic(CONTACTS_ENTRIES)
        if contacts.start:
            self._gaps.add(Gap.CONTACTS)
        self._consent_folded = _Folded(consent.end)
        self._contacts_folded = _Folded(contacts.end)
        self._request_log = self._log()
        self._requested = self._request_log.extent(SMS_REQUESTED, partition)
        self._requests: _Cursor[Fetched] | None = None
        self._held: OrderedDict[int, bytes] = OrderedDict()
        self._again_log: TopicLog | None = None
        self._tables = read_broadcasts(self._log(), codecs, subject_ids.of)
        self._memory = Memory(0, 0, 0)

    @property
    def decisions(self) -> int:
        """How many offsets of decisions there are to read."""
        return self._decided.end - self._decided.start

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        for log in self._logs:
            log.close()

    def seen(
        self, since: int, until: int | None, horizon_ms: int, progress: Progress
    ) -> Iterator[Seen]:
        """
        Give every decision made from ``since`` on and before ``until``, in order; call it once.

        ``horizon_ms`` is how far back it matters what was sent: the longest of the policies'.
        ``progress`` is told of the decisions that were read, earlier ones too.
        """
        extent, log = self._decided, self._decision_log
        self._memory = Memory(horizon_ms, 0, 0)
        full = extent.start
        if since > 0:
            far = max(0, since - horizon_ms - _LATE_MS)
            full = max(full, min(extent.end, log.offset_at(SMS_DECISIONS, self._partition, far)))
        messages = log.read(SMS_DECISIONS, self._partition, extent.start, extent.end, progress)
        for offset, decision, ahead in with_ahead(self._decoded(messages, full)):
            if until is not None and decision.decided_at >= until + _LATE_MS:
                return
            impossible = self._fold_to(decision, ahead)
            request, why = self._request_of(decision, ahead)
            if request is None and why is None:
                impossible = (*impossible, "request_offset")
            subject_id, now_ms = decision.subject_id, decision.decided_at
            self._memory.begin(now_ms)
            known = self._memory.of(subject_id, now_ms)
            if decision.decided_at >= since and (until is None or decision.decided_at < until):
                if why is None and request is not None:
                    why = self._unknown_tables(request)
                yield Seen(
                    offset,
                    decision,
                    request,
                    None if request is None else self._subject_ids.of(request.recipient),
                    self._states.get(subject_id),
                    known,
                    self._gaps_at(now_ms),
                    why,
                    impossible,
                    self._tables,
                )
            self._leave(decision, request)

    def _decoded(self, messages: Iterable[Fetched], full: int) -> Iterator[tuple[int, SmsDecision]]:
        """Decode decisions with their offsets; before ``full`` only what left something."""
        first = True
        for message in messages:
            offset, value = offset_of(message), message.value() or b""
            if not first and offset < full and all(each in value for each in _LEFT_NOTHING):
                continue
            try:
                decision = self._codecs.decisions.decode(value)
            except Undecodable:
                continue  # that it is there is what `audit verify` tells
            if first and decision.sequence > 0:
                self._gaps.add(Gap.DECISIONS)
            first = False
            yield offset, decision

    # ------------------------------------------------------------------- what a decision leaves

    def _leave(self, decision: SmsDecision, request: SmsRequested | None) -> None:
        remembered = entry_of_decision(decision)
        if remembered is not None:
            self._memory.read_back(decision.subject_id, remembered, decision.decided_at)
        if decision.verdict is not Outcome.ALLOWED:
            return
        reference = None if request is None else answered_message(request)
        if request is None and decision.facts.get("answer", "NONE") != "NONE":
            self._gaps.add(Gap.ANSWERS)
        before = self._states.get(decision.subject_id)
        known = before or SubjectState(decision.subject_id, placed=True)
        after = after_decision(known, decision, reference)
        if after is not known:
            self._states[decision.subject_id] = after

    # --------------------------------------------------------------------------------- requests

    def _request_of(
        self, decision: SmsDecision, ahead: frozenset[str]
    ) -> tuple[SmsRequested | None, Why | None]:
        """Read the request of a decision; neither it nor a reason where there is none."""
        offset = decision.request_offset
        if decision.attempt > 0 and not decision.facts:
            return None, Why.UNREAD
        if offset < self._requested.start:
            return None, Why.REQUEST_GONE
        if "request_offset" in ahead:
            return None, None
        raw = self._raw_request(offset) if decision.attempt == 0 else self._held_request(offset)
        if decision.verdict is not Outcome.QUARANTINED:
            self._held.pop(offset, None)
        elif raw is not None:
            self._held[offset] = raw
            if len(self._held) > _HELD_REMEMBERED:
                self._held.popitem(last=False)
        try:
            return self._codecs.requests.decode(raw), None
        except DeadLetter:
            return None, None

    def _raw_request(self, offset: int) -> bytes | None:
        """Read a request whose first attempt this is: they stand in the order of decisions."""
        if self._requests is None:
            self._requests = self._reading(
                self._request_log, SMS_REQUESTED, Extent(offset, self._requested.end)
            )
        message = self._requests.at(offset)
        return None if message is None else message.value()

    def _held_request(self, offset: int) -> bytes | None:
        """Give a request that was held, wherever it stands."""
        if offset in self._held or offset >= self._requested.end:
            return self._held.get(offset)
        if self._again_log is None:
            self._again_log = self._log()
        message = self._again_log.first_from(SMS_REQUESTED, self._partition, offset, offset + 1)
        return None if message is None else message.value()

    def _unknown_tables(self, request: SmsRequested) -> Why | None:
        if not self._tables.names_known(request):
            return Why.NAMES_GONE
        if not self._tables.campaigns_known(request):
            return Why.CAMPAIGNS_GONE
        return None if self._tables.templates_known(request) else Why.TEMPLATES_GONE

    # ---------------------------------------------------------------------------------- folding

    def _fold_to(self, decision: SmsDecision, ahead: frozenset[str]) -> tuple[str, ...]:
        """Fold everything up to a decision's stamp but what is ``ahead``; name what cannot be."""
        broadcast = decision.broadcast_offsets
        impossible = list(self._tables.to({k: v for k, v in broadcast.items() if k not in ahead}))
        consent, contacts = self._consent_folded, self._contacts_folded
        if "consent_offset" in ahead or not (
            consent.next_offset <= decision.consent_offset <= consent.end
        ):
            impossible.append("consent_offset")
        else:
            consent.next_offset = decision.consent_offset
            for record in self._ledger.below(decision.consent_offset):
                self._rebuild.ledgered(record)
                consent.appended_at = self._rebuild.newest_append
            for message in self._consent.below(decision.consent_offset):
                self._consent_event(message)
        if "contacts_offset" in ahead or not (
            contacts.next_offset <= decision.contacts_offset <= contacts.end
        ):
            impossible.append("contacts_offset")
        else:
            contacts.next_offset = decision.contacts_offset
            for message in self._contacts.below(decision.contacts_offset):
                self._contact(message)
        return tuple(impossible)

    def _consent_event(self, message: Fetched) -> None:
        folded = self._consent_folded
        appended_at = folded.appended_at = max(folded.appended_at, timestamp_of(message))
        partition, partitions = self._partition, self._partitions
        key, here, said, counts = consent_arrival(
            message, partition, partitions, self._codecs.consent_events
        )
        if key is None or not here:
            return
        subject_id = self._subject_ids.of(key)
        resolved = resolution(message, self._verifier)
        before = self._states.get(subject_id)
        if resolved is not None:
            if before is not None:
                self._states[subject_id] = (
                    resolve_all_undecodable(before)
                    if resolved == RESOLVES_ALL
                    else resolve_undecodable(before, offset=int(resolved))
                )
            return
        before = before or SubjectState(subject_id)
        first = first_appended(message, self._verifier)
        offset = offset_of(message)
        if isinstance(said, DeadLetter):
            resent = None if first is None else resent_digest(message.value(), first)
            self._states[subject_id] = mark_undecodable(before, offset=offset, resent=resent)
            return
        self._states[subject_id] = fold_consent(
            before,
            said,
            offset=offset,
            appended_at=appended_at if first is None else min(first, appended_at),
            placed=True,
            for_key_only=counts is not Counts.OWN,
        ).state

    def _contact(self, message: Fetched) -> None:
        folded = self._contacts_folded
        appended_at = folded.appended_at = max(folded.appended_at, timestamp_of(message))
        entry, _ = entry_arrival(
            message, self._partition, self._partitions, appended_at, self._codecs.contact_entries
        )
        if entry is None or entry.partition != self._partition:
            return
        before = self._states.get(entry.subject_id) or SubjectState(entry.subject_id)
        after = fold_contact(
            before,
            entry,
            appended_at=appended_at,
            kept_days=self._settings.contact_entry_days,
        )
        if after is not before:
            self._states[entry.subject_id] = after

    # ------------------------------------------------------------------------------ the ledger

    def _read_ledger(self) -> _Cursor[LedgerRecord]:
        """Make ready what the ledger has of events that are gone; note what was lost."""
        self._gaps.add(Gap.UNREADABLE)
        log = self._log()
        extent = log.extent(CONSENT_LEDGER, self._partition)
        first = True
        for message in log.read(CONSENT_LEDGER, self._partition, extent.start, extent.end):
            try:
                sequence = self._codecs.ledger.decode(message.value()).sequence
            except Undecodable:
                try:
                    loss = self._codecs.losses.decode(message.value())
                except Undecodable:
                    continue
                self._losses.append(loss)
                sequence = loss.sequence
            if first and sequence > 0:
                self._gaps.add(Gap.LEDGER)
            first = False

        def events() -> Iterator[tuple[int, LedgerRecord]]:
            for message in log.read(CONSENT_LEDGER, self._partition, extent.start, extent.end):
                try:
                    record = self._codecs.ledger.decode(message.value())
                except Undecodable:
                    continue
                if record.offset >= self._consent_start:
                    return
                yield record.offset, record

        return _Cursor(events())

    def _gaps_at(self, time_ms: int) -> frozenset[Gap]:
        """Name every hole that a decision of that time may fall into."""
        gaps = set(self._gaps)
        if self._lost_by(time_ms):
            gaps.add(Gap.LOSS)
        if not self._tables.templates_whole:
            gaps.add(Gap.TEMPLATES)
        return frozenset(gaps)

    def _lost_by(self, time_ms: int) -> bool:
        """Whether everybody's consents were ended for a loss, at that time."""
        standing = False
        for loss in self._losses:
            if loss.recorded_at > time_ms:
                break
            match loss.answer:
                case LossAnswer.CONSENTS_ENDED:
                    standing = True
                case LossAnswer.RESTORED:
                    standing = False
                case LossAnswer.SKIPPED:
                    pass
        return standing

    # --------------------------------------------------------------------------------- reading

    def _log(self) -> TopicLog:
        log = self._open_log(self._settings)
        self._logs.append(log)
        return log

    def _state_topic(self, topic: Topic) -> tuple[_Cursor[Fetched], Extent]:
        log = self._log()
        extent = log.extent(topic, self._partition)
        return self._reading(log, topic, extent), extent

    def _reading(self, log: TopicLog, topic: Topic, extent: Extent) -> _Cursor[Fetched]:
        messages = log.read(topic, self._partition, extent.start, extent.end)
        return _Cursor((offset_of(message), message) for message in messages)
