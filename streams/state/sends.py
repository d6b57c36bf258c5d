"""
The send memory: which messages each person was sent or has waiting, exactly, per partition.

It answers two questions about a request: was its id decided within a day (:func:`repeated`), and do
the policy's caps leave it a slot (:meth:`streams.policy.caps.Caps.slot_at`). It is kept in memory,
about 250 bytes for a person who got a message within the longest window, and 33 for each further
message. The decisions of a partition are the log it is made of, with their ``sequence`` as the
coordinate, so an allowed message costs no record of its own.

A *checkpoint* writes what came since the last one into ``sms.sends``, packed, 49 bytes a message,
in the transaction that also puts its sequence into the Position (ADR 0020). A restore reads
``sms.sends`` for the longest window, and of the decisions those from the checkpoint on
(:mod:`streams.state.restore_sends`).

Changes are noted in a :class:`Noted` of the batch that made them, and can be taken back, newest
batch first: a transaction that fails leaves no trace here.
"""

from __future__ import annotations

from binascii import crc32
from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct
from typing import Final

from streams.policy.caps import KIND_BYTES, MOST, REPEATED_WITHIN_MS, Caps, Send, kind_of
from streams.policy.facts import NOTHING_SENT, SentBefore
from streams.policy.vocabulary import Frequency, Repetition
from streams.records.decisions import Outcome, SmsDecision
from streams.sealing.subject_ids import SUBJECT_ID_BYTES

CHECKPOINT_DECISIONS: Final = 50_000
"""Decisions between two checkpoints: what a restore reads of ``sms.decisions`` at most, a second
or so. Fewer would write more often; more make a takeover longer."""

CHECKPOINT_MS: Final = 10 * 60 * 1000
"""Time between two checkpoints of a partition in which less is decided."""

PACKED_AT_ONCE: Final = 10_000
"""Sends in one record of ``sms.sends``: half a megabyte, which every broker takes."""

_SENT: Final = 0
_WAITS: Final = 1
_AGAIN: Final = 2
"""Bits of an entry's last byte: it is held; it takes the place of the one of the same request."""

_HEAD: Final = Struct("<qQ")
pack_head: Final = _HEAD.pack
"""The beginning of an entry: a time and a request's digest."""
_TAIL: Final = Struct("<B")
ENTRY_BYTES: Final = _HEAD.size + KIND_BYTES + _TAIL.size
PACKED_BYTES: Final = SUBJECT_ID_BYTES + ENTRY_BYTES
_KIND_AT: Final = _HEAD.size
_REQUEST: Final = slice(8, 16)
_FLAGS_AT: Final = ENTRY_BYTES - 1

_THINNED_FROM: Final = 1_000 * ENTRY_BYTES
"""From so many entries of one person on, only the newest of each kind are kept, of which any cap
can count no more. A person gets that many from a sender gone wild."""


def request_digest(request_id: str) -> int:
    """
    Tell one request of a person from another, in 64 bits.

    Two CRC-32, forwards and backwards: 0.2 µs, where a hash takes 0.6. Ids that are not made to
    collide do not; those of one producer differ in a few neighbouring bytes, which never do.
    """
    raw = request_id.encode()
    return crc32(raw) | crc32(raw[::-1]) << 32


def entry_of(at: int, request: int, kind: bytes, *, waits: bool, again: bool) -> bytes:
    """Pack what is remembered of one decision."""
    flags = (_WAITS if waits else _SENT) | (_AGAIN if again else 0)
    return pack_head(at, request) + kind + _TAIL.pack(flags)


def sent_tail(kind: bytes) -> bytes:
    """What follows :data:`pack_head` in the entry of a message that was allowed at once."""
    return kind + _TAIL.pack(_SENT)


def waiting_tail(kind: bytes) -> bytes:
    """What follows :data:`pack_head` in the entry of a message that is held for the first time."""
    return kind + _TAIL.pack(_WAITS)


def entry_of_decision(decision: SmsDecision) -> bytes | None:
    """
    Give what is remembered of a decision that is read back; the same as when it was made.

    None where it was dropped: nothing was sent and nothing waits.
    """
    if decision.verdict is Outcome.DROPPED and decision.attempt == 0:
        return None
    kind = kind_of(decision.purpose, decision.sender_id, decision.campaign_id, decision.template_id)
    return entry(
        decision.verdict,
        decision.decided_at,
        decision.hold_until,
        request_digest(decision.request_id),
        kind,
        again=decision.attempt > 0,
    )


