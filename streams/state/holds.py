"""
What is held now in a partition, and what each hold waits for. Pure bookkeeping, in memory.

A hold is decided again when one of these comes first:

* its time (``hold_until``: quiet hours end, a slot opens), a little later for some than for others;
* its campaign is no longer paused; where the user who initiated it was paused, any user is resumed
  (which user it was stands in what is sealed);
* a new policy version is loaded, where the policy could not judge it;
* the state of its person changes, where that could not be read, or the number was to be looked up;
* its end: ``valid_until``, or shortly before its topic forgets it. Then it is EXPIRED.

What only a reviewer may release waits for its end alone. The sealed requests themselves are in the
store (:meth:`streams.state.store.Store.hold`): a million of them do not fit into memory well.
"""

from __future__ import annotations

from binascii import crc32
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from heapq import heapify, heappop, heappush
from sys import intern
from typing import Final, NamedTuple

from streams.policy.reasons import Reason
from streams.records.counted import is_uploader
from streams.records.decisions import QuarantinedSms

SPREAD_MS: Final = 30_000
"""Over how long holds that are due at the same moment are spread, so that the carrier gets no
burst at the minute at which quiet hours end. No hold waits a twentieth longer than it had to."""

ENDS_EARLY_MS: Final = 3600 * 1000
"""How long before its topic would forget a hold it is settled: a gate that stands still for so long
at that very moment loses none."""

UNCHANGED_MS: Final = 60_000
"""When a hold that came out as before although its time had come is looked at again."""

_FEW: Final = 1_000
"""Holds that were settled before they were due and are not worth clearing up for."""

_ON_CAMPAIGN: Final = Reason.CAMPAIGN_PAUSED.value
_ON_POLICY: Final = frozenset({Reason.PURPOSE_UNKNOWN.value, Reason.POLICY_ERROR.value})
_ON_SUBJECT: Final = frozenset({Reason.STATE_UNDECODABLE.value, Reason.NUMBER_UNCHECKED.value})


class Held(NamedTuple):
    """One hold. ``offset`` is that of its request, ``attempt`` the one that held it."""

    offset: int
    subject_id: bytes
    campaign_id: str | None
    reasons: tuple[str, ...]
    hold_until: int | None
    due_at: int
    ends_at: int
    attempt: int


def held_of(record: QuarantinedSms, retention_ms: int) -> Held:
    """Give what a record of ``sms.quarantined``, which is kept for so long, waits for."""
    return hold(
        int(record.hold_id.rpartition("-")[2]),
        record.subject_id,
        record.campaign_id,
        record.reasons,
        record.hold_until,
        record.attempt,
        quarantined_at=record.quarantined_at,
        valid_until=record.valid_until,
        retention_ms=retention_ms,
    )