def entry(
    outcome: Outcome,
    decided_at: int,
    hold_until: int | None,
    request: int,
    kind: bytes,
    *,
    again: bool,
) -> bytes:
    """Give what is remembered of a decision. What waits has the time that it waits for."""
    if outcome is Outcome.ALLOWED:
        return entry_of(decided_at, request, kind, waits=False, again=again)
    # What was dropped after it was held is remembered by its id only: it waits for nothing.
    at = decided_at if outcome is Outcome.DROPPED or hold_until is None else hold_until
    counted = kind if outcome is Outcome.QUARANTINED else bytes(KIND_BYTES)
    return entry_of(at, request, counted, waits=True, again=again)


def sends_in(entries: bytes, after: int | None = None) -> Iterator[Send]:
    """Unpack what is remembered of one person, but nothing from ``after`` or before."""
    for start in range(0, len(entries), ENTRY_BYTES):
        at, _ = _HEAD.unpack_from(entries, start)
        if after is None or at > after:
            kind = entries[start + _KIND_AT : start + _FLAGS_AT]
            yield Send(at, kind, bool(entries[start + _FLAGS_AT] & _WAITS))


def repeated(entries: bytes, request: int, now_ms: int, after: int | None = None) -> bool:
    """
    Whether this request was decided within a day, other than by being dropped.

    ``after``: the time of an erasure; nothing from then or before counts.
    """
    wanted = request.to_bytes(8, "little")
    since = now_ms - REPEATED_WITHIN_MS
    if after is not None and after > since:
        since = after
    place = entries.find(wanted)
    while place >= 0:
        start = place - 8
        if start % ENTRY_BYTES == 0 and _HEAD.unpack_from(entries, start)[0] > since:
            return True
        place = entries.find(wanted, place + 1)
    return False


def sent_before(
    entries: bytes, request: int, kind: bytes, caps: Caps, now_ms: int, after: int | None
) -> SentBefore:
    """
    Say what was sent to a person means for one request of ``kind``.

    ``entries`` is what is remembered of the person; ``after`` the time of an erasure.
    """
    again = repeated(entries, request, now_ms, after)
    slot_at = None
    if len(entries) >= caps.fewest(kind) * ENTRY_BYTES:
        slot_at = caps.slot_at(kind, sends_in(entries, after), now_ms)
    if not again and slot_at is None:
        return NOTHING_SENT
    return SentBefore(
        Repetition.REPEATED if again else Repetition.FIRST,
        Frequency.WITHIN if slot_at is None else Frequency.EXCEEDED,
        slot_at,
    )


@dataclass(slots=True)
class Noted:
    """What one batch changed in one partition's memory, so that it can be taken back."""

    memory: Memory
    pending: list[bytes]
    mark: int
    checkpoint: int
    checkpoint_at: int
    before: list[tuple[bytes, bytes | None]] = field(default_factory=list)

    def undo(self) -> None:
        """Take all of it back. Whatever came after it must have been taken back before."""
        memory = self.memory
        for subject_id, entries in reversed(self.before):
            memory.older.pop(subject_id, None)
            if entries is None:
                memory.recent.pop(subject_id, None)
            else:
                memory.recent[subject_id] = entries
        del self.pending[self.mark :]
        memory.pending = self.pending
        memory.checkpoint, memory.checkpoint_at = self.checkpoint, self.checkpoint_at