def hold(
    offset: int,
    subject_id: bytes,
    campaign_id: str | None,
    reasons: tuple[str, ...],
    hold_until: int | None,
    attempt: int,
    *,
    quarantined_at: int,
    valid_until: int | None,
    retention_ms: int,
) -> Held:
    """Give what such a hold waits for. ``quarantined_at``: when the request was first held."""
    ends_at = quarantined_at + retention_ms - min(ENDS_EARLY_MS, retention_ms // 10)
    if valid_until is not None and valid_until < ends_at:
        ends_at = valid_until
    due_at = ends_at
    if hold_until is not None:
        spread = min(SPREAD_MS, max(0, hold_until - quarantined_at) // 20)
        jitter = crc32(offset.to_bytes(8, "big")) % (spread + 1)
        due_at = min(ends_at, hold_until + jitter)
    if campaign_id is not None:
        campaign_id = intern(campaign_id)
    return _new(
        Held,
        (offset, subject_id, campaign_id, _one(reasons), hold_until, due_at, ends_at, attempt),
    )


_new = tuple.__new__
"""A named tuple's own ``__new__`` is Python code."""


@lru_cache(1_024)
def _one(reasons: tuple[str, ...]) -> tuple[str, ...]:
    """Give the same object for the same reasons: a million holds have a few kinds of them."""
    return reasons


class Waiting:
    """The holds of one partition."""

    def __init__(self) -> None:
        self._held: dict[int, Held] = {}
        self._by_reason: Counter[str] = Counter()
        self._due: list[tuple[int, int]] = []
        self._soon: deque[int] = deque()
        self._in_soon: set[int] = set()
        self._woken_at: int | None = None
        self._unwatched = True
        self._by_campaign: dict[str | None, set[int]] = {}
        self._by_subject: dict[bytes, set[int]] = {}
        self._by_policy: set[int] = set()

    def __len__(self) -> int:
        return len(self._held)

    @property
    def by_reason(self) -> Mapping[str, int]:
        """How many wait, by the severest of their reasons: with 0, those that no longer wait."""
        return self._by_reason

    def overdue_ms(self, now_ms: int) -> int:
        """
        For how long what is decided again next has been due; 0 where nothing is.

        To be asked once in a while: what an event woke counts from when it was first found here.
        """
        while self._due and not self._is_current(*self._due[0]):
            heappop(self._due)
        since = [self._due[0][0]] if self._due else []
        if self._soon:
            if self._woken_at is None:
                self._woken_at = now_ms
            since.append(self._woken_at)
        return max(0, now_ms - min(since, default=now_ms))

    def _is_current(self, due_at: int, offset: int) -> bool:
        """Whether what the row of times says of a hold still holds."""
        held = self._held.get(offset)
        return held is not None and held.due_at == due_at

    def add(self, held: Held) -> None:
        """Add a hold; one of the same request gives way."""
        offset = held.offset
        if offset in self._held:
            self.remove(offset)
        self._held[offset] = held
        self._by_reason[held.reasons[0]] += 1
        heappush(self._due, (held.due_at, offset))
        if len(self._due) > 2 * len(self._held) + _FEW:
            # Those settled before their time would stay until it comes, two weeks later.
            self._due = [(each.due_at, number) for number, each in self._held.items()]
            heapify(self._due)
        if _ON_CAMPAIGN in held.reasons:
            self._by_campaign.setdefault(held.campaign_id, set()).add(offset)
        if not _ON_POLICY.isdisjoint(held.reasons):
            self._by_policy.add(offset)
        if not _ON_SUBJECT.isdisjoint(held.reasons):
            self._by_subject.setdefault(held.subject_id, set()).add(offset)

    def remove(self, offset: int) -> Held | None:
        """Take a hold away: it is settled, or being decided."""
        held = self._held.pop(offset, None)
        if held is not None:
            self._by_reason[held.reasons[0]] -= 1
            self._by_policy.discard(offset)
            _leave(self._by_campaign, held.campaign_id, offset)
            _leave(self._by_subject, held.subject_id, offset)
        return held

    def is_due(self, now_ms: int) -> bool:
        """Whether :meth:`take` would give any."""
        return bool(self._soon) or (bool(self._due) and self._due[0][0] <= now_ms)

    def take(self, now_ms: int, most: int) -> list[Held]:
        """
        Take away what is to be decided again, at most so many: the first due first.

        The caller gives each back, with :meth:`add` or :meth:`put_back`, unless it is settled.
        """
        taken: list[Held] = []
        while self._soon and len(taken) < most:
            offset = self._soon.popleft()
            self._in_soon.discard(offset)
            held = self.remove(offset)
            if held is not None:
                taken.append(held)
        if not self._soon:
            self._woken_at = None
        while self._due and self._due[0][0] <= now_ms and len(taken) < most:
            due_at, offset = heappop(self._due)
            if self._is_current(due_at, offset):
                taken.append(self._held[offset])
                self.remove(offset)
        return taken

    def put_back(self, taken: Iterable[Held]) -> None:
        """Give back what was taken and is decided another time: as soon as may be."""
        for held in taken:
            self.add(held)
            self._look_soon((held.offset,))

    def unchanged(self, held: Held, now_ms: int) -> None:
        """Give back one that came out as before."""
        late = held.due_at <= now_ms
        self.add(held._replace(due_at=now_ms + UNCHANGED_MS) if late else held)

    def policy_changed(self) -> None:
        """Another policy version decides now."""
        self._look_soon(self._by_policy)

    def campaigns_resumed(self, ended: Collection[str], paused: Callable[[str], bool]) -> None:
        """
        Pauses of these campaigns and users have ended; ``paused`` says what is paused now.

        To be called for every batch. What the partition was restored with is looked at with the
        first call behind it, whatever has ended: it may have been told to another gate.
        """
        if not ended and not self._unwatched:
            return
        groups: Iterable[str | None] = ended
        if self._unwatched or any(map(is_uploader, ended)):
            groups = list(self._by_campaign)
        self._unwatched = False
        for campaign_id in groups:
            if campaign_id is None or not paused(campaign_id):
                # Told once: each is a member again when it is held again. The table may change
                # many times until a million are decided.
                self._look_soon(self._by_campaign.pop(campaign_id, ()))

    def subjects_changed(self, subject_ids: Iterable[bytes]) -> None:
        """The states of these people were changed."""
        if self._by_subject:
            for subject_id in subject_ids:
                self._look_soon(self._by_subject.get(subject_id, ()))

    def anything_changed(self) -> None:
        """
        Nobody watched for a while: what a policy or a person's state can change is looked at once.

        What waits for its campaign only where that is not paused, which the table says at the next
        call of :meth:`campaigns_resumed`: a million may be paused.
        """
        self._unwatched = True
        for offsets in (*self._by_subject.values(), self._by_policy):
            self._look_soon(offsets)

    def _look_soon(self, offsets: Iterable[int]) -> None:
        """Have these decided as soon as may be; each stands in the row once."""
        for offset in offsets:
            if offset not in self._in_soon:
                self._in_soon.add(offset)
                self._soon.append(offset)


def _leave(groups: dict, key: object, offset: int) -> None:  # type: ignore[type-arg]
    group = groups.get(key)
    if group is not None:
        group.discard(offset)
        if not group:
            del groups[key]


class Holds:
    """The holds of the partitions that this gate owns. Used by the loop's thread only."""

    def __init__(self, retention_ms: int) -> None:
        """``retention_ms`` is how long ``sms.quarantined`` is kept."""
        self.retention_ms = retention_ms
        self._waiting: dict[int, Waiting] = {}

    def begin(self, partition: int) -> Waiting:
        """Begin with no holds of this partition."""
        waiting = self._waiting[partition] = Waiting()
        return waiting

    def of(self, partition: int) -> Waiting:
        """The holds of a partition that was restored; KeyError for any other."""
        return self._waiting[partition]

    def known(self, partition: int) -> Waiting | None:
        """The same; None for any other."""
        return self._waiting.get(partition)

    def all(self) -> list[Waiting]:
        """Those of every partition."""
        return list(self._waiting.values())

    def forget(self, partition: int) -> None:
        """Let go of a partition that is no longer, or newly, owned."""
        self._waiting.pop(partition, None)