class Memory:
    """
    What is remembered of one partition's people.

    Two generations: who was not met for one horizon falls into the older one and after another is
    forgotten, without anybody looking for what is too old.
    """

    __slots__ = (
        "checkpoint",
        "checkpoint_at",
        "horizon_ms",
        "older",
        "pending",
        "recent",
        "turned",
    )

    def __init__(self, horizon_ms: int, checkpoint: int, now_ms: int) -> None:
        self.horizon_ms = horizon_ms
        self.recent: dict[bytes, bytes] = {}
        self.older: dict[bytes, bytes] = {}
        self.turned = now_ms
        self.pending: list[bytes] = []
        """Packed, in order: what came since the last checkpoint."""
        self.checkpoint = checkpoint
        """The sequence that the last checkpoint goes up to."""
        self.checkpoint_at = now_ms

    def begin(self, now_ms: int) -> Noted:
        """Begin a batch."""
        if now_ms - self.turned >= self.horizon_ms:
            self.older, self.recent, self.turned = self.recent, {}, now_ms
        return Noted(self, self.pending, len(self.pending), self.checkpoint, self.checkpoint_at)

    def of(self, subject_id: bytes, now_ms: int) -> bytes | None:
        """What is remembered of this person, oldest first; None: nothing."""
        entries = self.recent.get(subject_id)
        if entries is None and self.older:
            entries = self.older.pop(subject_id, None)
            if entries is not None:
                entries = _younger(entries, now_ms - self.horizon_ms)
                if entries:
                    self.recent[subject_id] = entries
        return entries or None

    def note(
        self, noted: Noted, subject_id: bytes, known: bytes | None, entry: bytes, now_ms: int
    ) -> None:
        """Remember one decision more of this person, of whom ``known`` is what :meth:`of` gave."""
        noted.before.append((subject_id, known))
        self.pending.append(subject_id + entry)
        self.recent[subject_id] = (
            entry if known is None else with_entry(known, entry, now_ms - self.horizon_ms)
        )

    def due(self, sequence: int, now_ms: int) -> bool:
        """Whether a checkpoint should be written."""
        return sequence - self.checkpoint >= CHECKPOINT_DECISIONS or (
            bool(self.pending) and now_ms - self.checkpoint_at >= CHECKPOINT_MS
        )

    def take(self, sequence: int, now_ms: int) -> list[bytes]:
        """Give what a checkpoint up to ``sequence`` writes, in pieces, and begin anew."""
        pending, self.pending = self.pending, []
        self.checkpoint, self.checkpoint_at = sequence, now_ms
        return [
            b"".join(pending[start : start + PACKED_AT_ONCE])
            for start in range(0, len(pending), PACKED_AT_ONCE)
        ]

    def read_back(self, subject_id: bytes, entry: bytes, now_ms: int) -> None:
        """Remember what a restore reads, in its order; what is too old is passed over."""
        since = now_ms - self.horizon_ms
        known = self.recent.get(subject_id)
        if known is None:
            if _HEAD.unpack_from(entry)[0] > since:
                self.recent[subject_id] = entry
            return
        self.recent[subject_id] = with_entry(known, entry, since)

    def read_packed(self, packed: bytes, now_ms: int) -> None:
        """The same for one record of ``sms.sends``."""
        for start in range(0, len(packed), PACKED_BYTES):
            self.read_back(
                packed[start : start + SUBJECT_ID_BYTES],
                packed[start + SUBJECT_ID_BYTES : start + PACKED_BYTES],
                now_ms,
            )


class Sends:
    """The memories of the partitions that this gate owns. Used by the loop's thread only."""

    def __init__(self, horizon_ms: int) -> None:
        """``horizon_ms`` is the policy's (:attr:`streams.policy.caps.Caps.horizon_ms`)."""
        self.horizon_ms = horizon_ms
        self._memories: dict[int, Memory] = {}

    def reach(self, horizon_ms: int) -> bool:
        """
        Remember as far back as this from now on; whether what is in memory goes back as far.

        If not, every partition has to be restored before anything is decided.
        """
        enough = horizon_ms <= self.horizon_ms
        if not enough:
            self.horizon_ms = horizon_ms
        return enough

    def begin(self, partition: int, checkpoint: int, now_ms: int) -> Memory:
        """Begin with nothing remembered of this partition, to be read back."""
        memory = self._memories[partition] = Memory(self.horizon_ms, checkpoint, now_ms)
        return memory

    def of(self, partition: int) -> Memory:
        """The memory of a partition that was restored; KeyError for any other."""
        return self._memories[partition]

    def forget(self, partition: int) -> None:
        """Let go of a partition that is no longer, or newly, owned."""
        self._memories.pop(partition, None)


def with_entry(known: bytes, entry: bytes, since: int) -> bytes:
    """Add an entry to what is known of a person; what it replaces and what is too old go."""
    if entry[_FLAGS_AT] & _AGAIN:
        known = _without(known, entry[_REQUEST])
    if known and _HEAD.unpack_from(known)[0] <= since:
        known = _younger(known, since)
    if len(known) >= _THINNED_FROM and len(known) // ENTRY_BYTES % 500 == 0:
        known = _thinned(known)
    return known + entry


def without(known: bytes, request: int) -> bytes:
    """What is known of a person but for one request of theirs."""
    return _without(known, request.to_bytes(8, "little"))


def _younger(entries: bytes, since: int) -> bytes:
    return b"".join(each for each in _split(entries) if _HEAD.unpack_from(each)[0] > since)


def _without(entries: bytes, request: bytes) -> bytes:
    return b"".join(each for each in _split(entries) if each[_REQUEST] != request)


def _thinned(entries: bytes) -> bytes:
    """Keep the newest of each kind, of which a cap can count no more."""
    kept: list[bytes] = []
    count: dict[bytes, int] = {}
    for each in reversed(list(_split(entries))):
        kind = each[_KIND_AT:]
        count[kind] = count.get(kind, 0) + 1
        if count[kind] <= MOST:
            kept.append(each)
    return b"".join(reversed(kept))


def _split(entries: bytes) -> Iterator[bytes]:
    for start in range(0, len(entries), ENTRY_BYTES):
        yield entries[start : start + ENTRY_BYTES]
